#pragma once
/* A run of bytes that belongs to somebody else. Not NUL-terminated. */

#include <string.h>
#include <strings.h>

#include "util/macros.h"

struct slice {
    const char *data;
    size_t size;
};

#define SLICE_LITERAL(s) ((struct slice){"" s "", STRLEN(s)})

static inline struct slice slice_of(const char *s)
{
    return (struct slice){s, s ? strlen(s) : 0};
}

static inline struct slice slice_make(const char *data, size_t size)
{
    return (struct slice){data, size};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* ASCII case-insensitive comparison, as HTTP field names and hosts want it. */
static inline bool slice_caseeq(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || strncasecmp(a.data, b.data, a.size) == 0);
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.size >= prefix.size && memcmp(s.data, prefix.data, prefix.size) == 0;
}
