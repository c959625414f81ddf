#include "http/answer.h"

#include "http/files.h"
#include "http/problem.h"
#include "http/server_internal.h"

void answer_send_body(struct exchange *exchange, const char *body, size_t size)
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
    answer_send_body(exchange, body, strlen(body));
}

void answer_options(struct exchange *exchange)
{
    h2o_req_t *req = exchange->req;

    req->res.status = 204;
    req->res.reason = problem_reason(204);
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ALLOW, NULL,
                   H2O_STRLIT("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    answer_send_body(exchange, "", 0);
}

void answer_redirect(struct exchange *exchange)
{
    const struct route_config *route = exchange->route;
    h2o_req_t *req = exchange->req;

    req->res.status = route->respond.status;
    req->res.reason = problem_reason(req->res.status);
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_LOCATION, NULL, route->respond.location,
                   strlen(route->respond.location));
    answer_send_body(exchange, "", 0);
}

void answer_static(struct exchange *exchange)
{
    files_respond(exchange->req, exchange->route, exchange->has_rest ? exchange->rest : exchange->path,
                  exchange->request_id);
}
