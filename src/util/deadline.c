#include "util/deadline.h"

static void put(struct deadlines *d, size_t place, struct deadline *deadline)
{
    d->heap[place] = deadline;
    deadline->place = place;
}

static void sift_up(struct deadlines *d, struct deadline *deadline)
{
    size_t i = deadline->place;

    for (; i > 1 && d->heap[i / 2]->key > deadline->key; i /= 2)
        put(d, i, d->heap[i / 2]);
    put(d, i, deadline);
}

static void sift_down(struct deadlines *d, struct deadline *deadline)
{
    size_t i = deadline->place;

    for (size_t child; (child = 2 * i) <= d->n; i = child) {
        if (child < d->n && d->heap[child + 1]->key < d->heap[child]->key)
            child++;
        if (d->heap[child]->key >= deadline->key)
            break;
        put(d, i, d->heap[child]);
    }
    put(d, i, deadline);
}

void deadlines_deinit(struct deadlines *d)
{
    assert(d->n == 0);
    free(d->heap);
    *d = (struct deadlines){0};
}

void deadlines_set(struct deadlines *d, struct deadline *deadline, usec_t at)
{
    deadline->at = at;
    if (deadline->place > 0) {
        if (at < deadline->key) {
            deadline->key = at;
            sift_up(d, deadline);
        }
        return;
    }
    if (at == USEC_INFINITY)
        return;
    if (d->n + 1 >= d->capacity) {
        d->capacity = MAX(d->capacity * 2, (size_t)64);
        d->heap = xrealloc(d->heap, d->capacity, sizeof(d->heap[0]));
    }
    deadline->key = at;
    put(d, ++d->n, deadline);
    sift_up(d, deadline);
}

void deadlines_remove(struct deadlines *d, struct deadline *deadline)
{
    size_t place = deadline->place;
    if (place == 0)
        return;

    struct deadline *last = d->heap[d->n--];
    if (last != deadline) {
        put(d, place, last);
        sift_up(d, last);
        sift_down(d, last);
    }
    deadline->place = 0;
    deadline->at = deadline->key = USEC_INFINITY;
}

usec_t deadlines_next(const struct deadlines *d)
{
    return d->n > 0 ? d->heap[1]->key : USEC_INFINITY;
}

struct deadline *deadlines_pop(struct deadlines *d, usec_t now)
{
    while (d->n > 0 && d->heap[1]->key <= now) {
        struct deadline *first = d->heap[1];
        if (first->at > now && first->at != USEC_INFINITY) {
            /* It was moved since it was sorted in. */
            first->key = first->at;
            sift_down(d, first);
            continue;
        }
        bool due = first->at <= now;
        deadlines_remove(d, first);
        if (due)
            return first;
    }
    return NULL;
}
