#include "http/http2_request.h"

#include "http/http2_judge.h"
#include "http/request_body.h"
#include "http/server_internal.h"

/* Where h2o keeps a pointer for us. */
#define EXCHANGE H2O_STRLIT("holdfast-exchange")

struct exchange *http2_exchange_of(h2o_req_t *req)
{
    const h2o_iovec_t *value = h2o_req_getenv(req, EXCHANGE, 0);
    return value ? (struct exchange *)(void *)value->base : NULL;
}

static bool is_within_limits(const struct gateway_config *gateway, const h2o_req_t *req)
{
    const size_t constant = sizeof(":method:scheme:https:path:authority") - 1 + 4 * HTTP2_FIELD_OVERHEAD;
    size_t size = constant + req->method.len + req->path.len + req->authority.len;

    for (size_t i = 0; i < req->headers.size; i++)
        size += http2_field_size(&req->headers.entries[i]);
    return size <= gateway->max_head_size && req->headers.size <= gateway->max_headers;
}

static struct exchange *begin(struct conn *conn, h2o_req_t *req, int *ret_status, const char **ret_detail)
{
    *ret_status = 0;
    if (!is_within_limits(server_gateway(conn->server), req)) {
        *ret_status = 431;
        *ret_detail = "The request's head has too many fields, or too long ones.";
        return exchange_begin_malformed(conn, req, *ret_status);
    }
    const enum head_error error = http2_judge(conn, req);
    if (error != HEAD_OK) {
        *ret_status = head_error_status(error);
        *ret_detail = head_error_text(error);
        return exchange_begin_malformed(conn, req, *ret_status);
    }
    return exchange_begin(conn, req);
}

struct exchange *http2_request_begin(struct conn *conn, h2o_req_t *req, int *ret_status,
                                     const char **ret_detail)
{
    struct exchange *exchange = begin(conn, req, ret_status, ret_detail);
    h2o_req_getenv(req, EXCHANGE, 1)->base = (char *)exchange;
    return exchange;
}

void http2_request_run(h2o_req_t *req)
{
    struct exchange *exchange = http2_exchange_of(req);
    int status = 0;
    const char *detail = NULL;

    if (exchange)
        request_body_end(exchange);
    else
        exchange = http2_request_begin(conn_of(req->conn), req, &status, &detail);
    if (!status && !http2_length_is_right(req, request_body_size(exchange))) {
        status = head_error_status(HEAD_WRONG_CONTENT_LENGTH);
        detail = head_error_text(HEAD_WRONG_CONTENT_LENGTH);
    }
    if (status)
        exchange_refuse(exchange, status, detail);
    else
        exchange_run_soon(exchange);
}
