#include "http/http2.h"

#include <fcntl.h>

#include "http/http2_internal.h"
#include "http/http2_trailers.h"
#include "http/server_internal.h"

/* RFC 9113 6.8: at least a round trip between the two GOAWAYs. */
#define GOAWAY_INTERVAL USEC_PER_SEC

void http2_init(void)
{
    /* h2o decodes Cache-Digest, a draft that came to nothing, wherever a header block refers to it: a byte
     * there can cost a quarter of a megabyte. It has fields that it refuses with the connection. */
    if (!H2O_TOKEN_CACHE_DIGEST->http2_should_reject)
        H2O_TOKEN_CACHE_DIGEST->http2_should_reject = 1;
}

void http2_start(struct conn *conn)
{
    struct server *server = conn->server;
    const struct gateway_config *gateway = server_gateway(server);
    const struct http2_limits limits = http2_limits(gateway->max_head_size, gateway->max_headers);
    const struct timeval began = *h2o_get_timestamp(&server->context, NULL, NULL);
    const usec_t now = server_now(server);
    h2o_socket_t *sock = conn->sock;

    /* h2o closes the socket itself, at once: the duplicate is for closing it politely afterwards. */
    conn->linger_fd = fcntl(h2o_socket_get_fd(sock), F_DUPFD_CLOEXEC, 3);

    struct http2 *http2 = xcalloc(1, sizeof(*http2));
    *http2 = (struct http2){.conn = conn, .head_since = now, .active_at = now, .moved_at = now};
    http2_guard_init(&http2->guard, &limits, now);
    conn->protocol = http2;

    /* It would read what there is already before we could stand between. */
    h2o_buffer_t *input = sock->input;
    h2o_buffer_init(&sock->input, &h2o_socket_buffer_prototype);
    h2o_http2_accept(&server->accept_ctx, sock, began);
    h2o_buffer_dispose(&sock->input);
    sock->input = input;
    http2->h2o = sock->data;
    http2_read_start(http2);
    http2_watch_start(http2, now);
    if (input->size > 0)
        sock->_cb.read(sock, NULL);
}

void http2_closed(struct conn *conn)
{
    struct http2 *http2 = conn->protocol;

    http2_uploads_deinit(&http2->uploads);
    strbuf_deinit(&http2->trailers.block);
    free(http2);
    conn->protocol = NULL;
}

void http2_end(struct http2 *http2, enum http2_error error, const char *reason)
{
    h2o_http2_conn_t *h2o = http2->h2o;

    http2->conn->closing = true;
    http2->ended_at = server_now(http2->conn->server);
    h2o_http2_encode_goaway_frame(&h2o->_write.buf, h2o->pull_stream_ids.max_open, -(int)error,
                                  h2o_iovec_init(reason, strlen(reason)));
    h2o_http2_conn_request_write(h2o);
    h2o->state = H2O_HTTP2_CONN_STATE_IS_CLOSING; /* once it has written, it closes */
    /* That may have to wait for the client: nobody would use up what is read meanwhile. */
    h2o_socket_read_stop(h2o->sock);
}

void http2_reset(struct http2 *http2, h2o_http2_stream_t *stream, enum http2_error error)
{
    h2o_http2_conn_t *h2o = http2->h2o;

    http2_trailers_may_be_late(http2, stream->stream_id);
    h2o_http2__encode_rst_stream_frame(&h2o->_write.buf, stream->stream_id, (int)error);
    h2o_http2_stream_reset(h2o, stream);
    h2o_http2_conn_request_write(h2o);
}

static void send_goaway(h2o_http2_conn_t *h2o, uint32_t last_stream_id)
{
    h2o_http2_encode_goaway_frame(&h2o->_write.buf, last_stream_id, 0, (h2o_iovec_t){NULL, 0});
    h2o_http2_conn_request_write(h2o);
}

void http2_drain(struct http2 *http2, usec_t now)
{
    h2o_http2_conn_t *h2o = http2->h2o;
    struct conn *conn = http2->conn;

    if (h2o->state != H2O_HTTP2_CONN_STATE_OPEN)
        return; /* on its way out already */
    if (!conn->goaway_at) {
        send_goaway(h2o, INT32_MAX);
        conn->goaway_at = now;
    } else if (!conn->goaway_final) {
        if (now - conn->goaway_at < GOAWAY_INTERVAL)
            return;
        send_goaway(h2o, h2o->pull_stream_ids.max_open);
        conn->goaway_final = true;
    } else if (h2o->num_streams.pull.open == 0 && h2o->num_streams.push.open == 0 && !conn->closing) {
        conn->closing = true;
        shutdown(h2o_socket_get_fd(h2o->sock),
                 SHUT_RD); /* h2o sees the end, writes what is left and closes */
    }
}

void http2_drain_step(struct server *server, usec_t now)
{
    h2o_linklist_t *anchor = &server->context.http2._conns, *node = anchor->next, *next;
    for (; node != anchor; node = next) {
        next = node->next;
        http2_drain(http2_of(container_of(node, h2o_http2_conn_t, _conns)), now);
    }
}

void http2_send_interim(h2o_req_t *req, int status, const h2o_header_t *headers, size_t n_headers)
{
    h2o_http2_conn_t *http2 = (h2o_http2_conn_t *)req->conn;
    h2o_http2_stream_t *stream = container_of(req, h2o_http2_stream_t, req);
    h2o_timestamp_t timestamp;
    h2o_res_t response = {.status = status, .content_length = SIZE_MAX};

    if ((stream->state != H2O_HTTP2_STREAM_STATE_RECV_BODY &&
         stream->state != H2O_HTTP2_STREAM_STATE_SEND_HEADERS) ||
        http2->state != H2O_HTTP2_CONN_STATE_OPEN)
        return; /* interim responses may be left out */
    response.headers.entries = (h2o_header_t *)(uintptr_t)headers;
    response.headers.size = response.headers.capacity = n_headers;
    h2o_get_timestamp(req->conn->ctx, &req->pool, &timestamp);
    h2o_hpack_flatten_response(&http2->_write.buf, &http2->_output_header_table, stream->stream_id,
                               http2->peer_settings.max_frame_size, &response, &timestamp,
                               &req->conn->ctx->globalconf->server_name, SIZE_MAX);
    h2o_http2_conn_request_write(http2);
}

void http2_each_head(struct server *server,
                     void (*callback)(void *userdata, struct conn *conn, h2o_req_t *req), void *userdata)
{
    h2o_linklist_t *anchor = &server->context.http2._conns;
    for (h2o_linklist_t *node = anchor->next; node != anchor; node = node->next) {
        h2o_http2_conn_t *http2 = container_of(node, h2o_http2_conn_t, _conns);
        for (khiter_t i = 0; i != kh_end(http2->streams); i++) {
            if (!kh_exist(http2->streams, i))
                continue;
            h2o_http2_stream_t *stream = kh_val(http2->streams, i);
            if (stream->state == H2O_HTTP2_STREAM_STATE_RECV_HEADERS)
                callback(userdata, conn_of_socket(http2->sock), &stream->req);
        }
    }
}
