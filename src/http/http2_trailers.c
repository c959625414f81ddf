#include "http/http2_trailers.h"

#include "http/http2_body.h"
#include "http/http2_judge.h"
#include "http/server_internal.h"

void http2_trailers_may_be_late(struct http2 *http2, uint32_t stream)
{
    http2->trailers.given_up[http2->trailers.n_given_up++ % ARRAY_SIZE(http2->trailers.given_up)] = stream;
}

static bool is_given_up(const struct http2 *http2, uint32_t stream)
{
    const size_t n = MIN((size_t)http2->trailers.n_given_up, ARRAY_SIZE(http2->trailers.given_up));
    for (size_t i = 0; i < n; i++)
        if (http2->trailers.given_up[i] == stream)
            return true;
    return false;
}

bool http2_trailers_own(const struct http2 *http2, const struct http2_frame *frame,
                        const h2o_http2_stream_t *stream)
{
    if (frame->type == HTTP2_CONTINUATION)
        return http2->trailers.is_arriving;
    if (frame->type != HTTP2_HEADERS)
        return false;
    /* PRIORITY makes streams that are idle. */
    return stream ? stream->state != H2O_HTTP2_STREAM_STATE_IDLE : is_given_up(http2, frame->stream);
}

/* Decodes one field into `scratch`, which has none. h2o stops at the first error of a block, but has then
 * decoded that field, unless it says what of the field it could not. Returns an error of the connection. */
static ssize_t decode_field(struct http2 *http2, h2o_req_t *scratch, const uint8_t *data, size_t size,
                            bool *ret_ok, const char **error)
{
    const char *text = NULL;
    size_t length;
    const int r = h2o_hpack_parse_headers(scratch, &http2->h2o->_input_header_table, data, size, NULL,
                                          &length, NULL, &text);

    *ret_ok = r == 0;
    if (r == 0 || r == H2O_HTTP2_ERROR_INVALID_HEADER_CHAR || (r == H2O_HTTP2_ERROR_PROTOCOL && !text))
        return 0;
    *error = text;
    return r;
}

/* The whole block. *ret_ok: it could be that of a request, but for the pseudo-header fields, of which there
 * are none. */
static ssize_t decode(struct http2 *http2, bool *ret_ok, const char **error)
{
    const struct strbuf *block = &http2->trailers.block;
    const uint8_t *data = (const uint8_t *)strbuf_string(block);
    const struct gateway_config *gateway = server_gateway(http2->conn->server);
    size_t list_size = 0, n_fields = 0;
    h2o_req_t scratch;
    ssize_t r = 0;

    *ret_ok = true;
    h2o_init_request(&scratch, NULL, NULL);
    for (size_t at = 0, n; r == 0 && at < block->size; at += n) {
        bool ok;
        n = hpack_field_size(data + at, block->size - at);
        if (n == 0) {
            r = H2O_HTTP2_ERROR_COMPRESSION; /* a change of the table's size, and no field behind it */
            break;
        }
        r = decode_field(http2, &scratch, data + at, n, &ok, error);
        for (size_t i = 0; i < scratch.headers.size; i++, n_fields++) {
            list_size += http2_field_size(&scratch.headers.entries[i]);
            ok = ok && http2_judge_field(&scratch.headers.entries[i]) == HEAD_OK;
        }
        *ret_ok = *ret_ok && ok && list_size <= gateway->max_head_size && n_fields <= gateway->max_headers;
        memset(&scratch.headers, 0, sizeof(scratch.headers));
        h2o_mem_clear_pool(&scratch.pool); /* so that there is never more than one field */
    }
    return r;
}

static ssize_t end_block(struct http2 *http2, uint32_t id, const char **error)
{
    bool is_ok;
    const ssize_t r = decode(http2, &is_ok, error);
    h2o_http2_stream_t *stream = h2o_http2_conn_get_stream(http2->h2o, id);

    if (r < 0)
        return r;
    if (!stream || stream->state == H2O_HTTP2_STREAM_STATE_END_STREAM)
        return 0;
    if (!http2_body_awaits(stream)) {
        http2_reset(http2, stream, HTTP2_STREAM_CLOSED); /* RFC 9113 5.1: it is half-closed */
        return 0;
    }
    if (!is_ok || !http2->trailers.ends_stream) {
        http2_reset(http2, stream, HTTP2_PROTOCOL_ERROR);
        return 0;
    }
    return http2_body_end(http2, stream, error);
}

ssize_t http2_trailers_take(struct http2 *http2, const struct http2_scan *scan, const uint8_t *data,
                            const char **error)
{
    const struct http2_frame *frame = &scan->frame;

    if (frame->type == HTTP2_HEADERS)
        http2->trailers.ends_stream = frame->flags & HTTP2_END_STREAM;
    strbuf_add(&http2->trailers.block, data + frame->content_at, frame->content);
    http2->trailers.is_arriving = !(frame->flags & HTTP2_END_HEADERS);
    if (http2->trailers.is_arriving)
        return (ssize_t)scan->size;
    const ssize_t r = end_block(http2, frame->stream, error);
    strbuf_deinit(&http2->trailers.block);
    return r < 0 ? r : (ssize_t)scan->size;
}
