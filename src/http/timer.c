#include "http/timer.h"

void timers_deinit(struct timers *timers)
{
    deadlines_deinit(&timers->deadlines);
}

usec_t timers_now(struct timers *timers)
{
    if (timers->now == 0)
        timers->now = now_monotonic();
    return timers->now;
}

usec_t timers_next(const struct timers *timers)
{
    return deadlines_next(&timers->deadlines);
}

size_t timers_run(struct timers *timers, usec_t now)
{
    /* A timer that starts itself anew, of no length, would ring for ever: at most as many as there are now.
     */
    const size_t max = timers->deadlines.n;
    struct deadline *due;
    size_t n = 0;

    timers->now = now;
    for (; n < max && (due = deadlines_pop(&timers->deadlines, now)); n++) {
        struct timer *timer = container_of(due, struct timer, deadline);
        timer->callback(timer);
    }
    return n;
}

void timer_start(struct timers *timers, struct timer *timer, usec_t length)
{
    assert(timer->callback && (!timer->timers || timer->timers == timers));
    timer->timers = timers;
    deadlines_set(&timers->deadlines, &timer->deadline,
                  length == USEC_INFINITY ? length : usec_add(timers_now(timers), length));
}

void timer_suspend(struct timer *timer)
{
    if (timer->timers)
        deadlines_set(&timer->timers->deadlines, &timer->deadline, USEC_INFINITY);
}

void timer_stop(struct timer *timer)
{
    if (timer->timers)
        deadlines_remove(&timer->timers->deadlines, &timer->deadline);
}

bool timer_is_running(const struct timer *timer)
{
    return timer->deadline.place > 0 && timer->deadline.at != USEC_INFINITY;
}
