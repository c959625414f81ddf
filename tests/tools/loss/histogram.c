#include "histogram.h"

/* Values below 2^SUB_BITS have a bucket each; above, the bucket is the exponent and the SUB_BITS bits that
 * follow the leading one. */
static size_t bucket_of(usec_t value)
{
    if (value >> HISTOGRAM_SUB_BITS == 0)
        return (size_t)value;
    unsigned exponent = 63 - (unsigned)__builtin_clzll(value);
    if (exponent >= HISTOGRAM_MAX_BITS)
        return HISTOGRAM_BUCKETS - 1;
    unsigned shift = exponent - HISTOGRAM_SUB_BITS;
    return ((size_t)(shift + 1) << HISTOGRAM_SUB_BITS) + (size_t)(value >> shift) -
           ((size_t)1 << HISTOGRAM_SUB_BITS);
}

/* The largest value that falls into a bucket. */
static usec_t bucket_top(size_t bucket)
{
    size_t sub = (size_t)1 << HISTOGRAM_SUB_BITS;
    if (bucket < sub)
        return bucket;
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    return (((usec_t)(bucket & (sub - 1)) + sub + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, usec_t value)
{
    histogram->counts[bucket_of(value)]++;
    if (histogram->total == 0 || value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->total++;
    histogram->sum += value;
}

usec_t histogram_quantile(const struct histogram *histogram, unsigned permille)
{
    uint64_t wanted = (histogram->total * permille + 999) / 1000;
    uint64_t seen = 0;
    if (histogram->total == 0)
        return 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen >= wanted && seen > 0)
            return MIN(bucket_top(i), histogram->max);
    }
    return histogram->max;
}

usec_t histogram_mean(const struct histogram *histogram)
{
    return histogram->total ? histogram->sum / histogram->total : 0;
}
