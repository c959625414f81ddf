#include "timers.h"

#include <limits.h>

void timers_deinit(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){0};
}

static void place(struct timers *timers, struct timer *timer, size_t i)
{
    timers->heap[i] = timer;
    timer->index = i + 1;
}

static void sift_up(struct timers *timers, struct timer *timer, size_t i)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (timers->heap[parent]->queued <= timer->queued)
            break;
        place(timers, timers->heap[parent], i);
        i = parent;
    }
    place(timers, timer, i);
}

static void sift_down(struct timers *timers, struct timer *timer, size_t i)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= timers->n)
            break;
        if (child + 1 < timers->n && timers->heap[child + 1]->queued < timers->heap[child]->queued)
            child++;
        if (timers->heap[child]->queued >= timer->queued)
            break;
        place(timers, timers->heap[child], i);
        i = child;
    }
    place(timers, timer, i);
}

void timers_arm(struct timers *timers, struct timer *timer, usec_t due)
{
    timer->due = due;
    if (timer->index != 0) {
        if (due >= timer->queued)
            return;
        timer->queued = due;
        sift_up(timers, timer, timer->index - 1);
        return;
    }
    if (timers->n == timers->capacity) {
        timers->capacity = timers->capacity ? timers->capacity * 2 : 64;
        timers->heap = xrealloc(timers->heap, timers->capacity, sizeof(*timers->heap));
    }
    timer->queued = due;
    sift_up(timers, timer, timers->n++);
}

void timers_disarm(struct timer *timer)
{
    timer->due = USEC_INFINITY;
}

void timers_forget(struct timers *timers, struct timer *timer)
{
    timer->due = USEC_INFINITY;
    if (timer->index == 0)
        return;
    size_t i = timer->index - 1;
    timer->index = 0;
    struct timer *last = timers->heap[--timers->n];
    if (last == timer)
        return;
    sift_down(timers, last, i);
    sift_up(timers, last, last->index - 1);
}

struct timer *timers_pop(struct timers *timers, usec_t now)
{
    while (timers->n > 0 && timers->heap[0]->queued <= now) {
        struct timer *timer = timers->heap[0];
        if (timer->due > now && timer->due != USEC_INFINITY) {
            timer->queued = timer->due;
            sift_down(timers, timer, 0);
            continue;
        }
        bool expired = timer->due != USEC_INFINITY;
        timers_forget(timers, timer);
        if (expired)
            return timer;
    }
    return NULL;
}

int timers_wait(const struct timers *timers, usec_t now)
{
    if (timers->n == 0 || timers->heap[0]->queued == USEC_INFINITY)
        return -1;
    usec_t left = (usec_sub(timers->heap[0]->queued, now) + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
    return left > INT_MAX ? INT_MAX : (int)left;
}
