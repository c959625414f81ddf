#pragma once
/* A connection to a target: a socket on h2o's loop and one deadline. What happens to it is told to its owner
 * of the moment: an exchange, or the pool while it is idle.
 *
 * h2o's sockets serve for readiness only. Reading and writing are done by the owner on the descriptor, as h2o
 * keeps errno to itself, reads without a bound, and does not say how much of a write was taken. */

#include "config/config.h"
#include "util/deadline.h"
#include "util/list.h"
#include "util/slice.h"

struct client_context;
struct client_pool;
struct st_h2o_socket_t;

struct connection_events {
    /* The outcome of connection_open(): 0 or an errno, ETIMEDOUT when it took too long. */
    void (*on_connect)(void *owner, int error);
    void (*on_readable)(void *owner);
    void (*on_writable)(void *owner);
    void (*on_deadline)(void *owner);
};

struct connection {
    struct client_context *context;
    struct client_pool *pool;       /* where it may return to */
    struct st_h2o_socket_t *socket; /* NULL until a connect was begun */
    const struct connection_events *events;
    void *owner;
    struct deadline deadline;
    const struct address_config *address; /* while connecting */
    usec_t connect_by;
    usec_t retry_after;  /* the wait before connecting is tried once more */
    unsigned generation; /* the pool's when it was made */
    struct list idle;    /* the pool's */
};

struct connection *connection_new(struct client_context *context, struct client_pool *pool,
                                  unsigned generation);
/* Closes the socket. Accepts NULL, returns NULL. */
struct connection *connection_free(struct connection *connection);

static inline void connection_set_owner(struct connection *connection, const struct connection_events *events,
                                        void *owner)
{
    connection->events = events;
    connection->owner = owner;
}

/* Connects: 0 when that is done already, -EINPROGRESS when on_connect will tell, or why it failed. */
int connection_open(struct connection *connection, const struct address_config *address, usec_t timeout)
    _warn_unused_;

int connection_fd(const struct connection *connection);
/* on_readable follows for as long as there is something to read. Costs a system call in the loop when it
 * changes anything. */
void connection_read_start(struct connection *connection);
void connection_read_stop(struct connection *connection);
/* on_writable follows, once. */
void connection_await_writable(struct connection *connection);
/* on_deadline follows at that time of the monotonic clock; USEC_INFINITY: never. */
void connection_set_deadline(struct connection *connection, usec_t at);
/* Whether an idle connection is still good: nothing to read, and not closed. Asks the kernel, as the news may
 * be waiting in the loop's queue. */
bool connection_is_quiet(const struct connection *connection);
/* Gives the socket away, not being read, with what was read from it already in its input buffer, and frees
 * the connection. */
struct st_h2o_socket_t *connection_release(struct connection *connection, struct slice input);

/* For the context: a deadline of a connection has come. */
void connection_on_deadline(struct deadline *deadline);
