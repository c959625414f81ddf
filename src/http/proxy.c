/* The response's way to the client.
 *
 *   response head ─► body pieces, each waited for by the client ─► end
 *
 * A body piece belongs to the upstream client's buffer; it is given back when h2o asks to proceed, which is
 * when the client's socket has taken it: that is the back-pressure. At most one h2o_send() is in progress;
 * what arrives meanwhile waits in `waiting`. How a request gets to a target is proxy_try.c's. */

#include <inttypes.h>

#include "http/forward.h"
#include "http/http1.h"
#include "http/http2.h"
#include "http/problem.h"
#include "http/proxy_internal.h"
#include "http/server_internal.h"
#include "http/tunnel.h"

static void send_piece(struct proxy *proxy, struct slice data, bool final)
{
    h2o_iovec_t buf = iovec_of_slice(data);

    proxy->sending = !final;
    proxy->ended = final;
    proxy->sent_at = server_now(proxy->exchange->server);
    h2o_send(proxy->exchange->req, &buf, data.size ? 1 : 0,
             final ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

static void on_flush(struct timer *timer)
{
    struct proxy *proxy = container_of(timer, struct proxy, flush_timer);
    send_piece(proxy, slice_make(NULL, 0), false);
}

static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct proxy *proxy = (struct proxy *)generator;

    proxy->sending = false;
    proxy->client_time += usec_sub(server_now(proxy->exchange->server), proxy->sent_at);
    proxy->sent_at = 0;
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

void proxy_break_off(struct proxy *proxy)
{
    timer_stop(&proxy->flush_timer);
    proxy->ended = true;
    /* While h2o still has a send to finish it takes no other: then this comes when it asks to proceed. */
    proxy->broken = proxy->sending;
    if (!proxy->sending)
        h2o_send(proxy->exchange->req, NULL, 0, H2O_SEND_STATE_ERROR);
}

void proxy_fail(struct proxy *proxy, int status, const char *detail)
{
    proxy->ended = true;
    if (status == 503)
        exchange_add_retry_after(proxy->exchange);
    exchange_refuse(proxy->exchange, status, detail);
}

void proxy_on_informational(void *userdata, const struct client_response *response)
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
    proxy->response_started = proxy->ended = true;
    exchange->req->res.status = 101;
    proxy_stolen(proxy);
    http1_upgrade(exchange->req, slice_make(head.data, head.size), on_detached, upgrade);
    strbuf_deinit(&head);
}

static void add_header(struct exchange *exchange, const char *name, const char *format, ...) _printf_(3, 4);
static void add_header(struct exchange *exchange, const char *name, const char *format, ...)
{
    char value[256];
    h2o_req_t *req = exchange->req;
    va_list args;

    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    const h2o_iovec_t lower = h2o_strdup(&req->pool, name, SIZE_MAX);
    h2o_strtolower(lower.base, lower.len);
    const h2o_iovec_t copy = h2o_strdup(&req->pool, value, SIZE_MAX);
    h2o_add_header_by_str(&req->pool, &req->res.headers, lower.base, lower.len, 0, name, copy.base, copy.len);
}

/* The cookie that leads a client back to its target, and what a route's owner asked to be told. */
static void add_own_headers(struct proxy *proxy)
{
    struct exchange *exchange = proxy->exchange;
    const uint64_t key = roster_key(exchange->target);

    if (exchange->upstream->sticky && key != proxy->choice.sticky)
        add_header(exchange, "Set-Cookie", "%s=%016" PRIx64 "; Path=/; HttpOnly; SameSite=Lax%s",
                   exchange->upstream->sticky, key, exchange->conn->sock->ssl ? "; Secure" : "");
    if (!exchange->route->tell_upstream)
        return;
    add_header(exchange, "X-Holdfast-Target", "%s", exchange->target->address.text);
    add_header(exchange, "X-Holdfast-Tries", "%u", exchange->tries);
    if (proxy->held > 0)
        add_header(exchange, "X-Holdfast-Held", "%" PRIu64 "ms", (uint64_t)(proxy->held / USEC_PER_MSEC));
}

void proxy_on_head(void *userdata, const struct client_response *response)
{
    struct proxy *proxy = userdata;
    struct exchange *exchange = proxy->exchange;
    h2o_req_t *req = exchange->req;

    proxy_answered(proxy);
    if (response->status == 101) {
        switch_protocols(proxy, response);
        return;
    }
    req->res.status = response->status;
    req->res.reason = problem_reason(response->status);
    if (!slice_eq(response->reason, slice_of(req->res.reason)) && req->version < 0x200)
        req->res.reason = h2o_strdup(&req->pool, response->reason.data, response->reason.size).base;
    forward_response_headers(exchange, response);
    add_own_headers(proxy);
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
        server_timer_start(exchange->server, &proxy->flush_timer, 0);
}

void proxy_on_body(void *userdata, struct slice data, bool final)
{
    struct proxy *proxy = userdata;

    timer_stop(&proxy->flush_timer);
    if (final)
        proxy_completed(proxy);
    if (proxy->sending) {
        proxy->waiting.data = data;
        proxy->waiting.final = final;
        proxy->waiting.present = true;
        return;
    }
    proxy->piece_out = true;
    send_piece(proxy, data, final);
}

void proxy_run(struct exchange *exchange)
{
    h2o_req_t *req = exchange->req;
    struct proxy *proxy = h2o_mem_alloc_pool(&req->pool, sizeof(*proxy));

    *proxy = (struct proxy){
        .generator = {.proceed = on_proceed}, .exchange = exchange, .flush_timer = {.callback = on_flush}};
    exchange->proxy = proxy;
    exchange->upstream = exchange->route->upstream;
    proxy->upstream = &exchange->server->upstreams[exchange->upstream->index];
    proxy_begin(proxy);
}

void proxy_dispose(struct proxy *proxy)
{
    if (!proxy)
        return;
    timer_stop(&proxy->flush_timer);
    proxy_abandon(proxy);
}
