#pragma once
/* One-shot timers in a binary heap, for the single-threaded event loops of the test programs. A timer is
 * embedded in what it belongs to. */

#include "util/clock.h"

struct timer {
    usec_t due;    /* USEC_INFINITY: not armed */
    usec_t queued; /* the key in the heap; at most `due`: see timers_arm() */
    size_t index;  /* in the heap, plus one; 0: not in it */
};

struct timers {
    struct timer **heap;
    size_t n, capacity;
};

void timers_deinit(struct timers *timers);
/* Arms, or moves, a timer to an absolute time. Moving it later costs nothing: the heap learns of it when the
 * earlier time has come, because nearly every time-out is moved and hardly any expires. */
void timers_arm(struct timers *timers, struct timer *timer, usec_t due);
void timers_disarm(struct timer *timer);
/* Takes the timer out altogether; for before its memory goes away. */
void timers_forget(struct timers *timers, struct timer *timer);
/* A timer that is due, disarmed; NULL when there is none. */
struct timer *timers_pop(struct timers *timers, usec_t now);
/* For epoll_wait: milliseconds until something may be due, rounded up; -1 for never. */
int timers_wait(const struct timers *timers, usec_t now);
