# bash completion for holdfastctl(1)

_holdfastctl() {
    local verbs='status health metrics reload check help'
    local options='--admin --help --json --timeout --version'
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local verb='' word skip=''

    case $prev in
        --admin)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return ;;
        --timeout)
            return ;;
    esac

    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ $skip ]]; then
            skip=''
        elif [[ $word == --admin || $word == --timeout ]]; then
            skip=1
        elif [[ $word != -* ]]; then
            verb=$word
            break
        fi
    done

    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    elif [[ ! $verb ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur")
    elif [[ $verb == check ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}

complete -F _holdfastctl holdfastctl
