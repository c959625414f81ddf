#pragma once
/* How many bytes of request bodies all workers hold together, in memory and on disk, and the bound on it.
 * Any thread. */

#include <stdatomic.h>

#include "util/macros.h"

struct body_budget {
    uint64_t max;
    atomic_uint_fast64_t used;    /* never above max */
    atomic_uint_fast64_t on_disk; /* the part of it that is */
};

static inline void body_budget_init(struct body_budget *budget, uint64_t max)
{
    budget->max = max;
    atomic_init(&budget->used, 0);
    atomic_init(&budget->on_disk, 0);
}

/* Whether so many bytes would fit now; others may be faster. */
static inline bool body_budget_has(const struct body_budget *budget, uint64_t size)
{
    const uint64_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    return used <= budget->max && size <= budget->max - used;
}

/* Takes room for so many bytes, or takes nothing and returns false. */
static inline bool body_budget_take(struct body_budget *budget, uint64_t size)
{
    uint_fast64_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    do
        if (size > budget->max - used)
            return false;
    while (!atomic_compare_exchange_weak_explicit(&budget->used, &used, used + size, memory_order_relaxed,
                                                  memory_order_relaxed));
    return true;
}

static inline void body_budget_give(struct body_budget *budget, uint64_t size)
{
    atomic_fetch_sub_explicit(&budget->used, size, memory_order_relaxed);
}

/* What there is in memory and on disk, in bytes. */
static inline void body_budget_look(const struct body_budget *budget, uint64_t *ret_memory,
                                    uint64_t *ret_disk)
{
    const uint64_t disk = atomic_load_explicit(&budget->on_disk, memory_order_relaxed);
    const uint64_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    *ret_disk = disk;
    *ret_memory = used > disk ? used - disk : 0; /* the two are not read at one moment */
}

/* So many of the bytes that were taken are on disk from now on, or, if negative, no longer. */
static inline void body_budget_move(struct body_budget *budget, int64_t size)
{
    atomic_fetch_add_explicit(&budget->on_disk, (uint64_t)size, memory_order_relaxed);
}
