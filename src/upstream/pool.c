#include "upstream/pool.h"

static void close_idle(struct client_pool *pool, struct connection *connection)
{
    list_unlink(&connection->idle);
    pool->n_idle--;
    connection_free(connection);
    if (pool->on_change)
        pool->on_change(pool->userdata, -1);
}

/* End of file, an error, or bytes that belong to no response: whatever it is, the connection is done for. */
static void on_idle_event(void *owner)
{
    struct connection *connection = owner;
    struct client_pool *pool = connection->pool;
    close_idle(pool, connection);
}

static const struct connection_events idle_events = {
    .on_readable = on_idle_event,
    .on_deadline = on_idle_event,
};

struct client_pool *client_pool_new(struct client_context *context, const struct upstream_config *upstream,
                                    const struct target_config *target,
                                    void (*on_pool_change)(void *userdata, int change),
                                    void (*on_connection)(void *userdata, int change), void *userdata)
{
    struct client_pool *pool = xcalloc(1, sizeof(*pool));

    pool->context = context;
    pool->upstream = upstream;
    pool->target = target;
    pool->on_change = on_pool_change;
    pool->on_connection = on_connection;
    pool->userdata = userdata;
    list_init(&pool->idle);
    context->n_pools++;
    return pool;
}

struct client_pool *client_pool_free(struct client_pool *pool)
{
    if (!pool)
        return NULL;
    assert(pool->n_active == 0);
    client_pool_drain(pool);
    pool->context->n_pools--;
    free(pool);
    return NULL;
}

void client_pool_drain(struct client_pool *pool)
{
    pool->generation++;
    while (!list_is_empty(&pool->idle))
        close_idle(pool, list_entry(pool->idle.next, struct connection, idle));
}

void client_pool_close_one(struct client_pool *pool)
{
    if (!list_is_empty(&pool->idle))
        close_idle(pool, list_entry(pool->idle.prev, struct connection, idle));
}

void client_pool_set_userdata(struct client_pool *pool, void *userdata)
{
    pool->userdata = userdata;
}

size_t client_pool_active(const struct client_pool *pool)
{
    return pool->n_active;
}

size_t client_pool_idle(const struct client_pool *pool)
{
    return pool->n_idle;
}

bool client_pool_has_idle(struct client_pool *pool)
{
    while (!list_is_empty(&pool->idle)) {
        struct connection *connection = list_entry(pool->idle.next, struct connection, idle);
        if (connection_is_quiet(connection))
            return true;
        close_idle(pool, connection);
    }
    return false;
}

struct connection *pool_take(struct client_pool *pool)
{
    if (!client_pool_has_idle(pool))
        return NULL;
    struct connection *connection = list_entry(pool->idle.next, struct connection, idle);
    list_unlink(&connection->idle);
    pool->n_idle--;
    connection_set_deadline(connection, USEC_INFINITY);
    if (pool->on_change)
        pool->on_change(pool->userdata, -1);
    return connection;
}

void pool_give(struct client_pool *pool, struct connection *connection, usec_t idle_max)
{
    usec_t idle = MIN(pool->upstream->pool_idle_timeout, idle_max);

    if (idle == 0 || pool->n_idle >= pool->upstream->pool_size ||
        connection->generation != pool->generation) {
        connection_free(connection);
        return;
    }
    connection_set_owner(connection, &idle_events, connection);
    connection_read_start(connection);
    connection_set_deadline(connection, usec_add(now_monotonic(), idle));
    list_prepend(&pool->idle, &connection->idle);
    pool->n_idle++;
    if (pool->on_change)
        pool->on_change(pool->userdata, +1);
}
