#include "http/pace.h"

void pace_begin(struct pace *pace, const struct pace_limits *limits, usec_t now)
{
    *pace = (struct pace){.ends_at = usec_add(now, limits->grace), .moved_at = now};
}

/* How long so many bytes may take. */
static usec_t worth(uint64_t bytes, uint64_t rate)
{
    if (rate == 0 || bytes > UINT64_MAX / USEC_PER_SEC)
        return USEC_INFINITY;
    return bytes * USEC_PER_SEC / rate;
}

void pace_progress(struct pace *pace, const struct pace_limits *limits, uint64_t bytes, usec_t now)
{
    if (bytes == 0)
        return;
    pace->moved_at = now;
    pace->ends_at =
        usec_min(usec_add(pace->ends_at, worth(bytes, limits->min_rate)), usec_add(now, limits->grace));
}

void pace_skip(struct pace *pace, usec_t length)
{
    pace->ends_at = usec_add(pace->ends_at, length);
    pace->moved_at = usec_add(pace->moved_at, length);
}

enum pace_verdict pace_judge(const struct pace *pace, const struct pace_limits *limits, usec_t now)
{
    if (now < pace->ends_at)
        return PACE_IN_TIME;
    return now >= usec_add(pace->moved_at, limits->grace) ? PACE_STALLED : PACE_SLOW;
}
