#pragma once
/* The timers of one loop, on CLOCK_MONOTONIC. Pure: a heap of deadlines (util/deadline.h) and a notion of
 * now.
 *
 * h2o's own timers go by the wall clock, so that setting it lets them all ring at once, or none for hours;
 * and they need a list for each length there is. These ring when they should, and any length will do. loop.c
 * drives them; they are for its thread alone. */

#include "util/deadline.h"

struct timers {
    struct deadlines deadlines;
    usec_t now; /* what time timers start at; 0: to be read from the clock */
};

/* Part of what it guards. All zero but for the callback, before it is first started. */
struct timer {
    struct deadline deadline;
    struct timers *timers;                 /* where it was started */
    void (*callback)(struct timer *timer); /* may free it; it is stopped by then, and may be started anew */
};

/* All must be stopped. */
void timers_deinit(struct timers *timers);
/* The time, read once in a turn of the loop. */
usec_t timers_now(struct timers *timers);
/* When to call timers_run() next: never later than the next timer, maybe earlier. USEC_INFINITY: no need. */
usec_t timers_next(const struct timers *timers);
/* Calls back those that are due. Those that start meanwhile are not waited for, however short they are.
 * Returns how many it called. */
size_t timers_run(struct timers *timers, usec_t now);

/* (Re)starts a timer, to ring once; USEC_INFINITY suspends it. */
void timer_start(struct timers *timers, struct timer *timer, usec_t length);
/* It does not ring before it is started again. Cheaper than to stop it, but it is still known to the timers.
 */
void timer_suspend(struct timer *timer);
/* It does not ring, and its memory may go. Harmless when it does not run, or never did. */
void timer_stop(struct timer *timer);
bool timer_is_running(const struct timer *timer);
