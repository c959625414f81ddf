#include "http/server.h"

#include <sys/random.h>

#include "http/access.h"
#include "http/handled.h"
#include "http/http1.h"
#include "http/http2.h"
#include "http/http2_judge.h"
#include "http/http2_request.h"
#include "http/linger.h"
#include "http/listener.h"
#include "http/request_head.h"
#include "http/server_internal.h"
#include "journal/fields.h"

#define HTTP2_DRAIN_INTERVAL (100 * USEC_PER_MSEC)
/* Idle connections are closed in so many stages at the end of their quiet period, this far apart. */
#define IDLE_STAGES 8
#define IDLE_STAGE_TIME (20 * USEC_PER_MSEC)

struct request_entry {
    h2o_handler_t super; /* must be first */
    struct server *server;
};

usec_t server_idle_stage(struct server *server)
{
    return usec_add(server->quiet, (server->stage++ % IDLE_STAGES) * IDLE_STAGE_TIME);
}

/* ---- records
 * ------------------------------------------------------------------------------------------------ */

/* Per second and worker. What clients saw is told ten times as often as what was made good, and is not
 * crowded out by it. */
static const unsigned told_per_second[_TOLD_MAX] = {
    [TOLD_RETRY] = 10,  [TOLD_FAILURE] = 100,     [TOLD_REFUSAL] = 20,
    [TOLD_LIMITED] = 5, [TOLD_CLIENT_FAULT] = 10, [TOLD_BODY] = 10};

bool server_may_tell(struct server *server, enum told kind)
{
    return allowance_take(&server->told[kind], told_per_second[kind], now_monotonic());
}

void server_add_withheld(struct server *server, enum told kind, struct journal_record *record)
{
    const uint64_t withheld = allowance_take_withheld(&server->told[kind]);
    if (withheld)
        journal_add_u64(record, FIELD_WITHHELD, withheld);
}

/* ---- requests of HTTP/2
 * ------------------------------------------------------------------------------------ */

static int on_request(h2o_handler_t *self, h2o_req_t *req)
{
    http2_request_run(req);
    return 0;
}

/* Beyond a size h2o puts its buffers into sparse files that it maps, and a full disk would be SIGBUS. Nothing
 * of ours lets a buffer grow so far, and if it did, it should stay memory. */
void server_prepare(void)
{
    h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX;
    http2_judge_init();
}

