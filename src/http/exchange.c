#include "http/exchange.h"

#include "http/access.h"
#include "http/answer.h"
#include "http/forwarding.h"
#include "http/http2.h"
#include "http/handled.h"
#include "http/problem.h"
#include "http/proxy.h"
#include "http/rate_limit.h"
#include "http/request_id.h"
#include "http/server_internal.h"
#include "router/path.h"

static void on_dispose(void *p)
{
    struct exchange *exchange = p;
    struct server *server = exchange->server;
    struct conn *conn = exchange->conn;

    h2o_timeout_unlink(&exchange->start);
    if (exchange->discards)
        http2_stop_upload(exchange->req);
    proxy_dispose(exchange->proxy);
    handled_dispose(exchange);
    access_end(exchange);
    body_deinit(&exchange->body);
    list_unlink(&exchange->link);
    server->n_exchanges--;
    server_note_requests(server);
    conn->n_exchanges--;
    if (conn->kind == CONN_HTTP2 && conn->n_exchanges == 0)
        conn_set_busy(conn, false);
}

static void find_request_id(struct exchange *exchange)
{
    h2o_req_t *req = exchange->req;
    struct server *server = exchange->server;

    ssize_t at = h2o_find_header_by_str(&req->headers, H2O_STRLIT("x-request-id"), -1);
    if (at >= 0 && request_id_is_valid(slice_of_iovec(req->headers.entries[at].value))) {
        exchange->request_id = slice_of_iovec(req->headers.entries[at].value);
        return;
    }
    char *id = h2o_mem_alloc_pool(&req->pool, REQUEST_ID_SIZE);
    request_id_format(id, server->id_prefix, ++server->id_counter);
    exchange->request_id = slice_make(id, REQUEST_ID_SIZE);
}

/* Everything but the routing. */
static struct exchange *exchange_new(struct conn *conn, h2o_req_t *req)
{
    struct server *server = conn->server;
    struct exchange *exchange = h2o_mem_alloc_shared(&req->pool, sizeof(*exchange), on_dispose);

    *exchange = (struct exchange){.req = req, .conn = conn, .server = server, .began = now_monotonic()};
    body_init(&exchange->body, NULL, 0);
    exchange->taken_at = exchange->began;
    list_init(&exchange->handled_link);
    list_append(&server->exchanges, &exchange->link);
    server->n_exchanges++;
    server_note_requests(server);
    conn->n_exchanges++;
    conn_set_busy(conn, true);
    if (server->options.metrics)
        metrics_request_begin(server->options.metrics);
    find_request_id(exchange);
    return exchange;
}

static void split_target(struct exchange *exchange)
{
    h2o_req_t *req = exchange->req;
    struct slice raw = slice_of_iovec(req->path);
    if (slice_eq(raw, SLICE_LITERAL("*"))) { /* whoever parsed it saw to it that this is OPTIONS */
        exchange->path = raw;
        exchange->is_about_server = true;
        return;
    }
    const char *mark = memchr(raw.data, '?', raw.size);

    if (mark) {
        exchange->query = slice_make(mark, (size_t)(raw.data + raw.size - mark));
        raw.size = (size_t)(mark - raw.data);
    }
    char *out = h2o_mem_alloc_pool(&req->pool, raw.size + 1);
    size_t size;
    switch (path_normalize(raw, out, &size)) {
    case PATH_AS_IS:
        exchange->path = raw;
        break;
    case PATH_NORMALIZED:
        exchange->path = slice_make(out, size);
        break;
    case PATH_INVALID:
        exchange->path = SLICE_LITERAL("/");
        exchange->refusal = 400;
        break;
    default:
        WRONG("path result");
    }
}

/* Then the last parameter is what a static route serves beneath its root. */
static bool ends_in_catch_all(const struct route_config *route)
{
    size_t size = strlen(route->path);
    return strchr(route->path, '*') || (route->kind == ROUTE_STATIC && route->path[size - 1] == '/');
}

/* 401 would promise a way to make up for it, which no request has: there is one handshake (RFC 9110 15.5.2).
 */
static void refuse_without_certificate(struct exchange *exchange)
{
    exchange->refusal = 403;
    exchange->refusal_detail = "This address wants a client certificate.";
}

static void find_route(struct exchange *exchange)
{
    const struct router *router = exchange->server->options.router;
    struct router_match match;

    switch (router_lookup(router, slice_of_iovec(exchange->req->authority), exchange->path, exchange->method,
                          &match)) {
    case ROUTER_FOUND:
        exchange->route = match.route;
        if (!prefix_access_is_granted(&match.route->access, exchange_client(exchange)))
            exchange->refusal = 403;
        else if (match.route->require_certificate && !exchange->conn->certificate)
            refuse_without_certificate(exchange);
        if (match.n_params && ends_in_catch_all(match.route)) {
            exchange->rest = match.params[match.n_params - 1].value;
            exchange->has_rest = true;
        }
        break;
    case ROUTER_METHOD_NOT_ALLOWED:
        exchange->allowed = match.allowed;
        exchange->refusal = 405;
        break;
    case ROUTER_NOT_FOUND:
        exchange->refusal = 404;
        break;
    default:
        WRONG("router result");
    }
}

struct exchange *exchange_begin(struct conn *conn, h2o_req_t *req)
{
    struct exchange *exchange = exchange_new(conn, req);

