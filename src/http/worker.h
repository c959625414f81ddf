#pragma once
/* A thread with a loop and a server. The control thread talks to it by messages; what it says about itself is
 * read from atomics. */

#include "http/server.h"

struct worker;

struct worker_options {
    unsigned index;
    struct accept_group *group;
    const struct config *config;
    const struct router *router;
    struct metrics_shard *metrics;
    struct journal *journal;
    struct roster *roster;
    struct limits *limits;
    struct body_store *bodies;
    struct rate_limits *rate_limits;
    const struct server_socket *sockets;
    size_t n_sockets;
};

/* Starts the thread. It accepts nothing until worker_accept(). */
int worker_new(struct worker **ret, const struct worker_options *options) _warn_unused_;
/* Ends the thread and waits for it; what it has stays. */
void worker_end(struct worker *worker);
/* Cuts what is left, ends the thread and waits for it. Accepts NULL, returns NULL. */
struct worker *worker_free(struct worker *worker);

/* Each is a message; the outcome shows in worker_state(). */
/* See server_start_accepting(). */
void worker_accept(struct worker *worker, struct flight_slot *flight);
void worker_drain(struct worker *worker, usec_t quiet);
/* See server_give_away(); the taker is called on the worker's thread. */
void worker_give_away(struct worker *worker, usec_t quiet, connection_taker taker, void *userdata);
/* See server_adopt(). */
void worker_adopt(struct worker *worker, const struct moving_connection *connection);
void worker_cut(struct worker *worker);
/* See server_wake(). Any thread. */
void worker_wake(struct worker *worker, const struct upstream_config *upstream);
/* Asks the loop to turn now, so that worker_turns() moves even when nothing happens. */
void worker_poke(struct worker *worker);
/* Test hook: the loop blocks for ever in a callback. */
void worker_wedge(struct worker *worker);

struct worker_state {
    bool accepting;
    bool failed;  /* it could not begin to accept */
    bool drained; /* draining and no connection left, nor one on its way here; may be over again when one
                   * comes back */
    uint64_t turns;
    size_t connections, idle, requests, cut;
};
void worker_state(const struct worker *worker, struct worker_state *ret);
