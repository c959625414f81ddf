#pragma once
/* What the files of http/ share about a server. Nobody else includes this. */

#include "http/conn.h"
#include "http/exchange.h"
#include "http/h2o.h"
#include "http/pace.h"
#include "http/server.h"
#include "http/server_upstream.h"
#include "http/timer.h"
#include "journal/allowance.h"
#include "upstream/client.h"

struct listener;

/* Kinds of records that are limited in rate, each by itself (server.c says how much). */
enum told {
    TOLD_RETRY,        /* a try that failed and was made good by another */
    TOLD_FAILURE,      /* one whose failure the client saw */
    TOLD_REFUSAL,      /* a request that broke the protocol or a limit */
    TOLD_LIMITED,      /* one beyond its rate */
    TOLD_CLIENT_FAULT, /* a connection that did */
    TOLD_BODY,         /* a body that there was no room for */
    _TOLD_MAX,
};

struct server {
    struct server_options options;
    h2o_globalconf_t globalconf;
    h2o_context_t context;
    h2o_hostconf_t *hostconf;
    h2o_pathconf_t *pathconf;
    h2o_accept_ctx_t accept_ctx;

    struct listener *listeners;
    size_t n_listeners;

    struct list conns;     /* every open connection */
    struct list idle;      /* those of HTTP/1 that are idle, the longest idle first */
    struct list exchanges; /* every request whose head is complete */
    struct list lingering;
    size_t n_conns, n_busy, n_exchanges, n_tunnels, n_lingering;
    struct flight_slot *flight; /* where they are told; NULL before it accepts, and when there is none */

    struct list handled; /* requests that wait for the handler, the first come first */
    struct loop_timer *handled_timer;
    size_t reply_size; /* bytes of what it has answered, and that is not written yet */
    size_t n_common;   /* connections of those who are not privileged */

    struct client_context *client_context;
    struct server_upstream *upstreams; /* by index */

    bool draining;
    connection_taker taker; /* while idle connections are given away */
    void *taker_userdata;
    usec_t quiet; /* of the drain; USEC_INFINITY: idle connections have all their time */
    unsigned stage;
    struct loop_timer *http2_timer; /* of their drain */
    struct timer http2_watch;       /* runs while there are HTTP/2 connections */

    uint64_t id_prefix, id_counter; /* of request ids */

    struct allowance told[_TOLD_MAX];
};

/* Whether one more record of a kind may be written now; the record then says how many were not. */
bool server_may_tell(struct server *server, enum told kind);
void server_add_withheld(struct server *server, enum told kind, struct journal_record *record);

/* (Re)starts a timer; USEC_INFINITY suspends it. */
static inline void server_timer_start(struct server *server, struct timer *timer, usec_t length)
{
    timer_start(loop_timers(server->options.loop), timer, length);
}

/* The monotonic time, read once in a turn of the loop. */
static inline usec_t server_now(const struct server *server)
{
    return timers_now(loop_timers(server->options.loop));
}

/* Closes the connection that has been idle for longest, of one listener or of any (NULL), to make room for
 * others. False when none has been for a while. */
bool server_shed(struct server *server, const struct listener_config *listener);

/* While draining: how long the next idle connection is kept. Stages, so that they do not all end at once. */
usec_t server_idle_stage(struct server *server);

/* Requests, tunnels among them, have come or gone: what is in flight is told where a crash leaves it. */
static inline void server_note_requests(struct server *server)
{
    flight_set_requests(server->flight, server->n_exchanges + server->n_tunnels);
}

/* A connection came (+1) or went (-1). */
void server_count_connections(struct server *server, int change);

/* Whether a connection ends after its next response, rather than goes on here or elsewhere. */
static inline bool server_ends(const struct server *server, const struct conn *conn)
{
    return server->draining && (!server->taker || conn->stays || conn->sock->ssl);
}

static inline const struct gateway_config *server_gateway(const struct server *server)
{
    return &server->options.config->gateway;
}

/* How fast the body of a request is to come, and how fast a response is to be taken. */
static inline struct pace_limits server_body_limits(const struct server *server)
{
    const struct gateway_config *gateway = server_gateway(server);
    return (struct pace_limits){gateway->body_timeout, gateway->body_min_rate};
}

static inline struct pace_limits server_send_limits(const struct server *server)
{
    const struct gateway_config *gateway = server_gateway(server);
    return (struct pace_limits){gateway->send_timeout, gateway->send_min_rate};
}
