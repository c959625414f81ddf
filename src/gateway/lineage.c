#include "gateway/lineage.h"

static const char *const origin_names[_ORIGIN_MAX] = {
    [ORIGIN_START] = "start",
    [ORIGIN_RELOAD] = "reload",
    [ORIGIN_RESTART] = "restart",
    [ORIGIN_CRASH] = "crash",
};

const char *lineage_origin_to_string(enum lineage_origin origin)
{
    assert(origin < _ORIGIN_MAX);
    return origin_names[origin];
}

/* The numbers, by name. */
static const struct {
    const char *name;
    size_t offset;
} counts[] = {
    {"reloads", offsetof(struct lineage, reloads)},
    {"reloads_failed", offsetof(struct lineage, reloads_failed)},
    {"restarts", offsetof(struct lineage, restarts)},
    {"crashes", offsetof(struct lineage, crashes)},
    {"moved", offsetof(struct lineage, moved)},
    {"parked", offsetof(struct lineage, parked)},
    {"closed", offsetof(struct lineage, closed)},
    {"last_start_usec", offsetof(struct lineage, last.start)},
    {"last_hand_over_usec", offsetof(struct lineage, last.hand_over)},
};

static uint64_t *count_at(const struct lineage *lineage, size_t i)
{
    return (uint64_t *)((uintptr_t)lineage + counts[i].offset);
}

void lineage_begin(struct lineage *lineage, uint64_t generation, enum lineage_origin origin, usec_t realtime)
{
    lineage->n_history = MIN(lineage->n_history + 1, (size_t)LINEAGE_HISTORY);
    memmove(&lineage->history[1], &lineage->history[0],
            (lineage->n_history - 1) * sizeof(lineage->history[0]));
    lineage->history[0] =
        (struct lineage_entry){.generation = generation, .origin = origin, .started_realtime = realtime};
    snprintf(lineage->history[0].release, sizeof(lineage->history[0].release), "%s", HOLDFAST_VERSION);
}

static json_t *json_of(uint64_t value)
{
    return json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX));
}

json_t *lineage_export(const struct lineage *lineage)
{
    json_t *document = json_object(), *history = json_array();
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
        json_object_set_new(document, counts[i].name, json_of(*count_at(lineage, i)));
    for (size_t i = 0; i < lineage->n_history; i++) {
        const struct lineage_entry *entry = &lineage->history[i];
        json_t *value = json_object();
        json_object_set_new(value, "generation", json_of(entry->generation));
        json_object_set_new(value, "origin", json_string(lineage_origin_to_string(entry->origin)));
        json_object_set_new(value, "started_usec", json_of(entry->started_realtime));
        json_object_set_new(value, "release", json_string(entry->release));
        json_array_append_new(history, value);
    }
    json_object_set_new(document, "history", history);
    return document;
}

static uint64_t number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    const json_int_t n = json_is_integer(value) ? json_integer_value(value) : 0;
    return n > 0 ? (uint64_t)n : 0;
}

static bool import_entry(const json_t *value, struct lineage_entry *ret)
{
    const char *origin = json_string_value(json_object_get(value, "origin"));
    const char *release = json_string_value(json_object_get(value, "release"));
    *ret = (struct lineage_entry){
        .generation = number_of(value, "generation"),
        .started_realtime = number_of(value, "started_usec"),
    };
    for (size_t i = 0; origin && i < _ORIGIN_MAX; i++)
        if (streq(origin, origin_names[i]))
            ret->origin = (enum lineage_origin)i;
    /* It is shown on terminals. */
    for (size_t i = 0; release && release[i] && i + 1 < sizeof(ret->release); i++)
        ret->release[i] = release[i] > 0x20 && release[i] < 0x7f ? release[i] : '?';
    return ret->generation > 0;
}

void lineage_import(struct lineage *lineage, const json_t *document)
{
    if (!json_is_object(document))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
        *count_at(lineage, i) = number_of(document, counts[i].name);
    const json_t *history = json_object_get(document, "history");
    lineage->n_history = 0;
    for (size_t i = 0; i < json_array_size(history) && lineage->n_history < LINEAGE_HISTORY; i++)
        lineage->n_history += import_entry(json_array_get(history, i), &lineage->history[lineage->n_history]);
}
