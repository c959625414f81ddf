# bash completion for holdfastctl(1)

_holdfastctl() {
    local verbs='status health metrics upstreams target pause resume reload check help'
    local options='--admin --help --json --timeout --version'
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    local words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    local verb='' word skip='' arguments=() program=(holdfastctl --timeout 1s)

    case $prev in
        --admin)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return ;;
        --timeout)
            return ;;
    esac

    # Addresses have colons, at which words are divided where nobody says otherwise.
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n : -c cur -w words -i cword
    fi
    for word in "${words[@]:1:cword-1}"; do
        if [[ $skip ]]; then
            [[ $skip == --admin ]] && program+=(--admin "$word")
            skip=''
        elif [[ $word == --admin || $word == --timeout ]]; then
            skip=$word
        elif [[ ! $verb && $word != -* ]]; then
            verb=$word
        elif [[ $verb && $word != -* ]]; then
            arguments+=("$word")
        fi
    done

    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    elif [[ ! $verb ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur")
    elif [[ $verb == @(target|pause|resume) && ${#arguments[@]} -eq 0 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_holdfastctl_column 1 '' | sort -u)" -- "$cur")
    elif [[ $verb == target && ${#arguments[@]} -eq 1 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_holdfastctl_column 2 "${arguments[0]}")" -- "$cur")
        declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
    elif [[ $verb == target ]]; then
        mapfile -t COMPREPLY < <(compgen -W 'add remove ready drain down weight=' -- "$cur")
    elif [[ $verb == check ]]; then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}

# What the running gateway has, if it answers: the first or second column of its table of targets, where the first is $2.
_holdfastctl_column() {
    "${program[@]}" upstreams 2>/dev/null |
        awk -F '\t' -v column="$1" -v name="$2" 'NR > 1 && NF > 2 && (name == "" || $1 == name) { print $column }'
}

complete -F _holdfastctl holdfastctl
