#include "script.h"

#include "mutate.h"

static const char *const place_names[_SCRIPT_PLACE_MAX] = {
    [SCRIPT_TCP] = "tcp", [SCRIPT_UNIX] = "unix",       [SCRIPT_ADMIN] = "admin",
    [SCRIPT_TLS] = "tls", [SCRIPT_TLS_RAW] = "tls-raw",
};

const char *script_place_to_string(enum script_place place)
{
    assert(place < _SCRIPT_PLACE_MAX);
    return place_names[place];
}

static enum script_place choose_place(struct chance *chance)
{
    const size_t n = chance_below(chance, 100);

    return n < 40   ? SCRIPT_UNIX
           : n < 86 ? SCRIPT_TCP
           : n < 93 ? SCRIPT_ADMIN
           : n < 96 ? SCRIPT_TLS
                    : SCRIPT_TLS_RAW;
}

void script_begin(struct script *script, uint64_t seed, uint64_t number)
{
    *script = (struct script){.number = number, .chance = chance_of(seed, number)};
    struct chance *chance = &script->chance;

    script->place = choose_place(chance);
    script->is_http2 = script->place != SCRIPT_ADMIN && chance_in(chance, 50);
    script->end = chance_in(chance, 60)   ? SCRIPT_FINISHES
                  : chance_in(chance, 50) ? SCRIPT_CLOSES
                                          : SCRIPT_RESETS;
    script->inputs_left = script->place == SCRIPT_TLS_RAW ? 1 : 1 + chance_below(chance, 8);
}

static void add_grammar(struct script *script, struct strbuf *out)
{
    if (script->place == SCRIPT_TLS_RAW)
        grammar_tls(&script->chance, out);
    else if (script->is_http2)
        grammar_http2(&script->chance, &script->http2, out);
    else
        grammar_http1(&script->chance, script->place == SCRIPT_ADMIN, out);
}

/* What parts may be taken of: the same language, or the other one. */
static void add_other(struct script *script, struct strbuf *out)
{
    struct grammar_http2 another = {0};

    if (chance_in(&script->chance, 70))
        add_grammar(script, out);
    else if (chance_in(&script->chance, 50))
        grammar_http2(&script->chance, &another, out);
    else
        grammar_http1(&script->chance, script->place == SCRIPT_ADMIN, out);
}

bool script_next(struct script *script, struct strbuf *ret, bool *ret_pause)
{
    _cleanup_strbuf_ struct strbuf other = STRBUF_INIT;
    struct chance *chance = &script->chance;
    const bool is_first_of_http2 = script->is_http2 && !script->http2.began;

    if (script->inputs_left == 0)
        return false;
    script->inputs_left--;
    strbuf_clear(ret);
    add_grammar(script, ret);
    /* Behind a preface that is none nothing more is looked at: most of them stay whole. */
    if (chance_in(chance, is_first_of_http2 ? 30 : 70)) {
        add_other(script, &other);
        mutate(chance, slice_make(other.data, other.size), ret);
    }
    *ret_pause = chance_in(chance, 60);
    return true;
}
