#pragma once
/* Times are microseconds in a uint64_t, named usec_t; USEC_INFINITY means never. */

#include <time.h>

#include "util/macros.h"

typedef uint64_t usec_t;
#define USEC_INFINITY UINT64_MAX
#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)

static inline usec_t clock_read(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

/* CLOCK_MONOTONIC: for durations and deadlines, and what systemd wants in MONOTONIC_USEC=. */
static inline usec_t now_monotonic(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

static inline usec_t now_realtime(void)
{
    return clock_read(CLOCK_REALTIME);
}

/* a + b, and infinity where that would overflow or either is infinite. */
static inline usec_t usec_add(usec_t a, usec_t b)
{
    return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}

/* a - b, and 0 where that would be negative. */
static inline usec_t usec_sub(usec_t a, usec_t b)
{
    return a == USEC_INFINITY ? USEC_INFINITY : a > b ? a - b : 0;
}

/* The earlier of two times; an expression where MIN() in MIN() would shadow itself. */
static inline usec_t usec_min(usec_t a, usec_t b)
{
    return a < b ? a : b;
}