    exchange->method = method_from_slice(slice_of_iovec(req->method));
    split_target(exchange);
    if (!forwarding_read(exchange)) {
        exchange->refusal = 400;
        exchange->refusal_detail = "The proxies on the way here contradict each other about the client.";
    }
    if (!exchange->refusal && !exchange->is_about_server && exchange->server->options.router)
        find_route(exchange);
    if (!exchange->refusal && exchange->route && exchange->route->n_rate_limits > 0 &&
        !rate_limits_admit(exchange->server->options.rate_limits, exchange))
        exchange->refusal = 429;
    return exchange;
}

const struct ip_address *exchange_client(const struct exchange *exchange)
{
    return exchange->forwarding ? &exchange->forwarding->client.address : conn_client(exchange->conn);
}

const char *exchange_client_text(struct exchange *exchange)
{
    return exchange->forwarding ? exchange->forwarding->client_text : conn_client_text(exchange->conn);
}

uint64_t exchange_max_body(const struct exchange *exchange)
{
    uint64_t limit = exchange->conn->origin->listener->max_body_size;
    if (exchange->route && exchange->route->max_body_size < limit)
        limit = exchange->route->max_body_size;
    return limit;
}

static const char *refusal_text(int status)
{
    switch (status) {
    case 403:
        return "Clients from this address may not come here.";
    case 404:
        return "There is nothing at this address.";
    case 405:
        return "This address does not take this method.";
    case 429:
        return "These are more requests than a client may send here in this time.";
    default:
        return "The request's path is malformed.";
    }
}

static void add_allow(struct exchange *exchange)
{
    char allow[METHOD_ALLOW_MAX];
    method_format_allow(exchange->allowed, allow);
    h2o_iovec_t value = h2o_strdup(&exchange->req->pool, allow, SIZE_MAX);
    h2o_add_header(&exchange->req->pool, &exchange->req->res.headers, H2O_TOKEN_ALLOW, NULL, value.base,
                   value.len);
}

void exchange_run(struct exchange *exchange)
{
    if (exchange->refusal) {
        if (exchange->refusal == 405)
            add_allow(exchange);
        exchange_refuse(exchange, exchange->refusal,
                        exchange->refusal_detail ? exchange->refusal_detail
                                                 : refusal_text(exchange->refusal));
        return;
    }
    if (exchange->is_about_server) {
        answer_options(exchange);
        return;
    }
    if (exchange->server->options.handler) {
        handled_run(exchange);
        return;
    }
    switch (exchange->route->kind) {
    case ROUTE_UPSTREAM:
        proxy_run(exchange);
        break;
    case ROUTE_STATIC:
        answer_static(exchange);
        break;
    case ROUTE_RESPOND:
        answer_respond(exchange);
        break;
    case ROUTE_REDIRECT:
        answer_redirect(exchange);
        break;
    default:
        WRONG("route kind");
    }
}

static void on_start(h2o_timeout_entry_t *entry)
{
    struct exchange *exchange = container_of(entry, struct exchange, start);

    if (!exchange->conn->closing)
        exchange_run(exchange);
}

void exchange_run_soon(struct exchange *exchange)
{
    h2o_context_t *context = &exchange->server->context;

    exchange->start.cb = on_start;
    h2o_timeout_link(context->loop, &context->zero_timeout, &exchange->start);
}

/* Whatever a browser makes of what is meant for programs, it is to be nothing that runs, or stands in a
 * frame.
 */
static void add_security_headers(struct exchange *exchange)
{
    h2o_req_t *req = exchange->req;
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-content-type-options"), 0,
                          "X-Content-Type-Options", H2O_STRLIT("nosniff"));
    h2o_add_header_by_str(
        &req->pool, &req->res.headers, H2O_STRLIT("content-security-policy"), 0, "Content-Security-Policy",
        H2O_STRLIT("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"));
}

void exchange_add_common_headers(struct exchange *exchange)
{
    h2o_req_t *req = exchange->req;
    if (exchange->server->options.handler)
        add_security_headers(exchange);
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-request-id"), 0, "X-Request-ID",
                          exchange->request_id.data, exchange->request_id.size);
}

void exchange_add_retry_after(struct exchange *exchange)
{
    h2o_req_t *req = exchange->req;
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("retry-after"), 0, "Retry-After",
                          H2O_STRLIT("1"));
}

void exchange_refuse(struct exchange *exchange, int status, const char *detail)
{
    access_refused(exchange, status, detail);
    if (exchange->server->options.handler)
        add_security_headers(exchange);
    problem_send(exchange->req, status, detail, exchange->request_id);
}

struct exchange *exchange_begin_malformed(struct conn *conn, h2o_req_t *req, int status)
{
    req->input.method = req->method = h2o_iovec_init(H2O_STRLIT("GET"));
    req->input.path = req->path = h2o_iovec_init(H2O_STRLIT("/"));
    struct exchange *exchange = exchange_new(conn, req);
    exchange->method = METHOD_OTHER;
    exchange->path = SLICE_LITERAL("");
    exchange->refusal = status;
    return exchange;
}

void exchange_refuse_malformed(struct conn *conn, h2o_req_t *req, int status, const char *detail)
{
    exchange_refuse(exchange_begin_malformed(conn, req, status), status, detail);
}
