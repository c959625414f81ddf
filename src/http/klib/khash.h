#pragma once
/* h2o/http2_internal.h includes klib's khash.h, which Debian packages for no such use. Of it that header
 * needs the type of a map from integers and how to look into one; the files of HTTP/2 need to walk one, too.
 * The layout is klib's, unchanged since 2011, and so is the way from a key to its place, since 0.2.8: a hash
 * of the key, and from there in steps of one, two, three. */

#include <stdint.h>

typedef uint32_t khint_t;
typedef khint_t khiter_t;

#define KHASH_MAP_INIT_INT64(name, value)                                              \
    typedef struct {                                                                   \
        khint_t n_buckets, size, n_occupied, upper_bound;                              \
        uint32_t *flags; /* two bits per bucket: 1 deleted, 2 empty */                 \
        uint64_t *keys;                                                                \
        value *vals;                                                                   \
    } kh_##name##_t;                                                                   \
    static inline khiter_t kh_get_##name(const kh_##name##_t *map, uint64_t key)       \
    {                                                                                  \
        const khint_t mask = map->n_buckets - 1;                                       \
        khint_t i = (khint_t)(key >> 33 ^ key ^ key << 11) & mask;                     \
                                                                                       \
        for (khint_t step = 1; map->n_buckets > 0 && step <= map->n_buckets; step++) { \
            const unsigned flags = map->flags[i >> 4] >> ((i & 0xfU) << 1) & 3;        \
            if (flags & 2)                                                             \
                break;                                                                 \
            if (flags == 0 && map->keys[i] == key)                                     \
                return i;                                                              \
            i = (i + step) & mask;                                                     \
        }                                                                              \
        return map->n_buckets;                                                         \
    }
#define khash_t(name) kh_##name##_t
#define kh_get(name, map, key) kh_get_##name(map, key)
#define kh_end(map) ((map)->n_buckets)
#define kh_val(map, iter) ((map)->vals[iter])
#define kh_exist(map, iter) (!(((map)->flags[(iter) >> 4] >> (((iter)&0xfU) << 1)) & 3))
