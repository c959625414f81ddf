#include "gateway/snapshot.h"

#define DRAINING_MAX 64 /* MaxGenerations= allows no more */

struct snapshot {
    struct descriptor_info *descriptors;
    size_t n_descriptors;
    void *workers;
    struct admin_draining draining[DRAINING_MAX];
    struct admin_generation history[LINEAGE_HISTORY];
};

struct snapshot *snapshot_new(const struct descriptors *descriptors, size_t n_workers)
{
    struct snapshot *snapshot = xcalloc(1, sizeof(*snapshot));
    snapshot->n_descriptors = descriptors->n_items;
    snapshot->descriptors = xcalloc(descriptors->n_items, sizeof(*snapshot->descriptors));
    for (size_t i = 0; i < descriptors->n_items; i++)
        snapshot->descriptors[i] =
            (struct descriptor_info){descriptors->items[i].name, descriptors->items[i].address};
    snapshot->workers = xcalloc(n_workers, sizeof(*((struct admin_snapshot *)NULL)->workers));
    return snapshot;
}

struct snapshot *snapshot_free(struct snapshot *snapshot)
{
    if (!snapshot)
        return NULL;
    free(snapshot->descriptors);
    free(snapshot->workers);
    free(snapshot);
    return NULL;
}

static void fill_workers(const struct crew_state *crew, struct admin_snapshot *ret)
{
    ret->n_workers = crew->n_workers;
    ret->places_taken = crew->places.connections;
    ret->places = crew->places.max;
    ret->body_memory = crew->body_memory;
    ret->body_disk = crew->body_disk;
    for (size_t i = 0; i < crew->n_workers; i++) {
        const struct worker_state *worker = &crew->workers[i];
        ret->workers[i].connections = worker->connections;
        ret->workers[i].idle = worker->idle;
        ret->workers[i].requests = worker->requests;
        ret->workers[i].turns = worker->turns;
        ret->workers[i].accepting = worker->accepting;
    }
}

static size_t fill_draining(struct snapshot *snapshot, const struct ancestors *ancestors, usec_t now)
{
    size_t n = 0;
    const struct ancestor *ancestor;
    while (n < DRAINING_MAX && (ancestor = ancestors_get(ancestors, n)) != NULL)
        snapshot->draining[n++] = (struct admin_draining){
            .generation = ancestor->generation,
            .requests = ancestor->requests,
            .connections = ancestor->connections,
            .left = ancestor->deadline == USEC_INFINITY ? USEC_INFINITY : usec_sub(ancestor->deadline, now),
        };
    return n;
}

static void fill_history(struct snapshot *snapshot, const struct lineage *lineage)
{
    for (size_t i = 0; i < lineage->n_history; i++) {
        const struct lineage_entry *entry = &lineage->history[i];
        snapshot->history[i] = (struct admin_generation){
            .generation = entry->generation,
            .origin = lineage_origin_to_string(entry->origin),
            .release = entry->release,
            .started_realtime = entry->started_realtime,
        };
    }
}

void snapshot_fill(struct snapshot *snapshot, const struct crew_state *crew, const struct lineage *lineage,
                   const struct ancestors *ancestors, usec_t now, struct admin_snapshot *ret)
{
    ret->workers = snapshot->workers;
    ret->descriptors = snapshot->descriptors;
    ret->n_descriptors = snapshot->n_descriptors;
    fill_workers(crew, ret);
    ret->draining = snapshot->draining;
    ret->n_draining = fill_draining(snapshot, ancestors, now);
    ret->history = snapshot->history;
    ret->n_history = lineage->n_history;
    fill_history(snapshot, lineage);
    ret->lineage = (struct metrics_lineage){
        .reloads = lineage->reloads,
        .reloads_failed = lineage->reloads_failed,
        .restarts = lineage->restarts,
        .crashes = lineage->crashes,
        .moved = lineage->moved,
        .parked = lineage->parked,
        .closed = lineage->closed,
        .last_start = lineage->last.start,
        .last_hand_over = lineage->last.hand_over,
        .draining = ret->n_draining,
    };
}
