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

/* What is left without the first n bytes; n is at most the size. */
static inline struct slice slice_skip(struct slice s, size_t n)
{
    assert(n <= s.size);
    return slice_make(s.data + n, s.size - n);
}

/* Takes what stands before the next `separator`, or all, from the front of *rest, and the separator with it.
 */
static inline struct slice slice_split(struct slice *rest, char separator)
{
    const char *end = rest->size > 0 ? (const char *)memchr(rest->data, separator, rest->size) : NULL;
    const struct slice first = slice_make(rest->data, end ? (size_t)(end - rest->data) : rest->size);
    if (rest->size > 0)
        *rest = slice_skip(*rest, first.size + (end ? 1 : 0));
    return first;
}

/* Without the blanks (space and tab) at both ends, as list elements in HTTP fields have them. */
static inline struct slice slice_trim(struct slice s)
{
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_skip(s, 1);
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}
