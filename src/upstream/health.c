#include "upstream/health.h"

#include <stdatomic.h>

struct health {
    const struct config *config;
    atomic_bool **down; /* by upstream and target index */
};

struct health *health_new(const struct config *config)
{
    struct health *health = xcalloc(1, sizeof(*health));
    health->config = config;
    health->down = xcalloc(config->n_upstreams, sizeof(*health->down));
    for (size_t i = 0; i < config->n_upstreams; i++)
        health->down[i] = xcalloc(config->upstreams[i]->n_targets, sizeof(**health->down));
    return health;
}

struct health *health_free(struct health *health)
{
    if (!health)
        return NULL;
    for (size_t i = 0; i < health->config->n_upstreams; i++)
        free(health->down[i]);
    free(health->down);
    free(health);
    return NULL;
}

bool health_note(struct health *health, const struct upstream_config *upstream,
                 const struct target_config *target, bool up)
{
    atomic_bool *down = &health->down[upstream->index][target->index];
    /* The usual case is no change: look before writing, so that the line stays shared. */
    if (atomic_load_explicit(down, memory_order_relaxed) == !up)
        return false;
    return atomic_exchange(down, !up) == up;
}

bool health_is_up(const struct health *health, const struct upstream_config *upstream,
                  const struct target_config *target)
{
    return !atomic_load_explicit(&health->down[upstream->index][target->index], memory_order_relaxed);
}

json_t *health_export(const struct health *health)
{
    json_t *document = json_object();
    for (size_t i = 0; i < health->config->n_upstreams; i++) {
        const struct upstream_config *upstream = health->config->upstreams[i];
        json_t *targets = json_object();
        for (size_t j = 0; j < upstream->n_targets; j++) {
            const struct target_config *target = &upstream->targets[j];
            /* An address that stands there twice is down when either is. */
            const json_t *same = json_object_get(json_object_get(targets, target->address.text), "up");
            const bool up = health_is_up(health, upstream, target) && !json_is_false(same);
            json_t *value = json_object();
            json_object_set_new(value, "up", json_boolean(up));
            json_object_set_new(targets, target->address.text, value);
        }
        json_object_set_new(document, upstream->name, targets);
    }
    return document;
}

void health_import(struct health *health, const json_t *document)
{
    for (size_t i = 0; i < health->config->n_upstreams; i++) {
        const struct upstream_config *upstream = health->config->upstreams[i];
        const json_t *targets = json_object_get(document, upstream->name);
        for (size_t j = 0; j < upstream->n_targets; j++) {
            const struct target_config *target = &upstream->targets[j];
            const json_t *up = json_object_get(json_object_get(targets, target->address.text), "up");
            if (json_is_boolean(up))
                (void)health_note(health, upstream, target, json_is_true(up));
        }
    }
}
