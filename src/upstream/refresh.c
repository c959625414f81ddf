#include "upstream/refresh.h"

#define TTL_MIN (1 * USEC_PER_SEC)
#define TTL_MAX (300 * USEC_PER_SEC)
#define RETRY_MIN (1 * USEC_PER_SEC)
#define RETRY_MAX (30 * USEC_PER_SEC)

usec_t refresh_after_answer(usec_t ttl)
{
    return ttl < TTL_MIN ? TTL_MIN : usec_min(ttl, TTL_MAX);
}

usec_t refresh_after_failures(unsigned failures)
{
    usec_t delay = RETRY_MIN;

    assert(failures > 0);
    while (--failures > 0 && delay < RETRY_MAX)
        delay *= 2;
    return usec_min(delay, RETRY_MAX);
}
