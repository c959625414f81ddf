#pragma once
/* Whether the other side is quick enough. Pure: bytes and times in, verdict out.
 *
 * There is one deadline. It begins `grace` away; each byte that moves puts it off by the time that a byte may
 * take at `min_rate`; and it is never more than `grace` away. So silence for that long ends it, bytes that
 * trickle do so as surely, if a little later, a burst is no credit for later, and whoever moves more than
 * `min_rate` on average over the time of grace goes on for ever. */

#include "util/clock.h"

struct pace_limits {
    usec_t grace;      /* USEC_INFINITY: no hurry at all */
    uint64_t min_rate; /* bytes a second; 0: one byte is as good as many */
};

struct pace {
    usec_t ends_at;  /* the deadline */
    usec_t moved_at; /* when the last byte did */
};

enum pace_verdict {
    PACE_IN_TIME,
    PACE_STALLED, /* nothing has moved for the whole grace */
    PACE_SLOW,    /* something has, but not enough */
};

void pace_begin(struct pace *pace, const struct pace_limits *limits, usec_t now);
/* `bytes` have moved since this was said last; UINT64_MAX: some, nobody knows how many. */
void pace_progress(struct pace *pace, const struct pace_limits *limits, uint64_t bytes, usec_t now);
/* Time that the other side is not to blame for does not count. */
void pace_skip(struct pace *pace, usec_t length);
enum pace_verdict pace_judge(const struct pace *pace, const struct pace_limits *limits, usec_t now);
