/* One request's way through an upstream:
 *
 *   pick a target ─► exchange with it ─► response head ─► body pieces, each waited for by the client ─► end
 *         ▲                 │
 *         └── try again ◄───┘ as long as nothing of a response has reached the client, and retry_decide()
 * agrees
 *
 * A body piece belongs to the upstream client's buffer; it is given back when h2o asks to proceed, which is
 * when the client's socket has taken it: that is the back-pressure. At most one h2o_send() is in progress;
 * what arrives meanwhile waits in `waiting`. */

#include "http/proxy.h"

#include "http/access.h"
#include "http/forward.h"
#include "http/http1.h"
#include "http/http2.h"
#include "http/problem.h"
#include "http/server_internal.h"
#include "http/tunnel.h"
#include "upstream/client.h"
#include "upstream/retry.h"

#define TRIES_MAX 8

struct proxy {
    h2o_generator_t generator; /* must be first: h2o hands it back */
    struct exchange *exchange;
    struct client *client; /* NULL between tries and after the end */
    struct slice head;
    uint64_t *tried; /* a bit per target */
    size_t n_tried;
    usec_t try_began;
    bool fresh;
    bool response_started; /* the client's response has its head */
    bool sending;          /* an h2o_send() has not been proceeded yet */
    bool piece_out;        /* a body piece is the client's to take */
    bool ended;            /* the final piece was sent */
    bool broken;           /* the target broke off: so must the response, at the next proceed */
    struct {
        struct slice data;
        bool present, final;
    } waiting;
    h2o_timeout_entry_t flush_timer;   /* sends a head whose body does not follow at once */
    h2o_timeout_entry_t request_timer; /* RequestTimeoutSec= */
};

static const struct target_config *pick(struct proxy *proxy);
static void try_target(struct proxy *proxy, const struct target_config *target);

/* ---- the response towards the client ------------------------------------------------------------------ */

static void send_piece(struct proxy *proxy, struct slice data, bool final)
{
    h2o_iovec_t buf = iovec_of_slice(data);

    proxy->sending = !final;
    proxy->ended = final;
    h2o_send(proxy->exchange->req, &buf, data.size ? 1 : 0,
             final ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

static void on_flush(h2o_timeout_entry_t *entry)
{
    struct proxy *proxy = container_of(entry, struct proxy, flush_timer);
    send_piece(proxy, slice_make(NULL, 0), false);
}

static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct proxy *proxy = (struct proxy *)generator;

    proxy->sending = false;
    if (proxy->broken) {
        h2o_send(req, NULL, 0, H2O_SEND_STATE_ERROR);
    } else if (proxy->waiting.present) {
        proxy->waiting.present = false;
        proxy->piece_out = true;
        send_piece(proxy, proxy->waiting.data, proxy->waiting.final);
    } else if (proxy->piece_out) {
        proxy->piece_out = false;
        if (proxy->client)
            client_continue(proxy->client);
    }
}

/* The response broke off: the client must see that it is not whole. */
static void break_off(struct proxy *proxy)
{
    h2o_timeout_unlink(&proxy->flush_timer);
    proxy->ended = true;
    /* While h2o still has a send to finish it takes no other: then this comes when it asks to proceed. */
    proxy->broken = proxy->sending;
    if (!proxy->sending)
        h2o_send(proxy->exchange->req, NULL, 0, H2O_SEND_STATE_ERROR);
}

static void fail(struct proxy *proxy, int status, const char *detail)
{
    struct exchange *exchange = proxy->exchange;
    h2o_req_t *req = exchange->req;

    h2o_timeout_unlink(&proxy->request_timer);
    proxy->ended = true;
    if (status == 503)
        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("retry-after"), 0, "Retry-After",
                              H2O_STRLIT("1"));
    exchange_refuse(exchange, status, detail);
}

/* ---- the upstream's callbacks -------------------------------------------------------------------------- */

