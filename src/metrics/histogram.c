#include "metrics/histogram.h"

const usec_t histogram_bounds[HISTOGRAM_BUCKETS] = {
    25,     50,     100,    250,     500,     1000,    2500,     5000,     10000,    25000,         50000,
    100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000, USEC_INFINITY,
};

const uint8_t histogram_first_bucket[64] = {
    0,  0,  0,  0,  0,              /* 1 to 16 */
    1,                              /* 32 */
    2,                              /* 64 */
    3,                              /* 128 */
    4,                              /* 256 */
    5,                              /* 512 */
    6,  6,                          /* 1024, 2048 */
    7,                              /* 4096 */
    8,                              /* 8192 */
    9,                              /* 16384 */
    10,                             /* 32768 */
    11,                             /* 65536 */
    12,                             /* 131072 */
    13,                             /* 262144 */
    14,                             /* 524288 */
    15, 15,                         /* 1048576, 2097152 */
    16,                             /* 4194304 */
    17,                             /* 8388608 */
    18,                             /* 16777216 */
    19,                             /* 33554432 */
    20, 20, 20, 20, 20, 20, 20, 20, /* 67108864 and beyond */
    20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20,
    20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20,
};

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        count += histogram->buckets[i];
    return count;
}

usec_t histogram_quantile(const struct histogram *histogram, double q)
{
    uint64_t count = histogram_count(histogram);
    if (count == 0)
        return 0;

    double rank = q * (double)count;
    uint64_t below = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        uint64_t here = histogram->buckets[i];
        if (here > 0 && (double)(below + here) >= rank) {
            usec_t lower = i > 0 ? histogram_bounds[i - 1] : 0;
            double share = rank > (double)below ? (rank - (double)below) / (double)here : 0;
            return lower + (usec_t)((double)(histogram_bounds[i] - lower) * share);
        }
        below += here;
    }
    return histogram_bounds[HISTOGRAM_BUCKETS - 2];
}
