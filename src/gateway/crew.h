#pragma once
/* All workers as one: built together, told together, and looked at together. */

#include "gateway/plan.h"
#include "http/limits.h"
#include "http/worker.h"
#include "lifecycle/descriptors.h"
#include "lifecycle/flight.h"

struct crew;

struct crew_options {
    const struct plan *plan;
    const struct descriptors *descriptors;
    struct metrics *metrics; /* with a shard for each worker */
    struct journal *journal;
    struct roster *roster;
    struct rate_limits *rate_limits;
};

/* As many workers as the configuration says, each with every socket. They accept nothing yet. */
int crew_new(struct crew **ret, const struct crew_options *options) _warn_unused_;
/* Ends all threads and waits for them: none calls anybody any more. */
void crew_end(struct crew *crew);
/* The same, and frees what they had. Accepts NULL, returns NULL. */
struct crew *crew_free(struct crew *crew);

/* Messages to all; what becomes of them shows in crew_look(). What they have in flight is told in `flight`,
 * which may be NULL. */
void crew_accept(struct crew *crew, struct flight *flight);
void crew_drain(struct crew *crew, usec_t quiet);
/* See server_give_away(); the taker is called on the workers' threads. */
void crew_give_away(struct crew *crew, usec_t quiet, connection_taker taker, void *userdata);
/* One of them, in turn, serves a connection from elsewhere; see server_adopt(). */
void crew_adopt(struct crew *crew, const struct moving_connection *connection);
void crew_cut(struct crew *crew);
/* See server_wake(). Any thread. */
void crew_wake(struct crew *crew, const struct upstream_config *upstream);
void crew_poke(struct crew *crew);
void crew_wedge(struct crew *crew, size_t worker);

struct crew_state {
    size_t n_workers;
    size_t n_accepting, n_failed, n_drained;
    size_t connections, requests, cut;
    struct limits_state places;      /* client connections that count */
    uint64_t body_memory, body_disk; /* bytes of request bodies */
    const struct worker_state *workers;
    const uint64_t *turns; /* of each */
};
/* What the workers say about themselves now. Valid until the next call. */
const struct crew_state *crew_look(struct crew *crew);
