#pragma once
/* Latency histograms with fixed bounds: 1, 2.5 and 5 in each decade from 25 us to 60 s. Pure. */

#include "util/clock.h"

#define HISTOGRAM_BUCKETS 21 /* the last one has no upper bound */

/* Upper bounds, inclusive, as Prometheus' `le` has it; the last is USEC_INFINITY. */
extern const usec_t histogram_bounds[HISTOGRAM_BUCKETS];

/* For each power of two, the first bucket whose bound is not below it. */
extern const uint8_t histogram_first_bucket[64];

/* The bucket that a duration falls into. Each octave holds at most one bound, so one comparison decides. */
static inline unsigned histogram_bucket(usec_t duration)
{
    unsigned octave = 63u - (unsigned)__builtin_clzll(duration | 1);
    unsigned bucket = histogram_first_bucket[octave];
    return bucket + (duration > histogram_bounds[bucket]);
}

struct histogram {
    uint64_t buckets[HISTOGRAM_BUCKETS]; /* each counts its own, not those below it */
    uint64_t sum;                        /* microseconds */
};

uint64_t histogram_count(const struct histogram *histogram);
/* An estimate of the q-quantile (0 to 1), interpolated within its bucket as Prometheus' histogram_quantile()
 * does: the largest finite bound for what lies beyond it, 0 when nothing was counted. */
usec_t histogram_quantile(const struct histogram *histogram, double q);
