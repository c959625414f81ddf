#pragma once
/* A route's pattern, taken apart and checked: "[host]/path" with `:name` and a closing `*name`. */

#include "router/router.h"

#define PATTERN_MAX_SIZE 2048

/* The name of the catch-all that nobody wrote: a Static= route that ends in '/' serves everything beneath it.
 */
#define PATTERN_IMPLIED_REST "*"

enum pattern_end {
    PATTERN_END_EXACT,
    PATTERN_END_REST,         /* *name */
    PATTERN_END_IMPLIED_REST, /* a '/', and everything beneath it */
};

/* Pieces alternate: text, parameter, text, parameter … text; any text but the first may be empty. */
struct pattern {
    char
        *text; /* all static bytes, one piece after the other, each in the form that path_normalize() gives */
    size_t n_params;
    size_t text_sizes[ROUTER_MAX_PARAMS + 1]; /* [i] stands before the parameter i, the last one at the end */
    struct slice names[ROUTER_MAX_PARAMS]; /* of parameters and last the catch-all; point into the source */
    enum pattern_end end;                  /* with a catch-all, it is the last of the parameters */
};

/* Takes a path pattern apart. On failure returns -EINVAL, with one sentence about what is wrong in `problem`.
 * The source must outlive the pattern. */
int pattern_parse(struct pattern *pattern, const char *source, bool implied_rest, struct strbuf *problem)
    _warn_unused_;
void pattern_deinit(struct pattern *pattern);

/* Checks a host: "", a name or address in lower case, or "*." and a name. The same conventions. */
int pattern_check_host(const char *host, struct strbuf *problem) _warn_unused_;
