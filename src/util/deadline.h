#pragma once
/* Many deadlines, and which of them is next. Pure: a binary heap.
 *
 * Moving a deadline further away, or forgetting it, is a mere store: its place in the heap is corrected when
 * it comes up. So the deadline of a busy connection, moved with every exchange, costs next to nothing. */

#include "util/clock.h"
#include "util/macros.h"

struct deadline {
    usec_t at;    /* USEC_INFINITY: none */
    usec_t key;   /* what it is sorted by; never later than `at` */
    size_t place; /* in the heap, from 1; 0: not in it */
};

#define DEADLINE_INIT                   \
    {                                   \
        USEC_INFINITY, USEC_INFINITY, 0 \
    }

struct deadlines {
    struct deadline **heap; /* heap[0] is not used */
    size_t n, capacity;
};

/* All must be removed. */
void deadlines_deinit(struct deadlines *deadlines);
/* Sets or moves a deadline; USEC_INFINITY forgets it. */
void deadlines_set(struct deadlines *deadlines, struct deadline *deadline, usec_t at);
/* Takes a deadline out, before its memory goes. Harmless when it is not in. */
void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline);
/* When to look again: never later than the next deadline, maybe earlier. USEC_INFINITY: there is none. */
usec_t deadlines_next(const struct deadlines *deadlines);
/* Takes out a deadline that has passed and forgets it; NULL when there is none (left). */
struct deadline *deadlines_pop(struct deadlines *deadlines, usec_t now);
