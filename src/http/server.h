#pragma once
/* What one thread serves: an event loop, the connections it accepted, and what answers their requests. The
 * gateway's workers are servers with routes; the admin API is a server with a handler, on the control
 * thread's loop. */

#include "config/config.h"
#include "http/accept_group.h"
#include "http/handler.h"
#include "http/loop.h"
#include "journal/journal.h"
#include "metrics/metrics.h"
#include "router/router.h"
#include "upstream/roster.h"
#include "util/flight_slot.h"
#include "util/ip_address.h"

struct server;
struct limits;      /* http/limits.h */
struct body_store;  /* http/body.h */
struct tls_config;  /* http/tls.h: one listener's certificates, shared by all workers */
struct rate_limits; /* http/rate_limit.h: shared by all workers */

/* A listening socket with the listener it belongs to. The descriptor is borrowed. */
struct server_socket {
    int fd;
    const struct listener_config *listener;
    struct tls_config *tls; /* NULL for plaintext */
};

struct server_options {
    unsigned index;             /* of the worker */
    struct accept_group *group; /* the workers that share the sockets, or NULL */
    struct loop *loop;
    const struct config *config;
    const struct router *router; /* NULL with a handler */
    struct metrics_shard *metrics;
    struct journal *journal;
    struct roster *roster;           /* NULL with a handler */
    struct body_store *bodies;       /* of the process; NULL: bodies stay in memory, and are not counted */
    struct rate_limits *rate_limits; /* of the process; NULL with a handler */
    struct limits *limits;           /* of the process; NULL: its connections are not counted */
    const struct server_socket *sockets;
    size_t n_sockets;
    request_handler handler; /* NULL: route and proxy; otherwise what follows is set, too */
    /* So many connections are there at once; of those whose clients are not privileged, max_common. */
    size_t max_connections, max_common;
    bool (*is_privileged)(void *userdata, const struct credentials *peer);
    void *userdata;
};

/* Once, before the first server and the first thread: what h2o has for the whole process. */
void server_prepare(void);
int server_new(struct server **ret, const struct server_options *options) _warn_unused_;
/* Every connection must be gone (server_is_empty) or was cut. Accepts NULL, returns NULL. */
struct server *server_free(struct server *server);

/* Requests that wait for an upstream may find a target. */
void server_wake(struct server *server, const struct upstream_config *upstream);
/* Whether that needs to be told: false when it was, and has not been done yet. Any thread. */
bool server_claim_wake(struct server *server, const struct upstream_config *upstream);

/* From now on connections are accepted, and what is in flight is told in `flight`, if it is not NULL. */
int server_start_accepting(struct server *server, struct flight_slot *flight) _warn_unused_;
/* Stops; what the kernel had already queued for this thread alone is still accepted, so that no wake-up is
 * lost. */
void server_stop_accepting(struct server *server);

/* Finishes what is in progress: HTTP/1 answers carry Connection: close, idle connections get `quiet` in which
 * a late request is still answered, HTTP/2 gets GOAWAY in two steps, upgraded connections go on. */
void server_drain(struct server *server, usec_t quiet);
/* An idle plaintext HTTP/1 connection on its way from one process to another. */
struct moving_connection {
    int fd; /* belongs to whoever has the connection */
    const struct listener_config *listener;
    struct ip_address client; /* told by a PROXY header; IP_NONE: the peer itself */
    uint32_t age_ms, idle_ms; /* since it was accepted, and since its last response */
    bool stays;               /* it came back: there is no room for it elsewhere */
};
/* Takes over a connection that goes on living elsewhere; is called on the thread of the server. */
typedef void (*connection_taker)(void *userdata, const struct moving_connection *connection);
/* As server_drain(), but idle plaintext HTTP/1 connections are given away, those that are idle now and each
 * as it becomes idle; their clients see nothing. What cannot move (TLS, HTTP/2, tunnels) finishes here: idle
 * TLS connections get `quiet` in which one more request is answered; USEC_INFINITY: as long as they would
 * have had anyway. May be called again to set an end to that. */
void server_give_away(struct server *server, usec_t quiet, connection_taker taker, void *userdata);
/* Serves a connection that another process gave away, as if it had been accepted on a socket of the listener.
 * Closes it, and returns false, when no socket of that listener is served here. */
bool server_adopt(struct server *server, const struct moving_connection *connection);
/* Ends whatever is left, one record each. Returns the number of requests that were cut. */
size_t server_cut(struct server *server);
/* No connection is left. */
bool server_is_empty(const struct server *server);

struct server_load {
    size_t connections;
    size_t idle;     /* connections without a request */
    size_t requests; /* in flight, tunnels included */
};
void server_load(const struct server *server, struct server_load *ret);
