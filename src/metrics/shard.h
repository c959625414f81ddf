#pragma once
/* What the counting and the reading halves of metrics/ share. Private to metrics/. */

#include <stdatomic.h>

#include "metrics/layout.h"

typedef _Atomic(uint64_t) metrics_cell;

/* One worker's cells. Pages of its own: no cache line is shared with another shard, and cells that nothing
 * was ever counted in cost no memory. */
struct metrics_shard {
    const struct metrics_layout *layout;
    _Alignas(64) metrics_cell cells[];
};

struct metrics {
    struct metrics_layout layout;
    size_t shard_size; /* bytes */
    unsigned n_shards;
    struct metrics_shard **shards; /* the workers', and one more for what was inherited */
    uint64_t *told;                /* by cell: what metrics_take_delta() has given away; NULL: nothing yet */
};

static inline size_t metrics_told_size(const struct metrics *metrics)
{
    return metrics->layout.n_cells * sizeof(*metrics->told) + 1;
}

/* The sum over all shards of the cell at `offset` (within a histogram, else 0) of a series. */
uint64_t metrics_sum(const struct metrics *metrics, enum metric metric, size_t series, size_t offset);
void metrics_sum_histogram(const struct metrics *metrics, enum metric metric, size_t series,
                           struct histogram *ret);
