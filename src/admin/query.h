#pragma once
/* The query of a request: name=value, joined by '&', each with %XX for what cannot stand there itself. '+' is
 * a plus. Private to admin/. */

#include "util/slice.h"
#include "util/strbuf.h"

/* Longer than any name or address that there can be. */
#define QUERY_VALUE_MAX 512

struct query_parameter {
    const char *name;
    bool required;
    char *value; /* NULL: not given */
};

/* Takes the values of `parameters`, which must be all that the query has; none may be there twice, or, where
 * it is required, be missing or empty. False, and a sentence in `error`, when that is not so. In both cases
 * query_deinit() frees what was taken. */
bool query_parse(struct slice query, struct query_parameter *parameters, size_t n, struct strbuf *error)
    _warn_unused_;
void query_deinit(struct query_parameter *parameters, size_t n);
