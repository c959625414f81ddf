#pragma once
/* h2o/http2_internal.h includes klib's khash.h, which Debian packages for no such use. Of it that header
 * needs the type of a map from integers, and three macros in an inline function that nothing here calls;
 * http2.c needs to walk a map. The layout is klib's, unchanged since 2011. */

#include <stdint.h>

typedef uint32_t khint_t;
typedef khint_t khiter_t;
#define KHASH_MAP_INIT_INT64(name, value)                          \
    typedef struct {                                               \
        khint_t n_buckets, size, n_occupied, upper_bound;          \
        uint32_t *flags; /* two bits per bucket: empty, deleted */ \
        uint64_t *keys;                                            \
        value *vals;                                               \
    } kh_##name##_t;
#define khash_t(name) kh_##name##_t
#define kh_get(name, map, key) ((void)(key), (map)->n_buckets)
#define kh_end(map) ((map)->n_buckets)
#define kh_val(map, iter) ((map)->vals[iter])
#define kh_exist(map, iter) (!(((map)->flags[(iter) >> 4] >> (((iter)&0xfU) << 1)) & 3))
