#pragma once
/* A first-in, first-out queue of byte strings of any size in one fixed piece of memory. Each entry is
 * contiguous and aligned for any object, so that it can be used where it lies. Not thread-safe. */

#include "util/macros.h"

struct queue {
    char *data;
    size_t capacity;
    size_t head; /* where the oldest entry begins */
    size_t tail; /* where the next one goes */
    size_t used; /* bytes taken, headers and what was left unused at the end included */
    size_t n_entries;
};

/* `capacity` is in bytes and is rounded up to a multiple of the alignment. */
void queue_init(struct queue *queue, size_t capacity);
void queue_deinit(struct queue *queue);

/* Adds an entry of `size` bytes, which the caller fills in. NULL when it does not fit, or when more than
 * `limit` bytes of the queue would be in use (SIZE_MAX: all of it). */
void *queue_push(struct queue *queue, size_t size, size_t limit);
/* The oldest entry, or NULL. It stays where it is until queue_pop(), whatever is added meanwhile. */
const void *queue_front(const struct queue *queue);
void queue_pop(struct queue *queue);

static inline bool queue_is_empty(const struct queue *queue)
{
    return queue->n_entries == 0;
}
