#pragma once
/* A latency histogram with buckets that grow with the value: 128 per power of two, so that a percentile is
 * exact to 0.8 % from a microsecond to a day, in a fixed amount of memory. */

#include "util/clock.h"

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_MAX_BITS 37
#define HISTOGRAM_BUCKETS ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    usec_t sum, min, max;
};

void histogram_add(struct histogram *histogram, usec_t value);
/* The smallest value that at least `permille` / 1000 of all values do not exceed; 0 when there are none. */
usec_t histogram_quantile(const struct histogram *histogram, unsigned permille);
usec_t histogram_mean(const struct histogram *histogram);
