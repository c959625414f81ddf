#include "http/handled.h"

#include "http/answer.h"
#include "http/fault.h"
#include "http/problem.h"
#include "http/request_field.h"
#include "http/server_internal.h"

/* How long requests are answered in one turn of the loop; the last one that began is finished. */
#define TURN_TIME (2 * USEC_PER_MSEC)
/* Bytes of answers that are not read yet. One that is alone may be larger. */
#define UNREAD_MAX (64 * 1024 * 1024)

/* ---- answering
 * ------------------------------------------------------------------------------------------------- */

/* Takes the reply's body over, to be freed with the request. False when there is no room for it. */
static bool keep_body(struct exchange *exchange, struct handler_reply *reply)
{
    struct server *server = exchange->server;
    const bool fits = server->reply_size == 0 || server->reply_size + reply->body.size <= UNREAD_MAX;
    if (fits) {
        server->reply_size += reply->body.size;
        exchange->reply = reply->body;
    } else {
        strbuf_deinit(&reply->body);
    }
    reply->body = (struct strbuf)STRBUF_INIT;
    return fits;
}

static void send_reply(struct exchange *exchange, struct handler_reply *reply)
{
    h2o_req_t *req = exchange->req;

    if (!keep_body(exchange, reply)) {
        exchange_refuse(exchange, 503, "Too many answers wait to be read by other clients.");
        return;
    }
    req->res.status = reply->status;
    req->res.reason = problem_reason(reply->status);
    if (reply->content_type)
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, reply->content_type,
                       strlen(reply->content_type));
    if (reply->allow) {
        h2o_iovec_t allow = h2o_strdup(&req->pool, reply->allow, SIZE_MAX);
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ALLOW, NULL, allow.base, allow.len);
    }
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL, H2O_STRLIT("no-store"));
    answer_send_body(exchange, strbuf_string(&exchange->reply), exchange->reply.size);
}

struct handler_ticket {
    struct exchange *exchange; /* NULL when the client has gone away */
};

struct handler_ticket *handler_defer(const struct handler_request *request)
{
    struct handler_ticket *ticket = xcalloc(1, sizeof(*ticket));
    ticket->exchange = request->exchange;
    if (ticket->exchange)
        ticket->exchange->ticket = ticket;
    return ticket;
}

void handler_complete(struct handler_ticket *ticket, struct handler_reply *reply)
{
    if (ticket->exchange) {
        ticket->exchange->ticket = NULL;
        send_reply(ticket->exchange, reply);
    } else {
        strbuf_deinit(&reply->body);
    }
    free(ticket);
}

static bool was_forwarded(const h2o_req_t *req)
{
    static const char *const names[] = {"forwarded", "via", "x-forwarded-for", "x-real-ip"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (request_field_named(req, names[i]).data)
            return true;
    return false;
}

static void answer(struct exchange *exchange)
{
    const struct server_options *options = &exchange->server->options;
    h2o_req_t *req = exchange->req;
    struct slice query = exchange->query;
    if (query.size)
        query = slice_make(query.data + 1, query.size - 1);
    struct handler_request request = {
        .exchange = exchange,
        .method = exchange->method,
        .method_name = slice_of_iovec(req->method),
        .path = exchange->path,
        .query = query,
        .body = slice_of_iovec(req->entity),
        .accept = request_field_named(req, "accept"),
        .host = slice_of_iovec(req->authority),
        .origin = request_field_named(req, "origin"),
        .fetch_site = request_field_named(req, "sec-fetch-site"),
        .is_forwarded = was_forwarded(req),
        .peer = conn_credentials(exchange->conn),
    };
    struct handler_reply reply = {.status = 500};
    options->handler(options->userdata, &request, &reply);
    if (!reply.deferred)
        send_reply(exchange, &reply);
}

/* ---- the queue
 * ------------------------------------------------------------------------------------------------- */

static void on_turn(void *userdata)
{
    struct server *server = userdata;
    const usec_t end = now_monotonic() + TURN_TIME;

    while (!list_is_empty(&server->handled)) {
        if (now_monotonic() >= end) {
            loop_timer_arm(server->handled_timer, 0);
            return;
        }
        struct exchange *exchange = list_entry(server->handled.next, struct exchange, handled_link);
        list_unlink(&exchange->handled_link);
        answer(exchange);
    }
}

void handled_run(struct exchange *exchange)
{
    struct server *server = exchange->server;
    if (list_is_empty(&server->handled))
        loop_timer_arm(server->handled_timer, 0);
    list_append(&server->handled, &exchange->handled_link);
}

void handled_dispose(struct exchange *exchange)
{
    list_unlink(&exchange->handled_link);
    if (exchange->ticket)
        exchange->ticket->exchange = NULL;
    exchange->server->reply_size -= exchange->reply.size;
    strbuf_deinit(&exchange->reply);
}

void handled_init(struct server *server)
{
    list_init(&server->handled);
    server->handled_timer = loop_timer_new(server->options.loop, on_turn, server);
}

void handled_deinit(struct server *server)
{
    assert(list_is_empty(&server->handled));
    loop_timer_free(server->handled_timer);
}

/* ---- connections
 * ----------------------------------------------------------------------------------------------- */

bool handled_admits(struct conn *conn)
{
    struct server *server = conn->server;
    const struct server_options *options = &server->options;
    char detail[64];
    size_t limit = options->max_connections, n = server->n_conns + server->n_lingering;

    if (!options->is_privileged(options->userdata, conn_credentials(conn))) {
        conn->is_common = true;
        n = ++server->n_common + server->n_lingering;
        limit = options->max_common;
    }
    if (n <= limit)
        return true;
    snprintf(detail, sizeof(detail), "%zu are open", limit);
    conn_fault(conn, CLIENT_FAULT_ADMIN_CONNECTIONS, detail);
    return false;
}

void handled_forget(struct conn *conn)
{
    if (conn->is_common)
        conn->server->n_common--;
    if (conn->credentials)
        credentials_deinit(conn->credentials);
    free(conn->credentials);
}
