#include "http/http2_body.h"

#include "http/http2.h"
#include "http/http2_request.h"
#include "http/http2_trailers.h"
#include "http/request_body.h"
#include "http/request_field.h"
#include "http/server_internal.h"

/* Makes h2o take a response to a request that has not ended, as it does itself for heads that it cannot read.
 * What still comes of the body is thrown away. */
static void stop_receiving(struct http2 *http2, h2o_http2_stream_t *stream, struct exchange *exchange)
{
    h2o_http2_conn_t *h2o = http2->h2o;
    const struct server *server = http2->conn->server;

    h2o_http2_stream_set_state(h2o, stream, H2O_HTTP2_STREAM_STATE_REQ_PENDING);
    h2o_http2_stream_set_state(h2o, stream, H2O_HTTP2_STREAM_STATE_SEND_HEADERS);
    h2o->pull_stream_ids.max_processed = MAX(h2o->pull_stream_ids.max_processed, stream->stream_id);
    h2o_req_bind_conf(&stream->req, server->hostconf, server->pathconf);
    exchange->discards = true;
}

static void refuse(struct http2 *http2, h2o_http2_stream_t *stream, struct exchange *exchange, int status,
                   const char *detail)
{
    stop_receiving(http2, stream, exchange);
    exchange_refuse(exchange, status, detail);
}

/* What h2o does for a request that is whole. */
static void set_up(h2o_req_t *req)
{
    if (!req->input.authority.base)
        req->input.authority = req->conn->hosts[0]->authority.hostport;
    req->scheme = req->input.scheme;
    req->method = req->input.method;
    req->authority = req->input.authority;
    req->path = req->input.path;
}

/* RFC 9110 10.1.1: until it is told to go on, or told the outcome, it may send nothing of the body. */
static bool expects_continue(const h2o_req_t *req)
{
    return slice_caseeq(request_field_named(req, "expect"), SLICE_LITERAL("100-continue"));
}

void http2_body_begin(struct http2 *http2, h2o_http2_stream_t *stream)
{
    const char *detail;
    int status;

    if (!stream || stream->state != H2O_HTTP2_STREAM_STATE_RECV_BODY || http2_exchange_of(&stream->req))
        return;
    set_up(&stream->req);
    struct exchange *exchange = http2_request_begin(http2->conn, &stream->req, &status, &detail);
    if (!status && exchange->refusal) {
        stop_receiving(http2, stream, exchange);
        exchange_run(exchange);
        return;
    }
    const size_t length = stream->_expected_content_length;
    if (!status)
        status = request_body_begin(exchange, length == SIZE_MAX ? UINT64_MAX : length, &detail);
    if (status)
        refuse(http2, stream, exchange, status, detail);
    else if (expects_continue(&stream->req))
        http2_send_interim(&stream->req, 100, NULL, 0);
}

bool http2_body_awaits(h2o_http2_stream_t *stream)
{
    if (!stream)
        return false;
    const struct exchange *exchange = http2_exchange_of(&stream->req);
    return exchange && (stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY || exchange->discards);
}

/* As h2o does: what was taken is given back by halves of the window. */
static void give_window(h2o_http2_conn_t *h2o, uint32_t stream, h2o_http2_window_t *window, size_t taken)
{
    const ssize_t whole = (ssize_t)H2O_HTTP2_SETTINGS_HOST.initial_window_size;

    h2o_http2_window_consume_window(window, taken);
    const ssize_t missing = whole - h2o_http2_window_get_window(window);
    if (missing * 2 <= whole)
        return;
    h2o_http2_encode_window_update_frame(&h2o->_write.buf, stream, (int32_t)missing);
    h2o_http2_conn_request_write(h2o);
    h2o_http2_window_update(window, missing);
}

void http2_body_forget(h2o_http2_stream_t *stream)
{
    struct exchange *exchange = http2_exchange_of(&stream->req);
    if (exchange)
        exchange->discards = false;
}

void http2_stop_upload(h2o_req_t *req)
{
    h2o_http2_conn_t *h2o = (h2o_http2_conn_t *)req->conn;
    const h2o_http2_stream_t *stream = container_of(req, h2o_http2_stream_t, req);

    if (h2o->state != H2O_HTTP2_CONN_STATE_OPEN)
        return;
    http2_trailers_may_be_late(http2_of(h2o), stream->stream_id);
    /* Goes out with what is written next. No write is asked for: this may be one of the streams of a
     * connection that h2o is about to free, for a write has failed, which its state does not show. */
    h2o_http2__encode_rst_stream_frame(&h2o->_write.buf, stream->stream_id, HTTP2_NO_ERROR);
}

void http2_body_late(struct http2 *http2, h2o_http2_stream_t *stream, bool slow)
{
    struct exchange *exchange = http2_exchange_of(&stream->req);

    if (exchange && stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY)
        refuse(http2, stream, exchange, 408,
               slow ? "The request's body came too slowly." : "The request's body did not arrive in time.");
    else
        http2_reset(http2, stream, HTTP2_CANCEL);
}

ssize_t http2_body_end(struct http2 *http2, h2o_http2_stream_t *stream, const char **error)
{
    struct exchange *exchange = http2_exchange_of(&stream->req);
    uint8_t end[HTTP2_FRAME_HEAD_SIZE];

    if (exchange->discards) {
        exchange->discards = false;
        return 0;
    }
    /* RFC 9113 8.1.1: when it is not as long as was said, h2o, which has seen nothing of it, resets the
     * stream, as long as it still expects something. */
    if (exchange->body.size == stream->_expected_content_length)
        stream->_expected_content_length = SIZE_MAX;
    h2o_http2_encode_frame_header(end, 0, HTTP2_DATA, HTTP2_END_STREAM, (int32_t)stream->stream_id);
    return MIN(http2->reader(http2->h2o, end, sizeof(end), error), 0);
}

ssize_t http2_body_take(struct http2 *http2, h2o_http2_stream_t *stream, const struct http2_scan *scan,
                        const uint8_t *data, const char **error)
{
    h2o_http2_conn_t *h2o = http2->h2o;
    struct exchange *exchange = http2_exchange_of(&stream->req);
    const struct http2_frame *frame = &scan->frame;
    const bool ends = frame->flags & HTTP2_END_STREAM;
    const char *content = (const char *)data + frame->content_at;
    const char *detail;

    give_window(h2o, 0, &h2o->_input_window, frame->length);
    if (exchange->discards) {
        exchange->discards = !ends;
        return (ssize_t)scan->size;
    }
    if (exchange->body.size + frame->content > stream->_expected_content_length) {
        http2_reset(http2, stream, HTTP2_PROTOCOL_ERROR);
        return (ssize_t)scan->size;
    }
    const int status = request_body_add(exchange, content, frame->content, &detail);
    if (status) {
        refuse(http2, stream, exchange, status, detail);
        exchange->discards = !ends;
        return (ssize_t)scan->size;
    }
    if (!ends) {
        give_window(h2o, stream->stream_id, &stream->input_window, frame->length);
        return (ssize_t)scan->size;
    }
    const ssize_t r = http2_body_end(http2, stream, error);
    return r < 0 ? r : (ssize_t)scan->size;
}
