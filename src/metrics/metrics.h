#pragma once
/* Counters, gauges and latency histograms, kept per worker so that counting never shares a cache line, and
 * summed when somebody asks. Writers: only the thread that owns the shard. Readers: any thread (relaxed
 * atomics; each number is exact, a set of numbers is not a snapshot). */

#include "config/config.h"
#include "metrics/client_fault.h"
#include "metrics/histogram.h"
#include "router/method.h"
#include "util/clock.h"
#include "util/strbuf.h"

struct metrics;
struct metrics_shard;

enum metrics_protocol {
    METRICS_HTTP1,
    METRICS_HTTP2,
    METRICS_TUNNEL, /* upgraded */
    _METRICS_PROTOCOL_MAX,
};

/* What an upstream try came to. */
enum metrics_try {
    TRY_OK,
    TRY_CONNECT_FAILED,
    TRY_CONNECT_TIMEOUT,
    TRY_SEND_FAILED,
    TRY_CLOSED_EARLY,
    TRY_BAD_RESPONSE,
    TRY_FIRST_BYTE_TIMEOUT,
    TRY_TIMEOUT, /* of one try; another may follow */
    TRY_BETWEEN_BYTES_TIMEOUT,
    TRY_TRUNCATED,
    TRY_CANCELLED, /* the client went away */
    _METRICS_TRY_MAX,
};

/* As the `protocol` label and the `outcome` label spell them. */
const char *metrics_protocol_to_string(enum metrics_protocol protocol);
const char *metrics_try_to_string(enum metrics_try outcome);

/* One shard per worker. Route, upstream, target and listener numbers are the config's indices;
 * the config must outlive the metrics. */
struct metrics *metrics_new(const struct config *config, unsigned n_shards);
struct metrics *metrics_free(struct metrics *metrics);
struct metrics_shard *metrics_shard(struct metrics *metrics, unsigned index);

/* Counting. A NULL shard counts nothing: what serves the admin API is not counted, nor is a connection
 * without a listener.
 *
 * A request ended. `route` is NULL when none matched. `status` is what the client was sent, 0 when it went
 * away before that. */
void metrics_request_begin(struct metrics_shard *shard);
void metrics_request_end(struct metrics_shard *shard, const struct route_config *route, enum method method,
                         int status, usec_t duration, uint64_t bytes_in, uint64_t bytes_out);
void metrics_connection_open(struct metrics_shard *shard, const struct listener_config *listener,
                             enum metrics_protocol protocol);
/* The same for one that was opened at another process. */
void metrics_connection_adopt(struct metrics_shard *shard, const struct listener_config *listener,
                              enum metrics_protocol protocol);
void metrics_connection_close(struct metrics_shard *shard, const struct listener_config *listener,
                              enum metrics_protocol protocol);
void metrics_try_end(struct metrics_shard *shard, const struct upstream_config *upstream,
                     const struct target_config *target, enum metrics_try outcome, bool reused,
                     usec_t duration);
/* Idle connections in the pool of a target: +1, -1. */
void metrics_pool_change(struct metrics_shard *shard, const struct upstream_config *upstream,
                         const struct target_config *target, int change);
/* A try that was not the request's first. */
void metrics_retry(struct metrics_shard *shard, const struct upstream_config *upstream);
/* A request began to wait for a target; it was told that there is none. */
void metrics_hold(struct metrics_shard *shard, const struct upstream_config *upstream);
void metrics_hold_expired(struct metrics_shard *shard, const struct upstream_config *upstream);
/* Accepting paused. */
void metrics_accept_pause(struct metrics_shard *shard, const struct listener_config *listener);
/* A client was turned away. */
void metrics_client_fault(struct metrics_shard *shard, const struct listener_config *listener,
                          enum client_fault fault);
