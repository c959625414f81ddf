#pragma once
/* Where each counted series has its cell in a shard. Built once from the configuration, then read by all.
 *
 * A series is a metric with one value for each of its dimensions. Its number within the metric is that of its
 * values in row-major order, and its name for the rest of the world is the metric's name with the labels of
 * layout_labels(): numbers change with the configuration, names do not. That is what counters can be handed
 * from one process to the next by: walk families and series here, look the name up there. */

#include "metrics/family.h"
#include "metrics/histogram.h"

#define LAYOUT_MAX_LABELS (METRIC_MAX_DIMENSIONS + 1) /* a target gives two */
#define LAYOUT_N_CLASSES 6
/* Cells of one histogram: its buckets, then the sum. */
#define LAYOUT_HISTOGRAM_CELLS (HISTOGRAM_BUCKETS + 1)

struct metrics_layout {
    const struct config *config; /* borrowed */
    size_t n_values[_DIMENSION_MAX];
    size_t first[_METRIC_COUNTED_MAX]; /* cell of series 0 */
    size_t n_series[_METRIC_COUNTED_MAX];
    size_t n_cells;
    /* Two sections may share a pattern (with different methods) and two targets an address; they share their
     * cells too, because a series must not be exposed twice. Values by the configuration's index. */
    uint32_t *route_values;
    uint32_t *target_first; /* by upstream: where its targets begin in the next */
    uint32_t *target_values;
    const char **routes; /* names by value; the last one, "", is for requests that no route took */
    struct layout_target {
        const char *upstream;
        const char *address; /* NULL: nothing is called this, its series are not exposed */
    } * targets;
};

void layout_init(struct metrics_layout *layout, const struct config *config);
void layout_deinit(struct metrics_layout *layout);

static inline size_t layout_stride(enum metric metric)
{
    return metric_families[metric].type == METRIC_HISTOGRAM ? LAYOUT_HISTOGRAM_CELLS : 1;
}

static inline size_t layout_route(const struct metrics_layout *layout, const struct route_config *route)
{
    return route ? layout->route_values[route->index] : layout->n_values[DIMENSION_ROUTE] - 1;
}

/* The value of DIMENSION_CERTIFICATE for a listener's certificate with this index. */
size_t layout_certificate(const struct metrics_layout *layout, const struct listener_config *listener,
                          size_t certificate);
static inline size_t layout_target(const struct metrics_layout *layout,
                                   const struct upstream_config *upstream, const struct target_config *target)
{
    return layout->target_values[layout->target_first[upstream->index] + target->index];
}

/* A target that came later has a name now, which must stay valid; or, with NULL, has none any more. */
void layout_name_target(struct metrics_layout *layout, const struct upstream_config *upstream,
                        const struct target_config *target, const char *address);

/* The labels of a series, in the order of its dimensions. Returns how many. The strings live as long as the
 * layout. */
size_t layout_labels(const struct metrics_layout *layout, enum metric metric, size_t series,
                     struct metric_label ret[LAYOUT_MAX_LABELS]);
/* Whether a series is about something that has a name. */
bool layout_is_named(const struct metrics_layout *layout, enum metric metric, size_t series);
/* The other way: the series whose labels have the values that `label_value` tells (NULL: there is no such
 * label). False when there is none. */
bool layout_find(const struct metrics_layout *layout, enum metric metric,
                 const char *(*label_value)(void *userdata, const char *name), void *userdata, size_t *ret);