static void on_informational(void *userdata, const struct client_response *response)
{
    struct proxy *proxy = userdata;
    h2o_req_t *req = proxy->exchange->req;

    if (proxy->response_started)
        return;
    /* Their fields are filtered as a response's are, in a response object of their own. */
    h2o_headers_t saved = req->res.headers;
    req->res.headers = (h2o_headers_t){0};
    forward_response_headers(proxy->exchange, response);
    h2o_headers_t headers = req->res.headers;
    req->res.headers = saved;
    if (req->version >= 0x200)
        http2_send_interim(req, response->status, headers.entries, headers.size);
    else
        http1_send_interim(req, response->status, headers.entries, headers.size);
}

static void target_answered(struct proxy *proxy)
{
    struct exchange *exchange = proxy->exchange;
    if (health_note(exchange->server->options.health, exchange->upstream, exchange->target, true))
        access_target_changed(exchange, true, NULL);
}

struct upgrade {
    h2o_socket_t *upstream;
    usec_t idle;
    struct tunnel_origin origin;
};

static void on_detached(void *userdata, struct conn *conn)
{
    struct upgrade *upgrade = userdata;

    if (conn) {
        tunnel_start(conn, upgrade->upstream, upgrade->idle, &upgrade->origin);
    } else {
        h2o_socket_close(upgrade->upstream);
        tunnel_origin_deinit(&upgrade->origin);
    }
    free(upgrade);
}

