/* h2o reads frames by a function that it holds in each connection, and replaces as it goes on: one for the
 * preface, one for what a CONTINUATION must follow, one for the rest. Ours stands in its place, judges what
 * is there, and calls the one it stands for. h2o changes it nowhere but within these functions, so a frame
 * that was not judged cannot reach it, whoever started to read. */

#include "http/fault.h"
#include "http/http2_body.h"
#include "http/http2_internal.h"
#include "http/http2_trailers.h"
#include "http/server_internal.h"

#define SETTINGS_MAX_HEADER_LIST_SIZE 0x6 /* RFC 9113 6.5.2 */
/* DATA with less than this on a stream that is gone costs us more than the client. */
#define DATA_OF_USE 512
/* As much of the input buffer as may be kept for a part of a frame, which is smaller. */
#define INPUT_KEPT ((size_t)64 * 1024)

static bool is_in_progress(const h2o_http2_stream_t *stream)
{
    return stream && stream->state != H2O_HTTP2_STREAM_STATE_IDLE &&
           stream->state != H2O_HTTP2_STREAM_STATE_END_STREAM;
}

static bool is_arriving(const h2o_http2_stream_t *stream)
{
    return stream && (stream->state == H2O_HTTP2_STREAM_STATE_RECV_HEADERS ||
                      stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY);
}

uint64_t http2_sent(const struct http2 *http2)
{
    const int64_t window = (int64_t)H2O_HTTP2_SETTINGS_DEFAULT.initial_window_size;
    return (uint64_t)(window + (int64_t)http2->window_given - (int64_t)http2->h2o->_write.window._avail);
}

/* What was accomplished since this was last called refills the guard's budgets. */
static void earn(struct http2 *http2)
{
    const uint64_t answered = http2->opened - http2->ended_early - http2->h2o->num_streams.pull.open;
    const uint64_t sent = http2_sent(http2);

    http2_guard_earn(&http2->guard, answered - http2->answered, sent - http2->sent);
    http2->answered = answered;
    http2->sent = sent;
}

/* Ends the connection. Returns what h2o's reading is to be told: that all there is was taken. */
static ssize_t stop(struct http2 *http2, enum http2_error error, enum client_fault fault, const char *detail,
                    size_t size)
{
    conn_fault(http2->conn, fault, detail);
    if (!http2->guard.begun)
        return H2O_HTTP2_ERROR_PROTOCOL_CLOSE_IMMEDIATELY; /* what it speaks has no GOAWAY */
    http2_end(http2, error, detail ? detail : client_fault_text(fault));
    return (ssize_t)size;
}

static ssize_t stop_for(struct http2 *http2, enum http2_stop why, size_t size)
{
    return stop(http2, http2_stop_error(why), http2_stop_fault(why), http2_stop_text(why), size);
}

/* A rule was broken that h2o knows. */
static ssize_t stop_by_h2o(struct http2 *http2, ssize_t error, const char *text, size_t size)
{
    if (error == H2O_HTTP2_ERROR_ENHANCE_YOUR_CALM)
        return stop(http2, HTTP2_ENHANCE_YOUR_CALM, CLIENT_FAULT_HTTP2_FLOOD, text, size);
    if (error <= -H2O_HTTP2_ERROR_MAX)
        error = H2O_HTTP2_ERROR_PROTOCOL; /* codes of its own */
    return stop(http2, (enum http2_error) - error, CLIENT_FAULT_HTTP2_ERROR, text, size);
}

/* h2o tells its settings when it has seen the preface; what it does not tell goes along. */
static void tell_limits(struct http2 *http2)
{
    const uint32_t size = (uint32_t)server_gateway(http2->conn->server)->max_head_size;
    h2o_buffer_t **out = &http2->h2o->_write.buf;
    const uint8_t setting[6] = {0,
                                SETTINGS_MAX_HEADER_LIST_SIZE,
                                (uint8_t)(size >> 24),
                                (uint8_t)(size >> 16),
                                (uint8_t)(size >> 8),
                                (uint8_t)size};

    uint8_t *frame = (uint8_t *)h2o_buffer_reserve(out, HTTP2_FRAME_HEAD_SIZE + sizeof(setting)).base;
    memcpy(h2o_http2_encode_frame_header(frame, sizeof(setting), H2O_HTTP2_FRAME_TYPE_SETTINGS, 0, 0),
           setting, sizeof(setting));
    (*out)->size += HTTP2_FRAME_HEAD_SIZE + sizeof(setting);
}

