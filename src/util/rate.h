#pragma once
/* A token bucket, as the generic cell rate algorithm (ITU-T I.371, annex A). Pure.
 *
 * A bucket holds up to `burst` tokens and gets `count` of them per `period`, evenly. Instead of its tokens,
 * which would have to be counted up as time goes by, it keeps the moment at which it will be full: taking a
 * token puts that off by period / count. What does not divide evenly is kept as a fraction, so that nothing
 * is lost however long it goes on. Until that moment lies in the past, and with the state all zero, a bucket
 * is full: there is no difference between one that nobody used for a while and none. */

#include "util/clock.h"

#define RATE_COUNT_MAX 1000000u
#define RATE_PERIOD_MAX (3600 * USEC_PER_SEC)

struct rate {
    uint32_t count; /* 1 to RATE_COUNT_MAX */
    uint32_t burst; /* 1 to RATE_COUNT_MAX */
    usec_t period;  /* 1 to RATE_PERIOD_MAX */
};

struct bucket {
    usec_t full_at;
    uint32_t fraction; /* behind that, in 1/count of a microsecond */
};

struct rate_verdict {
    bool allowed;
    uint32_t remaining; /* tokens left */
    usec_t retry_after; /* until there is one; 0 when there is */
    usec_t full_after;  /* until the bucket is full */
};

/* Takes a token, if there is one. */
void rate_take(const struct rate *rate, struct bucket *bucket, usec_t now, struct rate_verdict *ret);
/* Puts one back that was taken and not used. */
void rate_give_back(const struct rate *rate, struct bucket *bucket, usec_t now);
/* How long until the bucket is full: the longer, the more was taken from it. */
usec_t rate_full_after(const struct rate *rate, const struct bucket *bucket, usec_t now);
/* Takes what it would take that long to fill in again, down to nothing at most. */
void rate_drain(const struct rate *rate, struct bucket *bucket, usec_t length, usec_t now);
/* How long an empty bucket takes to be full. */
usec_t rate_fill_time(const struct rate *rate);
