#pragma once
/* Conditional requests (RFC 9110 13) and byte ranges (14): what to answer, decided from the fields alone. */

#include <time.h>

#include "util/slice.h"

/* The fields of a request; data is NULL where one is missing. */
struct conditional_fields {
    struct slice if_match, if_none_match, if_modified_since, if_unmodified_since, if_range, range;
};

/* What is to be sent when nothing stands against it. */
struct conditional_target {
    struct slice etag; /* strong, with its quotes */
    time_t last_modified;
    time_t now;
    uint64_t size;
};

enum conditional_result {
    CONDITIONAL_FULL,                /* 200 */
    CONDITIONAL_PARTIAL,             /* 206, with the ranges */
    CONDITIONAL_NOT_MODIFIED,        /* 304 */
    CONDITIONAL_PRECONDITION_FAILED, /* 412 */
    CONDITIONAL_UNSATISFIABLE,       /* 416 */
};

/* More ranges than this, or ranges that together are longer than the whole, get the whole instead: nobody who
 * means well asks for them. */
#define CONDITIONAL_MAX_RANGES 16

struct byte_range {
    uint64_t first, size; /* size is never 0 */
};

struct byte_ranges {
    size_t n;
    struct byte_range range[CONDITIONAL_MAX_RANGES];
};

/* For GET and, with `is_get` false, HEAD. `ret` is filled in for CONDITIONAL_PARTIAL only, in the order in
 * which the client asked. */
enum conditional_result conditional_evaluate(const struct conditional_fields *fields,
                                             const struct conditional_target *target, bool is_get,
                                             struct byte_ranges *ret);