/* A stream whose last bytes are being written, and whose window they used up, must not get more: h2o would
 * schedule it once again, which its own assertion forbids. Such a stream needs no window. */
static bool is_for_an_ended_stream(const struct http2 *http2, const struct http2_frame *frame)
{
    if (frame->type != HTTP2_WINDOW_UPDATE || frame->stream == 0)
        return false;
    const h2o_http2_stream_t *stream = h2o_http2_conn_get_stream(http2->h2o, frame->stream);
    return stream && stream->state == H2O_HTTP2_STREAM_STATE_END_STREAM;
}

/* The same for SETTINGS, which give window to all streams. */
static void settle_ended_streams(struct http2 *http2)
{
    const khash_t(h2o_http2_stream_t) *streams = http2->h2o->streams;

    for (khiter_t i = 0; i != kh_end(streams); i++) {
        if (!kh_exist(streams, i))
            continue;
        h2o_http2_stream_t *stream = kh_val(streams, i);
        if (stream->state == H2O_HTTP2_STREAM_STATE_END_STREAM && stream->output_window._avail <= 0)
            stream->output_window._avail = 1;
    }
}

/* Of the frame that is arriving on this stream so many bytes are here. */
static void note_bytes(struct http2 *http2, uint32_t stream, size_t size, usec_t now)
{
    const struct pace_limits limits = server_body_limits(http2->conn->server);
    const size_t more = size > http2->counted ? size - http2->counted : 0;

    http2_uploads_arrived(&http2->uploads, stream, more, &limits, now);
    http2->counted += more;
}

static void note_upload(struct http2 *http2, const struct http2_frame *frame,
                        const h2o_http2_stream_t *stream, usec_t now)
{
    if (!is_arriving(stream) || !stream->_req_body)
        http2_uploads_ended(&http2->uploads, frame->stream);
    else if (frame->type == HTTP2_HEADERS || (frame->type == HTTP2_DATA && frame->content > 0))
        note_bytes(http2, frame->stream, frame->content, now);
}

static bool ends_block(const struct http2_frame *frame)
{
    return (frame->type == HTTP2_HEADERS || frame->type == HTTP2_CONTINUATION) &&
           frame->flags & HTTP2_END_HEADERS;
}

/* What a frame has done to its stream. */
static enum http2_stop note_stream(struct http2 *http2, const struct http2_frame *frame, bool was_in_progress,
                                   bool was_opened, usec_t now)
{
    const h2o_http2_stream_t *stream = h2o_http2_conn_get_stream(http2->h2o, frame->stream);
    const bool in_progress = is_in_progress(stream);

    note_upload(http2, frame, stream, now);
    if (!was_in_progress && (in_progress || was_opened)) {
        http2->opened++;
        http2->active_at = now;
    }
    if ((was_in_progress || was_opened) && !in_progress) {
        http2->ended_early++;
        if (frame->type != HTTP2_RST_STREAM)
            http2_trailers_may_be_late(http2, frame->stream);
        return http2_guard_ended_early(&http2->guard, now);
    }
    if (!in_progress && frame->type == HTTP2_DATA && frame->content < DATA_OF_USE)
        return http2_guard_useless(&http2->guard, 0, now);
    if (!in_progress && ends_block(frame))
        return http2_guard_useless(&http2->guard, http2->guard.block_size, now);
    return HTTP2_GO_ON;
}

