#include "http/http2.h"

#include <fcntl.h>

#include "http/h2o_http2.h"
#include "http/server_internal.h"

/* RFC 9113 6.8: at least a round trip between the two GOAWAYs. */
#define GOAWAY_INTERVAL USEC_PER_SEC

void http2_start(struct conn *conn)
{
    struct server *server = conn->server;
    struct timeval now = *h2o_get_timestamp(&server->context, NULL, NULL);

    /* h2o closes the socket itself, at once: the duplicate is for closing it politely afterwards. */
    conn->linger_fd = fcntl(h2o_socket_get_fd(conn->sock), F_DUPFD_CLOEXEC, 3);
    h2o_http2_accept(&server->accept_ctx, conn->sock, now);
}

static void send_goaway(h2o_http2_conn_t *http2, uint32_t last_stream_id)
{
    h2o_http2_encode_goaway_frame(&http2->_write.buf, last_stream_id, 0, (h2o_iovec_t){NULL, 0});
    h2o_http2_conn_request_write(http2);
}

static void drain_connection(h2o_http2_conn_t *http2, usec_t now)
{
    struct conn *conn = conn_of_socket(http2->sock);

    if (http2->state != H2O_HTTP2_CONN_STATE_OPEN)
        return; /* on its way out already */
    if (!conn->goaway_at) {
        send_goaway(http2, INT32_MAX);
        conn->goaway_at = now;
    } else if (!conn->goaway_final) {
        if (now - conn->goaway_at < GOAWAY_INTERVAL)
            return;
        send_goaway(http2, http2->pull_stream_ids.max_open);
        conn->goaway_final = true;
    } else if (http2->num_streams.pull.open == 0 && http2->num_streams.push.open == 0 && !conn->closing) {
        conn->closing = true;
        shutdown(h2o_socket_get_fd(http2->sock),
                 SHUT_RD); /* h2o sees the end, writes what is left and closes */
    }
}

void http2_drain_step(struct server *server, usec_t now)
{
    h2o_linklist_t *anchor = &server->context.http2._conns, *node = anchor->next, *next;
    for (; node != anchor; node = next) {
        next = node->next;
        drain_connection(container_of(node, h2o_http2_conn_t, _conns), now);
    }
}

void http2_send_interim(h2o_req_t *req, int status, const h2o_header_t *headers, size_t n_headers)
{
    h2o_http2_conn_t *http2 = (h2o_http2_conn_t *)req->conn;
    h2o_http2_stream_t *stream = container_of(req, h2o_http2_stream_t, req);
    h2o_timestamp_t timestamp;
    h2o_res_t response = {.status = status, .content_length = SIZE_MAX};

    if (stream->state != H2O_HTTP2_STREAM_STATE_SEND_HEADERS || http2->state != H2O_HTTP2_CONN_STATE_OPEN)
        return; /* interim responses may be left out */
    response.headers.entries = (h2o_header_t *)(uintptr_t)headers;
    response.headers.size = response.headers.capacity = n_headers;
    h2o_get_timestamp(req->conn->ctx, &req->pool, &timestamp);
    h2o_hpack_flatten_response(&http2->_write.buf, &http2->_output_header_table, stream->stream_id,
                               http2->peer_settings.max_frame_size, &response, &timestamp,
                               &req->conn->ctx->globalconf->server_name, SIZE_MAX);
    h2o_http2_conn_request_write(http2);
}

void http2_each_upload(struct server *server,
                       void (*callback)(void *userdata, struct conn *conn, h2o_req_t *req), void *userdata)
{
    h2o_linklist_t *anchor = &server->context.http2._conns;
    for (h2o_linklist_t *node = anchor->next; node != anchor; node = node->next) {
        h2o_http2_conn_t *http2 = container_of(node, h2o_http2_conn_t, _conns);
        for (khiter_t i = 0; i != kh_end(http2->streams); i++) {
            if (!kh_exist(http2->streams, i))
                continue;
            h2o_http2_stream_t *stream = kh_val(http2->streams, i);
            if (stream->state == H2O_HTTP2_STREAM_STATE_RECV_HEADERS ||
                stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY)
                callback(userdata, conn_of_socket(http2->sock), &stream->req);
        }
    }
}
