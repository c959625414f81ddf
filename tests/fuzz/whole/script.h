#pragma once
/* What one connection is to see: where it goes, its inputs in order, and how it ends. The seed and the
 * script's number say all of it, so that any can be played again. */

#include "grammar.h"

enum script_place {
    SCRIPT_TCP,
    SCRIPT_UNIX,
    SCRIPT_ADMIN,
    SCRIPT_TLS,     /* what is within TLS is mutated */
    SCRIPT_TLS_RAW, /* TLS itself is */
    _SCRIPT_PLACE_MAX,
};
/* "tcp", "unix", "admin", "tls", "tls-raw" */
const char *script_place_to_string(enum script_place place);

enum script_end {
    SCRIPT_CLOSES,
    SCRIPT_RESETS,
    SCRIPT_FINISHES, /* closes its half, and reads to the end of the other */
};

struct script {
    uint64_t number;
    enum script_place place;
    bool is_http2;
    enum script_end end;
    size_t inputs_left;
    struct chance chance;
    struct grammar_http2 http2;
};

void script_begin(struct script *script, uint64_t seed, uint64_t number);
/* The next input; false when there are no more. `ret_pause`: what the other end says is waited for, a moment.
 */
bool script_next(struct script *script, struct strbuf *ret, bool *ret_pause);
