#include "upstream/health.h"

#include <stdatomic.h>

struct health {
    size_t n_upstreams;
    atomic_bool **down; /* by upstream and target index */
};

struct health *health_new(const struct config *config)
{
    struct health *health = xcalloc(1, sizeof(*health));
    health->n_upstreams = config->n_upstreams;
    health->down = xcalloc(config->n_upstreams, sizeof(*health->down));
    for (size_t i = 0; i < config->n_upstreams; i++)
        health->down[i] = xcalloc(config->upstreams[i]->n_targets, sizeof(**health->down));
    return health;
}

struct health *health_free(struct health *health)
{
    if (!health)
        return NULL;
    for (size_t i = 0; i < health->n_upstreams; i++)
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
