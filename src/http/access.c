#include "http/access.h"

#include "http/request_body.h"
#include "http/server_internal.h"
#include "http/tunnel.h"
#include "journal/fields.h"

static void add_slice(struct journal_record *record, const char *name, struct slice value)
{
    if (value.size)
        journal_add(record, name, value);
}

/* What every record about a request carries. */
static void add_request(struct journal_record *record, const struct exchange *exchange)
{
    journal_add(record, FIELD_REQUEST_ID, exchange->request_id);
    add_slice(record, FIELD_METHOD, slice_of_iovec(exchange->req->method));
    add_slice(record, FIELD_HOST, slice_of_iovec(exchange->req->authority));
    add_slice(record, FIELD_PATH, exchange->path);
    if (exchange->route)
        journal_add_string(record, FIELD_ROUTE, exchange->route->pattern);
    if (exchange->upstream)
        journal_add_string(record, FIELD_UPSTREAM, exchange->upstream->name);
    if (exchange->target)
        journal_add_string(record, FIELD_TARGET, exchange->target->address.text);
    journal_add_string(record, FIELD_LISTENER, exchange->conn->origin->listener->name);
}

static void add_peer(struct journal_record *record, struct conn *conn)
{
    journal_add_string(record, FIELD_PEER, conn_peer(conn));
    if (conn_is_passed_on(conn))
        journal_add_string(record, FIELD_CLIENT, conn_client_text(conn));
}

static void add_client(struct journal_record *record, struct exchange *exchange)
{
    if (!exchange->forwarding) {
        add_peer(record, exchange->conn);
        return;
    }
    journal_add_string(record, FIELD_PEER, conn_peer(exchange->conn));
    if (!ip_address_eq(exchange_client(exchange), &exchange->conn->peer))
        journal_add_string(record, FIELD_CLIENT, exchange_client_text(exchange));
}

static const char *protocol_of(const h2o_req_t *req)
{
    return req->version >= 0x200 ? "HTTP/2" : req->version == 0x100 ? "HTTP/1.0" : "HTTP/1.1";
}

static void write_access_record(struct exchange *exchange, usec_t duration)
{
    const h2o_req_t *req = exchange->req;
    struct journal_record record;

    journal_begin(&record, EVENT_ACCESS);
    add_request(&record, exchange);
    journal_add_string(&record, FIELD_PROTOCOL, protocol_of(req));
    add_client(&record, exchange);
    journal_add_u64(&record, FIELD_STATUS, (uint64_t)req->res.status);
    journal_add_u64(&record, FIELD_DURATION_USEC, duration);
    journal_add_u64(&record, FIELD_BYTES_IN, request_body_size(exchange));
    journal_add_u64(&record, FIELD_BYTES_OUT, req->bytes_sent);
    if (exchange->tries)
        journal_add_u64(&record, FIELD_TRIES, exchange->tries);
    journal_send(exchange->server->options.journal, &record, "%.*s %.*s %d", (int)req->method.len,
                 req->method.base, (int)MIN(exchange->path.size, (size_t)512), exchange->path.data,
                 req->res.status);
}

void access_end(struct exchange *exchange)
{
    struct server *server = exchange->server;
    usec_t duration = usec_sub(now_monotonic(), exchange->began);

    if (server->options.metrics)
        metrics_request_end(server->options.metrics, exchange->route, exchange->method,
                            exchange->req->res.status, duration, request_body_size(exchange),
                            exchange->req->bytes_sent);
    /* The admin API's own requests are not traffic. */
    if (server_gateway(server)->access_log != ACCESS_LOG_OFF && !server->options.handler)
        write_access_record(exchange, duration);
}

void access_refused(struct exchange *exchange, int status, const char *detail)
{
    /* Those who are told to wait are many by nature, and crowd out nobody. */
    const enum told kind = status == 429 ? TOLD_LIMITED : TOLD_REFUSAL;
    struct journal_record record;

    /* Misses and mistakes of method are everyday; what breaks the protocol or a limit is worth a line. */
    if (status == 404 || status == 405 || status >= 500 || !server_may_tell(exchange->server, kind))
        return;
    journal_begin(&record, EVENT_REQUEST_REFUSED);
    add_request(&record, exchange);
    add_client(&record, exchange);
    journal_add_u64(&record, FIELD_STATUS, (uint64_t)status);
    journal_add_string(&record, FIELD_REASON, detail);
    server_add_withheld(exchange->server, kind, &record);
    journal_send(exchange->server->options.journal, &record, "request from %s refused with %d: %s",
                 exchange_client_text(exchange), status, detail);
}

