#pragma once
/* The idle connections to one target. Private to the client.
 *
 * Idle connections are watched for reading, so that one that the target closes, or on which it says something
 * unasked, goes at once. The one used last is used next, so that surplus ones age and go. */

#include "upstream/connection.h"
#include "upstream/context.h"

struct client_pool {
    struct client_context *context;
    const struct upstream_config *upstream;
    const struct target_config *target;
    void (*on_change)(void *userdata, int change);
    void (*on_connection)(void *userdata, int change);
    void *userdata;
    struct list idle; /* of struct connection; used last comes first */
    size_t n_idle;
    size_t n_active;     /* exchanges under way */
    unsigned generation; /* draining begins a new one; connections of older ones are not kept */
};

/* A connection is about to be opened (+1), or is closed, or was not opened after all (-1). */
static inline void pool_count(const struct client_pool *pool, int change)
{
    if (pool->on_connection)
        pool->on_connection(pool->userdata, change);
}

/* A connection that is still good, and now the caller's; NULL when there is none. */
struct connection *pool_take(struct client_pool *pool);
/* Takes over a connection whose exchange has ended in good order; keeps or closes it. `idle_max`: for how
 * long the target keeps it. */
void pool_give(struct client_pool *pool, struct connection *connection, usec_t idle_max);