/* A request's body went to disk; there was no room for one. */
void metrics_body_spill(struct metrics_shard *shard);
void metrics_body_refused(struct metrics_shard *shard);
/* A request was refused by a rate limit of its route; one of its clients was forgotten for want of room. */
void metrics_request_limited(struct metrics_shard *shard, const struct route_config *route);
void metrics_rate_limit_evicted(struct metrics_shard *shard, const struct route_config *route);
/* A request that was ended by us: at the drain deadline. */
void metrics_request_cut(struct metrics_shard *shard);

/* What is known elsewhere and told when somebody asks. Only the thread that reads does this. `address` names
 * a target that came later, and must stay valid; with NULL it is gone. */
void metrics_name_target(struct metrics *metrics, const struct upstream_config *upstream,
                         const struct target_config *target, const char *address);
void metrics_set_held(struct metrics *metrics, const struct upstream_config *upstream, uint64_t requests,
                      uint64_t bytes);
/* `breaker`: 0 closed, 1 half-open, 2 open. */
void metrics_set_target(struct metrics *metrics, const struct upstream_config *upstream,
                        const struct target_config *target, bool ready, unsigned breaker);
/* `expires`: CLOCK_REALTIME, of the listener's certificate with this index. */
void metrics_certificate_expires(struct metrics *metrics, const struct listener_config *listener,
                                 size_t certificate, usec_t expires);

/* Sums over all shards, with what was inherited (transfer.h). */
struct metrics_totals {
    uint64_t requests; /* ended */
    uint64_t in_flight;
    uint64_t connections; /* open now, all listeners and protocols */
    uint64_t cut;
    uint64_t by_class[6]; /* by first digit of the status; [0]: the client went away */
};
void metrics_totals(const struct metrics *metrics, struct metrics_totals *ret);

/* Of this process alone, without what it has inherited. */
struct metrics_own_totals {
    uint64_t requests, cut;
};
void metrics_own_totals(const struct metrics *metrics, struct metrics_own_totals *ret);

/* For one route (NULL: what no route took), listener or target. Routes with the same pattern, and targets of
 * an upstream with the same address, share their counters. */
struct metrics_route_totals {
    uint64_t requests;
    uint64_t by_class[6];
    uint64_t bytes_in, bytes_out;
    struct histogram duration;
};
void metrics_route_totals(const struct metrics *metrics, const struct route_config *route,
                          struct metrics_route_totals *ret);
struct metrics_listener_totals {
    uint64_t connections[_METRICS_PROTOCOL_MAX]; /* open now */
    uint64_t accepted[_METRICS_PROTOCOL_MAX];
};
void metrics_listener_totals(const struct metrics *metrics, const struct listener_config *listener,
                             struct metrics_listener_totals *ret);
struct metrics_target_totals {
    uint64_t tries;
    uint64_t by_outcome[_METRICS_TRY_MAX];
    uint64_t reused;
    uint64_t idle; /* connections kept now */
    struct histogram duration;
};
void metrics_target_totals(const struct metrics *metrics, const struct upstream_config *upstream,
                           const struct target_config *target, struct metrics_target_totals *ret);

/* How one generation has followed another, since the first: no counters of ours. */
struct metrics_lineage {
    uint64_t reloads, reloads_failed, restarts, crashes;
    uint64_t moved, parked, closed; /* connections: gone over at reloads, at restarts; those that could not */
    usec_t last_start, last_hand_over;
    uint64_t draining; /* generations that do so now */
};

/* What the exposition needs to know beyond the counters. */
struct metrics_process {
    const char *version;
    uint64_t generation;
    usec_t started_realtime;
    uint64_t journal_dropped;
    const char *state; /* starting, running, draining */
    struct metrics_lineage lineage;
    uint64_t places_taken, places;   /* client connections that count, and that there may be */
    uint64_t body_memory, body_disk; /* bytes of request bodies held now */
};
/* Adds the Prometheus text exposition format 0.0.4. Implemented in metrics/exposition.c. */
void metrics_expose(const struct metrics *metrics, const struct metrics_process *process, struct strbuf *out);