void access_body_refused(struct exchange *exchange, int error)
{
    struct server *server = exchange->server;
    struct journal_record record;

    if (!server_may_tell(server, TOLD_BODY))
        return;
    journal_begin(&record, EVENT_BODY_REFUSED);
    add_request(&record, exchange);
    journal_add_string(&record, FIELD_PEER, conn_peer(exchange->conn));
    if (error == BODY_NO_ROOM) {
        journal_add_string(&record, FIELD_REASON, "MaxBufferedSize= is reached");
        server_add_withheld(server, TOLD_BODY, &record);
        journal_send(server->options.journal, &record,
                     "no room for a request's body from %s: MaxBufferedSize= is reached",
                     conn_peer(exchange->conn));
        return;
    }
    journal_add_string(&record, FIELD_FOLDER, server->options.bodies->folder);
    journal_add_string(&record, FIELD_REASON, strerrorname_np(-error));
    server_add_withheld(server, TOLD_BODY, &record);
    journal_send(server->options.journal, &record,
                 "no room for a request's body from %s: it cannot be stored in %s: %s",
                 conn_peer(exchange->conn), server->options.bodies->folder, strerrordesc_np(-error));
}

void access_cut(struct server *server, struct exchange *exchange, h2o_req_t *req)
{
    struct journal_record record;

    journal_begin(&record, EVENT_REQUEST_CUT);
    if (exchange) {
        exchange->cut = true;
        usec_t age = usec_sub(now_monotonic(), exchange->began);
        add_request(&record, exchange);
        journal_add_u64(&record, FIELD_AGE_USEC, age);
        req = exchange->req;
    } else {
        add_slice(&record, FIELD_METHOD, slice_of_iovec(req->input.method));
        add_slice(&record, FIELD_PATH, slice_of_iovec(req->input.path));
    }
    if (server->options.metrics)
        metrics_request_cut(server->options.metrics);
    h2o_iovec_t path = req->input.path;
    journal_send(server->options.journal, &record, "cut at the deadline: %.*s %.*s",
                 (int)req->input.method.len, req->input.method.base ? req->input.method.base : "",
                 (int)MIN(path.len, (size_t)512), path.base ? path.base : "");
}

void access_cut_tunnel(struct server *server, struct conn *conn)
{
    const struct tunnel_origin *origin = tunnel_origin_of(conn);
    struct journal_record record;

    journal_begin(&record, EVENT_REQUEST_CUT);
    journal_add_string(&record, FIELD_REQUEST_ID, origin->request_id);
    journal_add_string(&record, FIELD_METHOD, origin->method);
    journal_add_string(&record, FIELD_PATH, origin->path);
    journal_add_string(&record, FIELD_ROUTE, origin->route->pattern);
    journal_add_string(&record, FIELD_UPSTREAM, origin->upstream->name);
    journal_add_string(&record, FIELD_TARGET, origin->target->address.text);
    journal_add_string(&record, FIELD_LISTENER, conn->origin->listener->name);
    journal_add_u64(&record, FIELD_AGE_USEC, usec_sub(now_monotonic(), origin->began));
    if (server->options.metrics)
        metrics_request_cut(server->options.metrics);
    journal_send(server->options.journal, &record, "cut at the deadline: %s %.512s, a tunnel", origin->method,
                 origin->path);
}

void access_cut_head(struct server *server, struct conn *conn)
{
    struct journal_record record;

    journal_begin(&record, EVENT_REQUEST_CUT);
    journal_add_string(&record, FIELD_LISTENER, conn->origin->listener->name);
    add_peer(&record, conn);
    if (server->options.metrics)
        metrics_request_cut(server->options.metrics);
    journal_send(server->options.journal, &record,
                 "cut at the deadline: a request from %s that had only begun to arrive",
                 conn_client_text(conn));
}

void access_try_failed(struct exchange *exchange, const struct client_outcome *outcome, bool again)
{
    struct journal_record record;
    char reason[160];

    /* A pooled connection that had gone stale is nobody's failure when the request simply goes out again. */
    if (again && outcome->reused)
        return;
    const enum told kind = again ? TOLD_RETRY : TOLD_FAILURE;
    if (!server_may_tell(exchange->server, kind))
        return;
    client_outcome_describe(outcome, reason, sizeof(reason));
    journal_begin(&record, EVENT_UPSTREAM_FAILURE);
    add_request(&record, exchange);
    journal_add_string(&record, FIELD_REASON, reason);
    journal_add_u64(&record, FIELD_TRIES, exchange->tries);
    journal_add_u64(&record, FIELD_DURATION_USEC, outcome->duration);
    server_add_withheld(exchange->server, kind, &record);
    journal_send(exchange->server->options.journal, &record, "upstream %s, target %s: %s%s",
                 exchange->upstream->name, exchange->target->address.text, reason,
                 again ? "; trying again" : "");
}

void access_hold_ended(struct exchange *exchange, usec_t held, const char *reason)
{
    struct journal_record record;

    if (!server_may_tell(exchange->server, TOLD_FAILURE))
        return;
    journal_begin(&record, EVENT_HOLD_ENDED);
    add_request(&record, exchange);
    journal_add_string(&record, FIELD_REASON, reason);
    journal_add_u64(&record, FIELD_DURATION_USEC, held);
    server_add_withheld(exchange->server, TOLD_FAILURE, &record);
    journal_send(exchange->server->options.journal, &record,
                 "upstream %s: a request is told that there is nobody, after %llums: %s",
                 exchange->upstream->name, (unsigned long long)(held / USEC_PER_MSEC), reason);
}