/* Hands a whole frame, or the preface, to h2o; `size` is all that there is. */
static ssize_t pass(struct http2 *http2, const struct http2_scan *scan, const uint8_t *data, size_t size,
                    const char **error, usec_t now)
{
    h2o_http2_conn_t *h2o = http2->h2o;
    const struct http2_frame *frame = scan->is_frame ? &scan->frame : NULL;
    const bool was_in_progress =
        frame && frame->stream && is_in_progress(h2o_http2_conn_get_stream(h2o, frame->stream));
    const uint32_t max_open = h2o->pull_stream_ids.max_open;

    if (frame && is_for_an_ended_stream(http2, frame))
        return (ssize_t)scan->size;
    if (frame && frame->type == HTTP2_SETTINGS)
        settle_ended_streams(http2);
    h2o_http2_stream_t *stream =
        frame && frame->stream ? h2o_http2_conn_get_stream(h2o, frame->stream) : NULL;
    const bool is_body = frame && frame->type == HTTP2_DATA && http2_body_awaits(stream);
    const bool is_trailers = frame && http2_trailers_own(http2, frame, stream);
    if (stream && frame->type == HTTP2_RST_STREAM)
        http2_body_forget(stream);
    if (frame && !is_trailers && ends_block(frame) && http2->guard.block.lengths > 1)
        http2->has_two_lengths = frame->stream;
    const ssize_t taken = is_body       ? http2_body_take(http2, stream, scan, data, error)
                          : is_trailers ? http2_trailers_take(http2, scan, data, error)
                                        : http2->reader(h2o, data, scan->size, error);
    if (taken < 0)
        return stop_by_h2o(http2, taken, *error, size);
    if (!frame)
        tell_limits(http2);
    else if (frame->type == HTTP2_WINDOW_UPDATE && frame->stream == 0)
        http2->window_given += frame->increment;
    if (!frame || frame->stream == 0)
        return taken;
    if (frame->type == HTTP2_HEADERS || frame->type == HTTP2_CONTINUATION)
        http2_body_begin(http2, h2o_http2_conn_get_stream(h2o, frame->stream));
    const enum http2_stop why =
        note_stream(http2, frame, was_in_progress, h2o->pull_stream_ids.max_open != max_open, now);
    return why == HTTP2_GO_ON ? taken : stop_for(http2, why, size);
}

/* Notes for http2_watch.c since when something is due that is not whole. */
static void note_arrival(struct http2 *http2, const struct http2_scan *scan, size_t size, usec_t now)
{
    const struct http2_guard *guard = &http2->guard;
    const bool incomplete = scan->verdict == HTTP2_INCOMPLETE;
    const bool is_data = scan->is_frame && scan->frame.type == HTTP2_DATA;

    if (!guard->settled || guard->in_block || (incomplete && !is_data))
        http2->head_since = http2->head_since ? http2->head_since : now;
    else
        http2->head_since = 0;
    /* More of a frame of a body is more of the body. */
    if (incomplete && is_data && is_arriving(h2o_http2_conn_get_stream(http2->h2o, scan->frame.stream)))
        note_bytes(http2, scan->frame.stream, size, now);
}

/* What is left of the input stays where it is, and h2o reads all that there is: a part of a frame could hold
 * megabytes until the rest of it comes. */
static void shrink_input(h2o_socket_t *sock)
{
    h2o_buffer_t *const large = sock->input, *small;

    if (large->capacity <= INPUT_KEPT || large->size > INPUT_KEPT / 2)
        return;
    h2o_buffer_init(&small, &h2o_socket_buffer_prototype);
    memcpy(h2o_buffer_reserve(&small, large->size).base, large->bytes, large->size);
    small->size = large->size;
    h2o_buffer_dispose(&sock->input);
    sock->input = small;
}

static ssize_t on_frame(h2o_http2_conn_t *h2o, const uint8_t *data, size_t size, const char **error)
{
    struct http2 *http2 = http2_of(h2o);
    const usec_t now = server_now(http2->conn->server);
    struct http2_scan scan;
    ssize_t taken;

    if (h2o->state != H2O_HTTP2_CONN_STATE_OPEN)
        return (ssize_t)size; /* it ends: h2o would take nothing, and ask again for ever */
    earn(http2);
    http2_guard_scan(&http2->guard, data, size, now, &scan);
    note_arrival(http2, &scan, size, now);
    switch (scan.verdict) {
    case HTTP2_INCOMPLETE:
        shrink_input(h2o->sock); /* which is where `data` was */
        return H2O_HTTP2_ERROR_INCOMPLETE;
    case HTTP2_SKIP:
        return (ssize_t)scan.size;
    case HTTP2_STOP:
        return stop_for(http2, scan.stop, size);
    case HTTP2_PASS:
        taken = pass(http2, &scan, data, size, error, now);
        http2->counted = 0;
        if (h2o->_read_expect != on_frame) {
            http2->reader = h2o->_read_expect;
            h2o->_read_expect = on_frame;
        }
        return taken;
    default:
        WRONG("verdict on a frame");
    }
}

void http2_read_start(struct http2 *http2)
{
    http2->reader = http2->h2o->_read_expect;
    http2->h2o->_read_expect = on_frame;
}
