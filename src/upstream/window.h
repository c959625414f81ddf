#pragma once
/* A sliding window over what came of calls, with a sum that is always at hand. Pure.
 *
 * Of calls: a ring of the last so many, two bits each.
 * Of time: a ring of parts, each the sum of one second's calls, the current second's among them. A window of
 * more than WINDOW_PARTS_MAX seconds has parts of several seconds, all of the same length, and forgets in
 * steps of that length: it is up to one part longer than asked for. */

#include "config/config.h"
#include "util/clock.h"
#include "util/macros.h"

#define WINDOW_PARTS_MAX 600

struct tally {
    uint64_t calls;
    uint64_t failed; /* a call can be both of these */
    uint64_t slow;
};

struct window;

/* `size` is in calls or seconds, as `kind` has it, and at least 1. */
struct window *window_new(enum breaker_window kind, unsigned size);
/* Accepts NULL. Returns NULL. */
struct window *window_free(struct window *window);

/* A `now` that is a little behind an earlier one, from another thread's clock, is taken for that. */
void window_add(struct window *window, bool failed, bool slow, usec_t now);
void window_clear(struct window *window);
struct tally window_tally(const struct window *window, usec_t now);

/* How old the calls in a window of time are on average, in seconds; 0 for a window of calls. */
uint64_t window_age(const struct window *window, usec_t now);
/* Puts the sums of another window in place of what is here: its calls as if they had come evenly mixed and
 * all at that age. Moved on in this way from window to window, a call is still forgotten when its time is
 * over. Sums that cannot be are cut to what can. */
void window_fill(struct window *window, const struct tally *tally, uint64_t age, usec_t now);
