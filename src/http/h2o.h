#pragma once
/* libh2o, and what its headers need to be told. Only files of http/ include this. */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wpointer-arith"
#pragma GCC diagnostic ignored "-Wcast-align"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <h2o.h>
#include <h2o/http2.h>
#pragma GCC diagnostic pop

#include "util/slice.h"

static inline h2o_iovec_t iovec_of_slice(struct slice s)
{
    return (h2o_iovec_t){(char *)(uintptr_t)s.data, s.size};
}

static inline struct slice slice_of_iovec(h2o_iovec_t v)
{
    return (struct slice){v.base, v.len};
}
