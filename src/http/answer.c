#include "http/answer.h"

#include "http/files.h"
#include "http/problem.h"
#include "http/request_field.h"
#include "http/server_internal.h"

/* Sends a body that outlives the request. */
static void send_body(struct exchange *exchange, const char *body, size_t size)
{
    static h2o_generator_t generator = {NULL, NULL};
    h2o_req_t *req = exchange->req;
    h2o_iovec_t buf = h2o_iovec_init(body, size);
    bool bodyless = exchange->method == METHOD_HEAD || req->res.status == 204 || req->res.status == 304;

    exchange_add_common_headers(exchange);
    req->res.content_length = req->res.status == 204 || req->res.status == 304 ? SIZE_MAX : size;
    h2o_start_response(req, &generator);
    h2o_send(req, &buf, bodyless || size == 0 ? 0 : 1, H2O_SEND_STATE_FINAL);
}

void answer_respond(struct exchange *exchange)
{
    const struct route_config *route = exchange->route;
    h2o_req_t *req = exchange->req;

    req->res.status = route->respond.status;
    req->res.reason = problem_reason(req->res.status);
    const char *body = route->respond.body ? route->respond.body : "";
    if (*body && route->respond.content_type)
        h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL,
                       route->respond.content_type, strlen(route->respond.content_type));
    send_body(exchange, body, strlen(body));
}

void answer_redirect(struct exchange *exchange)
{
    const struct route_config *route = exchange->route;
    h2o_req_t *req = exchange->req;

    req->res.status = route->respond.status;
    req->res.reason = problem_reason(req->res.status);
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_LOCATION, NULL, route->respond.location,
                   strlen(route->respond.location));
    send_body(exchange, "", 0);
}

void answer_static(struct exchange *exchange)
{
    files_respond(exchange->req, exchange->route, exchange->has_rest ? exchange->rest : exchange->path,
                  exchange->request_id);
}

/* Takes the reply's body over. */
static void send_reply(struct exchange *exchange, struct handler_reply *reply)
{
    h2o_req_t *req = exchange->req;

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
    h2o_iovec_t body = h2o_strdup(&req->pool, strbuf_string(&reply->body), reply->body.size);
    strbuf_deinit(&reply->body);
    send_body(exchange, body.base, body.len);
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

void answer_forget(struct handler_ticket *ticket)
{
    if (ticket)
        ticket->exchange = NULL;
}

static bool was_forwarded(const h2o_req_t *req)
{
    static const char *const names[] = {"forwarded", "via", "x-forwarded-for", "x-real-ip"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (request_field_named(req, names[i]).data)
            return true;
    return false;
}

void answer_handler(struct exchange *exchange)
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
