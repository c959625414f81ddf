#include "metrics/transfer.h"

#include <sys/mman.h>

#include "metrics/shard.h"

/* Sums for our own use have no name for the rest of the world. */
static const char *name_of(enum metric metric)
{
    return metric_families[metric].name ? metric_families[metric].name : "requests_by_class";
}

static bool is_transferable(enum metric metric)
{
    return metric_families[metric].type != METRIC_GAUGE;
}

/* --- out --------------------------------------------------------------------------------------------------
 */

static uint64_t take_cell(struct metrics *metrics, size_t cell)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < metrics->n_shards + 1; i++)
        sum += atomic_load_explicit(&metrics->shards[i]->cells[cell], memory_order_relaxed);
    const uint64_t change = sum - metrics->told[cell];
    if (change > 0)
        metrics->told[cell] = sum;
    return change;
}

static json_t *json_of(uint64_t value)
{
    return json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX));
}

static json_t *describe_labels(const struct metrics *metrics, enum metric metric, size_t series)
{
    struct metric_label labels[LAYOUT_MAX_LABELS];
    const size_t n = layout_labels(&metrics->layout, metric, series, labels);
    json_t *object = json_object();
    for (size_t i = 0; i < n; i++) /* what is no UTF-8 cannot be told, and starts anew */
        json_object_set_new(object, labels[i].name, json_string(labels[i].value));
    return object;
}

static void take_series(struct metrics *metrics, enum metric metric, size_t series, json_t *list)
{
    if (!layout_is_named(&metrics->layout, metric, series))
        return;
    const size_t stride = layout_stride(metric);
    const size_t first = metrics->layout.first[metric] + series * stride;
    uint64_t changes[LAYOUT_HISTOGRAM_CELLS];
    bool changed = false;
    for (size_t i = 0; i < stride; i++) {
        changes[i] = take_cell(metrics, first + i);
        changed |= changes[i] > 0;
    }
    if (!changed)
        return;
    json_t *entry = json_object();
    json_object_set_new(entry, "labels", describe_labels(metrics, metric, series));
    if (stride == 1) {
        json_object_set_new(entry, "value", json_of(changes[0]));
    } else {
        json_t *cells = json_array();
        for (size_t i = 0; i < stride; i++)
            json_array_append_new(cells, json_of(changes[i]));
        json_object_set_new(entry, "cells", cells);
    }
    json_array_append_new(list, entry);
}

static void make_told(struct metrics *metrics)
{
    if (metrics->told)
        return;
    /* Zero pages that nothing is written to cost nothing. */
    void *told =
        /* cppcheck-suppress invalidFunctionArg ; -1 is what belongs there */
        mmap(NULL, metrics_told_size(metrics), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED)
        abort();
    metrics->told = told;
}

json_t *metrics_take_delta(struct metrics *metrics)
{
    json_t *document = json_object();
    make_told(metrics);
    for (size_t m = 0; m < _METRIC_COUNTED_MAX; m++) {
        if (!is_transferable((enum metric)m))
            continue;
        json_t *list = json_array();
        for (size_t series = 0; series < metrics->layout.n_series[m]; series++)
            take_series(metrics, (enum metric)m, series, list);
        if (json_array_size(list) > 0)
            json_object_set(document, name_of((enum metric)m), list);
        json_decref(list);
    }
    return document;
}

/* --- in ---------------------------------------------------------------------------------------------------
 */

static const char *label_value(void *userdata, const char *name)
{
    return json_string_value(json_object_get(userdata, name));
}

static uint64_t number_of(const json_t *value)
{
    const json_int_t n = json_is_integer(value) ? json_integer_value(value) : 0;
    return n > 0 ? (uint64_t)n : 0;
}

/* Only the control thread writes to what was inherited. */
static void add_to_cell(struct metrics *metrics, size_t cell, uint64_t n)
{
    metrics_cell *to = &metrics->shards[metrics->n_shards]->cells[cell];
    const uint64_t old = atomic_load_explicit(to, memory_order_relaxed);
    if (n <= (uint64_t)INT64_MAX - MIN(old, (uint64_t)INT64_MAX))
        atomic_store_explicit(to, old + n, memory_order_relaxed);
}

static void add_series(struct metrics *metrics, enum metric metric, const json_t *entry)
{
    json_t *labels = json_object_get(entry, "labels");
    size_t series;
    if (!layout_find(&metrics->layout, metric, label_value, labels, &series))
        return;
    const size_t stride = layout_stride(metric);
    const size_t first = metrics->layout.first[metric] + series * stride;
    if (stride == 1) {
        add_to_cell(metrics, first, number_of(json_object_get(entry, "value")));
        return;
    }
    const json_t *cells = json_object_get(entry, "cells");
    if (json_array_size(cells) != stride)
        return; /* other buckets mean other things */
    for (size_t i = 0; i < stride; i++)
        add_to_cell(metrics, first + i, number_of(json_array_get(cells, i)));
}

void metrics_add(struct metrics *metrics, const json_t *document)
{
    for (size_t m = 0; m < _METRIC_COUNTED_MAX; m++) {
        if (!is_transferable((enum metric)m))
            continue;
        const json_t *list = json_object_get(document, name_of((enum metric)m));
        for (size_t i = 0; i < json_array_size(list); i++)
            add_series(metrics, (enum metric)m, json_array_get(list, i));
    }
}
