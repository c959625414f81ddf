#include "journal/queue.h"

/* Before each entry lies its size. Where the rest of the memory is too short for the next entry, a header
 * with SKIP says that it begins at the start again. */
struct header {
    _Alignas(max_align_t) size_t size;
};
#define SKIP SIZE_MAX

static size_t entry_size(size_t size)
{
    const size_t unit = sizeof(struct header);
    return sizeof(struct header) + (size + unit - 1) / unit * unit;
}

static struct header *header_at(const struct queue *queue, size_t position)
{
    return (struct header *)(void *)(queue->data + position);
}

void queue_init(struct queue *queue, size_t capacity)
{
    capacity = entry_size(capacity);
    *queue = (struct queue){.data = xcalloc(1, capacity), .capacity = capacity};
}

void queue_deinit(struct queue *queue)
{
    free(queue->data);
    *queue = (struct queue){0};
}

void *queue_push(struct queue *queue, size_t size, size_t limit)
{
    if (size > queue->capacity)
        return NULL;
    const size_t need = entry_size(size);
    const size_t to_end = queue->capacity - queue->tail;
    const size_t skipped = need > to_end ? to_end : 0;
    const size_t room = MIN(limit, queue->capacity);
    if (queue->used + skipped + need > room)
        return NULL;

    if (skipped) {
        header_at(queue, queue->tail)->size = SKIP;
        queue->tail = 0;
    }
    struct header *header = header_at(queue, queue->tail);
    header->size = size;
    queue->used += skipped + need;
    queue->tail = (queue->tail + need) % queue->capacity;
    queue->n_entries++;
    return header + 1;
}

const void *queue_front(const struct queue *queue)
{
    if (queue_is_empty(queue))
        return NULL;
    const struct header *header = header_at(queue, queue->head);
    if (header->size == SKIP)
        header = header_at(queue, 0);
    return header + 1;
}

void queue_pop(struct queue *queue)
{
    assert(!queue_is_empty(queue));
    if (header_at(queue, queue->head)->size == SKIP) {
        queue->used -= queue->capacity - queue->head;
        queue->head = 0;
    }
    const size_t taken = entry_size(header_at(queue, queue->head)->size);
    queue->used -= taken;
    queue->head = (queue->head + taken) % queue->capacity;
    if (--queue->n_entries == 0)
        queue->head = queue->tail = queue->used = 0;
}
