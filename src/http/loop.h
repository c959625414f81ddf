#pragma once
/* An event loop for one thread: the façade through which everything outside http/ waits for descriptors and
 * times, so that nothing else needs to know the library behind it. Not thread-safe but for loop_post(). */

#include "util/clock.h"
#include "util/macros.h"

struct loop;
struct loop_fd;
struct loop_timer;
struct timers;
struct st_h2o_evloop_t;

int loop_new(struct loop **ret) _warn_unused_;
/* All watches and timers must be gone. Accepts NULL, returns NULL. */
struct loop *loop_free(struct loop *loop);
/* Waits for events at most until the next timer or `max_wait` and runs their callbacks. */
int loop_run_once(struct loop *loop, usec_t max_wait);
struct st_h2o_evloop_t *loop_h2o(struct loop *loop);
/* What its timers are started with (http/timer.h), by those who have many. */
struct timers *loop_timers(struct loop *loop);
/* The epoll descriptor behind the loop, for registrations that h2o does not offer; negative errno when it
 * cannot be told. It stays the loop's. */
int loop_epoll_fd(struct loop *loop);

/* Calls `callback` on this loop's thread, in order. May be called from any thread. */
void loop_post(struct loop *loop, void (*callback)(void *userdata), void *userdata);

/* What was posted with this userdata, and has not been called yet, never is. On the loop's thread, not within
 * a callback of a post. */
void loop_unpost(struct loop *loop, const void *userdata);

/* Calls `callback` whenever fd is readable. The fd is borrowed: loop_fd_free() does not close it, and must be
 * called before it is closed. */
struct loop_fd *loop_fd_new(struct loop *loop, int fd, void (*callback)(void *userdata), void *userdata);
struct loop_fd *loop_fd_free(struct loop_fd *watch);

/* A one-shot timer, unarmed at first; arming an armed timer moves it. It goes by CLOCK_MONOTONIC; resolution
 * is a millisecond. */
struct loop_timer *loop_timer_new(struct loop *loop, void (*callback)(void *userdata), void *userdata);
void loop_timer_arm(struct loop_timer *timer, usec_t from_now);
void loop_timer_disarm(struct loop_timer *timer);
struct loop_timer *loop_timer_free(struct loop_timer *timer);