/* 101: from here on the connection is a tunnel, and no longer a request. */
static void switch_protocols(struct proxy *proxy, const struct client_response *response)
{
    struct exchange *exchange = proxy->exchange;
    struct strbuf head = STRBUF_INIT;

    strbuf_add_string(&head, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n");
    for (size_t i = 0; i < response->n_headers; i++) {
        const struct client_header *field = &response->headers[i];
        if (forward_is_hop_by_hop(field->name, slice_make(NULL, 0)) &&
            !slice_caseeq(field->name, SLICE_LITERAL("upgrade")))
            continue;
        strbuf_addf(&head, "%.*s: %.*s\r\n", (int)field->name.size, field->name.data, (int)field->value.size,
                    field->value.data);
    }
    strbuf_add_string(&head, "\r\n");

    struct upgrade *upgrade = xcalloc(1, sizeof(*upgrade));
    upgrade->idle = exchange->upstream->between_bytes_timeout;
    upgrade->origin = (struct tunnel_origin){
        .request_id = xstrndup(exchange->request_id.data, exchange->request_id.size),
        .method = xstrndup(exchange->req->method.base, exchange->req->method.len),
        .path = xstrndup(exchange->path.data, exchange->path.size),
        .route = exchange->route,
        .upstream = exchange->upstream,
        .target = exchange->target,
        .began = exchange->began,
    };
    upgrade->upstream = client_steal(TAKE_PTR(proxy->client));
    metrics_try_end(exchange->server->options.metrics, exchange->upstream, exchange->target, TRY_OK, false,
                    usec_sub(now_monotonic(), proxy->try_began));
    proxy->response_started = proxy->ended = true;
    exchange->req->res.status = 101;
    http1_upgrade(exchange->req, slice_make(head.data, head.size), on_detached, upgrade);
    strbuf_deinit(&head);
}

static void on_head(void *userdata, const struct client_response *response)
{
    struct proxy *proxy = userdata;
    struct exchange *exchange = proxy->exchange;
    h2o_req_t *req = exchange->req;

    h2o_timeout_unlink(&proxy->request_timer);
    target_answered(proxy);
    if (response->status == 101) {
        switch_protocols(proxy, response);
        return;
    }
    req->res.status = response->status;
    req->res.reason = problem_reason(response->status);
    if (!slice_eq(response->reason, slice_of(req->res.reason)) && req->version < 0x200)
        req->res.reason = h2o_strdup(&req->pool, response->reason.data, response->reason.size).base;
    forward_response_headers(exchange, response);
    uint64_t length = response->has_body ? response->content_length : response->declared_length;
    if (!response->has_body && length == UINT64_MAX && response->status != 204 && response->status != 304 &&
        exchange->method != METHOD_HEAD)
        length = 0;
    req->res.content_length = length == UINT64_MAX ? SIZE_MAX : (size_t)length;
    proxy->response_started = true;
    h2o_start_response(req, &proxy->generator);
    if (!response->has_body)
        send_piece(proxy, slice_make(NULL, 0), true);
    else
        h2o_timeout_link(req->conn->ctx->loop, &req->conn->ctx->zero_timeout, &proxy->flush_timer);
}

static void on_body(void *userdata, struct slice data, bool final)
{
    struct proxy *proxy = userdata;

    h2o_timeout_unlink(&proxy->flush_timer);
    if (proxy->sending) {
        proxy->waiting.data = data;
        proxy->waiting.final = final;
        proxy->waiting.present = true;
        return;
    }
    proxy->piece_out = true;
    send_piece(proxy, data, final);
}

static const enum metrics_try tries[_CLIENT_ERROR_MAX] = {
    [CLIENT_OK] = TRY_OK,
    [CLIENT_CONNECT_FAILED] = TRY_CONNECT_FAILED,
    [CLIENT_CONNECT_TIMEOUT] = TRY_CONNECT_TIMEOUT,
    [CLIENT_SEND_FAILED] = TRY_SEND_FAILED,
    [CLIENT_CLOSED_EARLY] = TRY_CLOSED_EARLY,
    [CLIENT_BAD_RESPONSE] = TRY_BAD_RESPONSE,
    [CLIENT_FIRST_BYTE_TIMEOUT] = TRY_FIRST_BYTE_TIMEOUT,
    [CLIENT_BETWEEN_BYTES_TIMEOUT] = TRY_BETWEEN_BYTES_TIMEOUT,
    [CLIENT_TRUNCATED] = TRY_TRUNCATED,
};

static void fail_with(struct proxy *proxy, const struct client_outcome *outcome)
{
    switch (outcome->error) {
    case CLIENT_CONNECT_FAILED:
        fail(proxy, 503, "The service behind this address cannot be reached at the moment.");
        break;
    case CLIENT_CONNECT_TIMEOUT:
        fail(proxy, 504, "The service behind this address did not take the connection in time.");
        break;
    case CLIENT_FIRST_BYTE_TIMEOUT:
    case CLIENT_BETWEEN_BYTES_TIMEOUT:
        fail(proxy, 504, "The service behind this address did not answer in time.");
        break;
    case CLIENT_BAD_RESPONSE:
        fail(proxy, 502, "The service behind this address gave an answer that is not HTTP.");
        break;
    default:
        fail(proxy, 502, "The service behind this address ended the connection without an answer.");
        break;
    }
}

static void target_failed(struct proxy *proxy, const struct client_outcome *outcome)
{
    struct exchange *exchange = proxy->exchange;

    if (outcome->error != CLIENT_CONNECT_FAILED && outcome->error != CLIENT_CONNECT_TIMEOUT)
        return;
    if (health_note(exchange->server->options.health, exchange->upstream, exchange->target, false))
        access_target_changed(exchange, false, outcome);
    server_avoid_target(exchange->server, exchange->upstream, exchange->target);
}

static void on_done(void *userdata, const struct client_outcome *outcome)
{
    struct proxy *proxy = userdata;
    struct exchange *exchange = proxy->exchange;

    proxy->client = NULL;
    metrics_try_end(exchange->server->options.metrics, exchange->upstream, exchange->target,
                    tries[outcome->error], outcome->reused, outcome->duration);
    if (outcome->error == CLIENT_OK)
        return;
    target_failed(proxy, outcome);
    enum retry retry = proxy->response_started
                           ? RETRY_NO
                           : retry_decide(outcome, exchange->method, exchange->tries, TRIES_MAX);
    if (retry != RETRY_NO) {
        proxy->fresh = true;
        if (retry == RETRY_FRESH)
            proxy->tried[exchange->target->index / 64] &= ~(UINT64_C(1) << (exchange->target->index % 64));
    }
    const struct target_config *next = retry == RETRY_NO ? NULL : pick(proxy);
    access_try_failed(exchange, outcome, next != NULL);
    if (next) {
        try_target(proxy, next);
        return;
    }
    if (proxy->response_started)
        break_off(proxy);
    else
        fail_with(proxy, outcome);
}

/* ---- trying ----------------------------------------------------------------------------------------------
 */

static const struct client_callbacks callbacks = {on_informational, on_head, on_body, on_done};

static const struct target_config *pick(struct proxy *proxy)
{
    struct exchange *exchange = proxy->exchange;
    struct balance_set *balance = exchange->server->upstreams[exchange->upstream->index].balance;
    const struct target_config *target = balance_pick(balance, proxy->tried, proxy->n_tried);
    if (target)
        return target;
    /* None that is known to be good: one that is not may have come back. */
    for (size_t i = 0; i < exchange->upstream->n_targets; i++) {
        target = &exchange->upstream->targets[i];
        if (target->weight && !(proxy->tried[i / 64] & UINT64_C(1) << (i % 64)))
            return target;
    }
    return NULL;
}

static void try_target(struct proxy *proxy, const struct target_config *target)
{
    struct exchange *exchange = proxy->exchange;

    exchange->target = target;
    exchange->tries++;
    proxy->tried[target->index / 64] |= UINT64_C(1) << (target->index % 64);
    proxy->try_began = now_monotonic();
    struct client_request request = {
        .head = proxy->head,
        .body = slice_of_iovec(exchange->req->entity),
        .is_head = exchange->method == METHOD_HEAD,
        .is_upgrade = exchange->req->upgrade.len > 0,
        .fresh = proxy->fresh,
    };
    struct server_upstream *upstream = &exchange->server->upstreams[exchange->upstream->index];
    proxy->client = client_start(upstream->pools[target->index], &request, &callbacks, proxy);
}

static void on_request_timeout(h2o_timeout_entry_t *entry)
{
    struct proxy *proxy = container_of(entry, struct proxy, request_timer);
    struct exchange *exchange = proxy->exchange;
    struct client_outcome outcome = {.error = CLIENT_FIRST_BYTE_TIMEOUT,
                                     .duration = usec_sub(now_monotonic(), proxy->try_began)};

    if (proxy->client)
        client_cancel(TAKE_PTR(proxy->client));
    metrics_try_end(exchange->server->options.metrics, exchange->upstream, exchange->target,
                    TRY_FIRST_BYTE_TIMEOUT, false, outcome.duration);
    access_try_failed(exchange, &outcome, false);
    fail_with(proxy, &outcome);
}

void proxy_run(struct exchange *exchange)
{
    h2o_req_t *req = exchange->req;
    struct proxy *proxy = h2o_mem_alloc_pool(&req->pool, sizeof(*proxy));

    *proxy = (struct proxy){.generator = {.proceed = on_proceed},
                            .exchange = exchange,
                            .flush_timer = {.cb = on_flush},
                            .request_timer = {.cb = on_request_timeout}};
    exchange->proxy = proxy;
    exchange->upstream = exchange->route->upstream;
    proxy->n_tried = (exchange->upstream->n_targets + 63) / 64;
    proxy->tried = h2o_mem_alloc_pool(&req->pool, proxy->n_tried * sizeof(*proxy->tried));
    memset(proxy->tried, 0, proxy->n_tried * sizeof(*proxy->tried));
    proxy->head = forward_head(exchange);
    server_timer_start(exchange->server, &proxy->request_timer, exchange->route->request_timeout);
    const struct target_config *target = pick(proxy);
    if (target)
        try_target(proxy, target);
    else
        fail(proxy, 503, "There is no service behind this address at the moment.");
}

void proxy_dispose(struct proxy *proxy)
{
    if (!proxy)
        return;
    h2o_timeout_unlink(&proxy->flush_timer);
    h2o_timeout_unlink(&proxy->request_timer);
    if (!proxy->client)
        return;
    /* When the last piece is out, the target has done its part and its connection is back in the pool. */
    struct exchange *exchange = proxy->exchange;
    metrics_try_end(exchange->server->options.metrics, exchange->upstream, exchange->target,
                    proxy->ended ? TRY_OK : TRY_CANCELLED, client_is_reused(proxy->client),
                    usec_sub(now_monotonic(), proxy->try_began));
    client_cancel(TAKE_PTR(proxy->client));
}