static void init_h2o(struct server *server)
{
    h2o_config_init(&server->globalconf);
    server->globalconf.server_name = h2o_iovec_init(NULL, 0);
    server->globalconf.http2.idle_timeout = INT32_MAX; /* http2_watch.c's to say */
    server->globalconf.max_request_entity_size = 0;    /* it sees none: http2_body.c takes them */
    server->globalconf.http1.upgrade_to_http2 = 0;
    server->hostconf =
        h2o_config_register_host(&server->globalconf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    http2_init();
    server->hostconf->http2.reprioritize_blocking_assets = 0;
    server->pathconf = h2o_config_register_path(server->hostconf, "/", 0);
    /* h2o's chunked encoder gives up keep-alive for every status but 200; http1.c frames bodies itself. */
    for (size_t i = 0; i < server->pathconf->filters.size; i++)
        free(server->pathconf->filters.entries[i]);
    server->pathconf->filters.size = 0;
    struct request_entry *entry =
        (struct request_entry *)h2o_create_handler(server->pathconf, sizeof(*entry));
    entry->super.on_req = on_request;
    entry->server = server;
    h2o_context_init(&server->context, loop_h2o(server->options.loop), &server->globalconf);
    server->accept_ctx.ctx = &server->context;
    server->accept_ctx.hosts = server->globalconf.hosts;
}

/* ---- upstreams
 * ----------------------------------------------------------------------------------------------- */

static int make_upstreams(struct server *server)
{
    const struct config *config = server->options.config;

    if (!server->options.router)
        return 0;
    int r = client_context_new(&server->client_context, server->context.loop);
    if (r < 0)
        return r;
    server->upstreams = xcalloc(config->n_upstreams, sizeof(*server->upstreams));
    for (size_t i = 0; i < config->n_upstreams; i++)
        server_upstream_init(&server->upstreams[i], server, config->upstreams[i]);
    return 0;
}

static void free_upstreams(struct server *server)
{
    for (size_t i = 0; server->upstreams && i < server->options.config->n_upstreams; i++)
        server_upstream_deinit(&server->upstreams[i]);
    free(server->upstreams);
    client_context_free(server->client_context);
}

void server_wake(struct server *server, const struct upstream_config *upstream)
{
    struct server_upstream *woken = &server->upstreams[upstream->index];

    atomic_store(&woken->woken, false);
    if (woken->hold.n > 0)
        server_upstream_release(woken);
    else
        server_upstream_make_room(woken);
}

bool server_claim_wake(struct server *server, const struct upstream_config *upstream)
{
    return server->upstreams && !atomic_exchange(&server->upstreams[upstream->index].woken, true);
}

/* ---- life
 * ------------------------------------------------------------------------------------------------------ */

static void on_http2_timer(void *userdata)
{
    struct server *server = userdata;
    http2_drain_step(server, now_monotonic());
    loop_timer_arm(server->http2_timer, HTTP2_DRAIN_INTERVAL);
}

int server_new(struct server **ret, const struct server_options *options)
{
    struct server *server = xcalloc(1, sizeof(*server));

    server->options = *options;
    list_init(&server->conns);
    list_init(&server->idle);
    list_init(&server->exchanges);
    list_init(&server->lingering);
    handled_init(server);
    server->n_listeners = options->n_sockets;
    if (getrandom(&server->id_prefix, sizeof(server->id_prefix), 0) != sizeof(server->id_prefix))
        server->id_prefix = now_realtime() ^ ((uint64_t)options->index << 56);
    init_h2o(server);
    server->http2_timer = loop_timer_new(options->loop, on_http2_timer, server);
    int r = make_upstreams(server);
    if (r == 0)
        r = listeners_new(&server->listeners, server, options->sockets, options->n_sockets);
    if (r < 0) {
        server_free(server);
        return r;
    }
    *ret = server;
    return 0;
}

struct server *server_free(struct server *server)
{
    if (!server)
        return NULL;
    if (server->options.group)
        accept_group_leave(server->options.group, server->options.index);
    listeners_free(server->listeners, server->n_listeners);
    limits_leave(server->options.limits, server->options.index);
    server_cut(server);
    linger_end_all(server);
    /* HTTP/2 connections end when their loop sees that their sockets were shut down. */
    for (int turn = 0; !list_is_empty(&server->conns) && turn < 100; turn++)
        loop_run_once(server->options.loop, 10 * USEC_PER_MSEC);
    linger_end_all(server);
    loop_timer_free(server->http2_timer);
    timer_stop(&server->http2_watch);
    handled_deinit(server);
    free_upstreams(server);
    h2o_context_dispose(&server->context);
    h2o_config_dispose(&server->globalconf);
    free(server);
    return NULL;
}

/* A connection that has just become idle may well have its next request on the way. */
#define SHED_IDLE USEC_PER_SEC
/* How many are looked at, at most: those of other listeners may be in between. */
#define SHED_LOOKS 64

bool server_shed(struct server *server, const struct listener_config *listener)
{
    unsigned looks = SHED_LOOKS;

    list_for_each (node, &server->idle) {
        struct conn *conn = list_entry(node, struct conn, idle_link);
        if (looks-- == 0)
            return false;
        if ((!listener || conn->origin->listener == listener) && http1_shed(conn, SHED_IDLE))
            return true; /* the node is gone */
    }
    return false;
}

static bool on_asked_to_shed(void *userdata, const struct listener_config *listener)
{
    return server_shed(userdata, listener);
}

static void on_passed(void *userdata)
{
    struct server *server = userdata;
    listeners_accept_now(server->listeners, server->n_listeners);
}

int server_start_accepting(struct server *server, struct flight_slot *flight)
{
    server->flight = flight;
    limits_join(server->options.limits, server->options.index, server->options.loop, on_asked_to_shed,
                server);
    listeners_start(server->listeners, server->n_listeners);
    if (server->options.group)
        accept_group_join(server->options.group, server->options.index, server->options.loop, on_passed,
                          server);
    return 0;
}

void server_stop_accepting(struct server *server)
{
    if (server->options.group)
        accept_group_leave(server->options.group, server->options.index);
    listeners_stop(server->listeners, server->n_listeners);
}

static void begin_drain(struct server *server)
{
    server->draining = true;
    list_for_each_safe (node, &server->conns) {
        struct conn *conn = list_entry(node, struct conn, link);
        if (conn->kind == CONN_HTTP1)
            http1_drain(conn);
    }
    on_http2_timer(server);
}

void server_drain(struct server *server, usec_t quiet)
{
    server->taker = NULL;
    server->quiet = quiet;
    begin_drain(server);
}

void server_give_away(struct server *server, usec_t quiet, connection_taker taker, void *userdata)
{
    server->quiet = quiet;
    server->taker = taker;
    server->taker_userdata = userdata;
    begin_drain(server);
}

bool server_adopt(struct server *server, const struct moving_connection *connection)
{
    for (size_t i = 0; i < server->options.n_sockets; i++) {
        const struct server_socket *socket = &server->options.sockets[i];
        if (socket->listener == connection->listener && !socket->tls) {
            conn_adopted(server, socket, connection);
            return true;
        }
    }
    close(connection->fd);
    return false;
}

static void cut_head(void *userdata, struct conn *conn, h2o_req_t *req)
{
    size_t *n = userdata;
    access_cut(conn->server, NULL, req);
    (*n)++;
}

size_t server_cut(struct server *server)
{
    size_t n = 0;

    list_for_each (node, &server->exchanges) {
        struct exchange *exchange = list_entry(node, struct exchange, link);
        if (!exchange->cut) {
            access_cut(server, exchange, NULL);
            n++;
        }
    }
    http2_each_head(server, cut_head, &n);
    list_for_each_safe (node, &server->conns) {
        struct conn *conn = list_entry(node, struct conn, link);
        if (conn->kind == CONN_HTTP1 && conn->busy && conn->n_exchanges == 0) {
            access_cut_head(server, conn);
            n++;
        } else if (conn->kind == CONN_TUNNEL) {
            access_cut_tunnel(server, conn);
            n++;
        }
        conn_abort(conn);
    }
    return n;
}

void server_count_connections(struct server *server, int change)
{
    server->n_conns += (size_t)change;
    flight_set_connections(server->flight, server->n_conns);
    if (server->options.group)
        accept_group_count(server->options.group, server->options.index, server->n_conns);
}

bool server_is_empty(const struct server *server)
{
    return server->n_conns == 0 && server->n_lingering == 0;
}

void server_load(const struct server *server, struct server_load *ret)
{
    ret->connections = server->n_conns;
    ret->idle = server->n_conns - server->n_busy;
    ret->requests = server->n_exchanges + server->n_tunnels;
}
