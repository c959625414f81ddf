#pragma once
/* The requests of one worker that wait for one upstream. Pure: a queue, and when who may go.
 *
 * What holds of a held request, from hold_add() until it leaves:
 *
 *   - Nothing of it is at a target, so it may be sent, whatever its method: it was never sent, or it may be
 *     sent again (upstream/retry.h), and it has no connection and no permit.
 *   - It is whole: head and body are here, in memory or on disk, and counted by roster_hold() against
 * HoldMax= and HoldMaxSize= of all workers together.
 *   - It leaves in exactly one way: it goes out (hold_next), its time is over (hold_expired), or its owner
 *     takes it out (hold_remove) since its client went away or its own timeout came. Each gives back what
 *     roster_hold() counted.
 *   - None overtakes: those that came earlier go out earlier, and one that could not go after all comes back
 *     to where it was. So of one client's requests each goes out after those before it.
 *   - It never waits longer than HoldSec= since it last had a chance that was lost by the target's fault.
 *   - It does not depend on a successor: when the gateway is replaced, the requests that it holds stay its
 * own.
 *
 * They go out at a bounded rate, so that an app that has just come up is not run over. Requests that arrive
 * while others wait queue up behind them; each of these allows one more to go, or the queue might never end.
 */

#include "util/clock.h"
#include "util/list.h"
#include "util/macros.h"

struct hold_entry {
    struct list link; /* in the queue */
    usec_t since;
    size_t size; /* bytes that the request has */
    bool queued;
};

struct hold_queue {
    struct list entries; /* the oldest first */
    size_t n;
    usec_t patience; /* HoldSec= */
    usec_t interval; /* between two that go out */
    usec_t free_at;  /* when the next may; in the past: some may at once */
    usec_t burst;    /* how far in the past it may lie */
};

/* `rate`: how many a second, of this worker. */
void hold_init(struct hold_queue *queue, usec_t patience, unsigned rate);
/* Puts one in its place by entry->since, which the caller has set: behind others of the same time, or, if it
 * has been in the queue before, in front of them. */
void hold_add(struct hold_queue *queue, struct hold_entry *entry, bool again);
/* Harmless when it is not queued. */
void hold_remove(struct hold_queue *queue, struct hold_entry *entry);
/* One has arrived behind others while a target is ready: one more may go. */
void hold_allow_one(struct hold_queue *queue);
/* Takes out the oldest, if it may go by the rate; NULL otherwise. */
struct hold_entry *hold_next(struct hold_queue *queue, usec_t now);
/* Takes out the oldest whose patience is at an end; NULL when there is none (left). */
struct hold_entry *hold_expired(struct hold_queue *queue, usec_t now);
/* When the next may go by the rate; USEC_INFINITY when nothing waits. */
usec_t hold_next_at(const struct hold_queue *queue);
