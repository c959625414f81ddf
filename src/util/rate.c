#include "util/rate.h"

/* What is missing from a bucket is its debt, in 1/count of a microsecond: a token costs `period` of them. All
 * products are bounded by 10^6 * 3.6 * 10^9 and what is added to that once. */

static uint64_t capacity_of(const struct rate *rate)
{
    return rate->burst * rate->period;
}

/* A moment that lies further in the future than the bucket can be empty is one of another rate, or of another
 * clock: the bucket is empty, no more. */
static uint64_t debt_of(const struct rate *rate, const struct bucket *bucket, usec_t now)
{
    const uint64_t capacity = capacity_of(rate);

    if (bucket->full_at < now)
        return 0;
    if (bucket->full_at - now > capacity / rate->count)
        return capacity;
    return MIN((bucket->full_at - now) * rate->count + bucket->fraction, capacity);
}

static void set_debt(const struct rate *rate, struct bucket *bucket, uint64_t debt, usec_t now)
{
    bucket->full_at = usec_add(now, debt / rate->count);
    bucket->fraction = (uint32_t)(debt % rate->count);
}

static usec_t time_of(const struct rate *rate, uint64_t debt)
{
    return (debt + rate->count - 1) / rate->count;
}

void rate_take(const struct rate *rate, struct bucket *bucket, usec_t now, struct rate_verdict *ret)
{
    const uint64_t capacity = capacity_of(rate);
    uint64_t debt = debt_of(rate, bucket, now);

    ret->allowed = debt + rate->period <= capacity;
    ret->retry_after = ret->allowed ? 0 : time_of(rate, debt + rate->period - capacity);
    if (ret->allowed) {
        debt += rate->period;
        set_debt(rate, bucket, debt, now);
    }
    ret->remaining = (uint32_t)((capacity - debt) / rate->period);
    ret->full_after = time_of(rate, debt);
}

void rate_give_back(const struct rate *rate, struct bucket *bucket, usec_t now)
{
    const uint64_t debt = debt_of(rate, bucket, now);
    set_debt(rate, bucket, debt > rate->period ? debt - rate->period : 0, now);
}

usec_t rate_full_after(const struct rate *rate, const struct bucket *bucket, usec_t now)
{
    return time_of(rate, debt_of(rate, bucket, now));
}

void rate_drain(const struct rate *rate, struct bucket *bucket, usec_t length, usec_t now)
{
    const uint64_t capacity = capacity_of(rate), debt = debt_of(rate, bucket, now);
    const uint64_t more = length > capacity / rate->count ? capacity : length * rate->count;
    set_debt(rate, bucket, MIN(debt + more, capacity), now);
}

usec_t rate_fill_time(const struct rate *rate)
{
    return time_of(rate, capacity_of(rate));
}
