#include "upstream/hold.h"

/* Those that may go at once after a pause: what the rate allows in this time. */
#define BURST_TIME (50 * USEC_PER_MSEC)

void hold_init(struct hold_queue *queue, usec_t patience, unsigned rate)
{
    assert(rate > 0);
    *queue = (struct hold_queue){
        .patience = patience,
        .interval = MAX(USEC_PER_SEC / rate, (usec_t)1),
        .burst = BURST_TIME,
    };
    list_init(&queue->entries);
}

/* Whether one that waits since `since` stands in front of `entry`. */
static bool is_before(usec_t since, const struct hold_entry *entry, bool again)
{
    return again ? since < entry->since : since <= entry->since;
}

void hold_add(struct hold_queue *queue, struct hold_entry *entry, bool again)
{
    struct list *after = queue->entries.prev;

    assert(!entry->queued);
    /* From the end: most have just come. */
    while (after != &queue->entries &&
           !is_before(list_entry(after, struct hold_entry, link)->since, entry, again))
        after = after->prev;
    list_prepend(after, &entry->link); /* right behind it */
    entry->queued = true;
    queue->n++;
}

void hold_remove(struct hold_queue *queue, struct hold_entry *entry)
{
    if (!entry->queued)
        return;
    list_unlink(&entry->link);
    entry->queued = false;
    queue->n--;
}

void hold_allow_one(struct hold_queue *queue)
{
    queue->free_at = usec_sub(queue->free_at, queue->interval);
}

static struct hold_entry *oldest(const struct hold_queue *queue)
{
    return queue->n > 0 ? list_entry(queue->entries.next, struct hold_entry, link) : NULL;
}

struct hold_entry *hold_next(struct hold_queue *queue, usec_t now)
{
    struct hold_entry *entry = oldest(queue);

    if (!entry || queue->free_at > now)
        return NULL;
    queue->free_at = usec_add(MAX(queue->free_at, usec_sub(now, queue->burst)), queue->interval);
    hold_remove(queue, entry);
    return entry;
}

struct hold_entry *hold_expired(struct hold_queue *queue, usec_t now)
{
    struct hold_entry *entry = oldest(queue);

    if (!entry || usec_add(entry->since, queue->patience) > now)
        return NULL;
    hold_remove(queue, entry);
    return entry;
}

usec_t hold_next_at(const struct hold_queue *queue)
{
    return queue->n > 0 ? queue->free_at : USEC_INFINITY;
}
