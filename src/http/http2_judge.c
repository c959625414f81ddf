#include "http/http2_judge.h"

#include "http/http2_internal.h"
#include "http/server_internal.h"

void http2_judge_init(void)
{
    if (H2O_TOKEN_HOST->http2_should_reject)
        H2O_TOKEN_HOST->http2_should_reject = 0;
}

/* RFC 9113 8.3.1: one of both is there, and they do not contradict each other. h2o has put a name of its own
 * where there is no :authority. */
static enum head_error judge_authority(const struct conn *conn, h2o_req_t *req)
{
    if (req->input.authority.base == conn->server->hostconf->authority.hostport.base)
        req->authority = req->input.authority = h2o_iovec_init(NULL, 0);
    for (ssize_t i = -1; (i = h2o_find_header(&req->headers, H2O_TOKEN_HOST, i)) >= 0;) {
        const h2o_iovec_t host = req->headers.entries[i].value;
        if (!req->input.authority.base)
            req->authority = req->input.authority = host;
        else if (!slice_caseeq(slice_of_iovec(host), slice_of_iovec(req->input.authority)))
            return HEAD_OTHER_HOST;
    }
    return req->input.authority.len == 0 ? HEAD_MISSING_HOST : HEAD_OK;
}

/* RFC 9113 8.2.2. The others of its kind h2o takes for errors of the connection. */
static bool is_of_connection(struct slice name)
{
    return slice_eq(name, SLICE_LITERAL("keep-alive")) || slice_eq(name, SLICE_LITERAL("proxy-connection"));
}

size_t http2_field_size(const h2o_header_t *header)
{
    return header->name->len + header->value.len + HTTP2_FIELD_OVERHEAD;
}

enum head_error http2_judge_field(const h2o_header_t *header)
{
    const struct slice name = slice_of_iovec(*header->name);
    return is_of_connection(name) ? HEAD_BAD_FIELD
                                  : request_head_judge_field(name, slice_of_iovec(header->value));
}

/* RFC 9113 8.3.1: a path, or that of OPTIONS for the server as a whole. */
static enum head_error judge_path(const h2o_req_t *req)
{
    const struct slice path = slice_of_iovec(req->path);
    if (path.size > 0 && path.data[0] == '/')
        return HEAD_OK;
    return slice_eq(path, SLICE_LITERAL("*")) &&
                   slice_eq(slice_of_iovec(req->method), SLICE_LITERAL("OPTIONS"))
               ? HEAD_OK
               : HEAD_BAD_REQUEST_LINE;
}

bool http2_length_is_right(h2o_req_t *req, uint64_t size)
{
    const size_t length = container_of(req, h2o_http2_stream_t, req)->_expected_content_length;
    return length == SIZE_MAX || length == size;
}

enum head_error http2_judge(const struct conn *conn, h2o_req_t *req)
{
    enum head_error error = judge_authority(conn, req);
    if (error == HEAD_OK)
        error = judge_path(req);
    if (error == HEAD_OK)
        error = request_head_judge_line(slice_of_iovec(req->method), slice_of_iovec(req->path),
                                        slice_of_iovec(req->authority));
    for (size_t i = 0; error == HEAD_OK && i < req->headers.size; i++)
        error = http2_judge_field(&req->headers.entries[i]);
    if (error != HEAD_OK)
        return error;
    /* RFC 9113 8.1.1 and 8.2.3: h2o has kept the last one. */
    if (http2_of((h2o_http2_conn_t *)req->conn)->has_two_lengths ==
        container_of(req, h2o_http2_stream_t, req)->stream_id)
        return HEAD_DUPLICATE_CONTENT_LENGTH;
    if (!conn_may_ask_for(conn, req->input.scheme))
        return HEAD_MISDIRECTED;
    return HEAD_OK;
}
