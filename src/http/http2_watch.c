/* Once a second: whether what a client owes an HTTP/2 connection comes, by the clock that nobody sets. h2o's
 * own idle timer begins anew with each frame, PING among them, and ends while a response is waited for.
 *
 *   the preface, SETTINGS, a header block, a frame begun   HeadTimeoutSec=, then the connection ends
 *   the bytes of a body                                    BodyTimeoutSec=, BodyMinRate=, then it is 408
 *   to give a response's stream window                     SendTimeoutSec=, then the stream is reset
 *   to take anything from the socket                       SendTimeoutSec=, then the connection ends
 *   to take enough of all that waits                       SendMinRate=, then the connection ends
 *   a request                                              IdleTimeoutSec=, then it is drained as at a reload
 *   to take the last word                                  two seconds
 *
 * What times out does so up to a second late. */

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "http/fault.h"
#include "http/http2_body.h"
#include "http/http2_internal.h"
#include "http/server_internal.h"

#define WATCH_INTERVAL USEC_PER_SEC
/* How long a connection that ends may wait for its client to take the last word. */
#define END_TIME (2 * USEC_PER_SEC)

static bool is_over(usec_t since, usec_t timeout, usec_t now)
{
    return now >= usec_add(since, timeout);
}

/* Whether the socket has to take something first. h2o may wait until it can be written to without having
 * made anything to write, so as to choose then. */
static bool is_writing(const struct http2 *http2)
{
    return http2->h2o->_write.buf_in_flight || h2o_socket_is_writing(http2->h2o->sock);
}

/* Notes what has become of the bytes for the client since the last look. */
static void look_at_socket(struct http2 *http2, usec_t now)
{
    const bool waits = is_writing(http2);
    int queued = 0; /* what the kernel has not delivered yet */

    if (ioctl(h2o_socket_get_fd(http2->h2o->sock), SIOCOUTQ, &queued) < 0)
        queued = 0;
    const uint64_t mark = (http2_sent(http2) << 32) ^ (uint64_t)(uint32_t)queued;
    const bool moved = mark != http2->moved_mark;
    if (moved || !waits)
        http2->moved_at = now;
    http2->moved_mark = mark;
    /* Then a window that stays closed says nothing yet: what would open it is still on its way. */
    http2->delivering = waits || (moved && queued > 0);
}

static void watch_uploads(struct http2 *http2, usec_t now)
{
    const struct pace_limits limits = server_body_limits(http2->conn->server);
    enum pace_verdict verdict;
    uint32_t id;

    while ((id = http2_uploads_late(&http2->uploads, &limits, now, &verdict))) {
        h2o_http2_stream_t *stream = h2o_http2_conn_get_stream(http2->h2o, id);

        http2_uploads_ended(&http2->uploads, id);
        if (!stream)
            continue;
        conn_fault(http2->conn, CLIENT_FAULT_BODY_TIMEOUT,
                   verdict == PACE_SLOW ? "it came too slowly over HTTP/2" : "over HTTP/2");
        http2_body_late(http2, stream, verdict == PACE_SLOW);
    }
}

/* Whether the client takes what waits for it. What counts is payload that its windows let pass, or, while
 * the socket is what it waits for, bytes that its host has acknowledged. */
static bool takes_too_little(struct http2 *http2, usec_t now)
{
    const struct pace_limits limits = server_send_limits(http2->conn->server);
    const uint64_t sent = http2_sent(http2), passed = sent - http2->paced;
    const uint64_t acknowledged = outflow_progress(&http2->outflow, h2o_socket_get_fd(http2->h2o->sock));
    const bool waits = http2->waiting > 0 || is_writing(http2);

    http2->paced = sent;
    http2->waiting = 0; /* counted anew after this look */
    if (!waits) {
        pace_begin(&http2->send_pace, &limits, now);
        return false;
    }
    pace_progress(&http2->send_pace, &limits, http2->delivering ? MAX(passed, acknowledged) : passed, now);
    switch (pace_judge(&http2->send_pace, &limits, now)) {
    case PACE_IN_TIME:
        return false;
    case PACE_SLOW:
        return true;
    case PACE_STALLED: /* streams whose own windows are closed are ended one by one */
        return h2o_http2_window_get_window(&http2->h2o->_write.window) <= 0;
    default:
        WRONG("pace");
    }
}

static void watch_connection(struct http2 *http2, usec_t now)
{
    struct conn *conn = http2->conn;
    const struct gateway_config *gateway = server_gateway(conn->server);
    const h2o_http2_conn_t *h2o = http2->h2o;

    if (h2o->state != H2O_HTTP2_CONN_STATE_OPEN) {
        if (http2->ended_at == 0)
            http2->ended_at = now;
        if (is_over(http2->ended_at, END_TIME, now))
            conn_abort(conn);
        return;
    }
    look_at_socket(http2, now);
    if (is_over(http2->moved_at, gateway->send_timeout, now)) {
        conn_fault(conn, CLIENT_FAULT_SEND_TIMEOUT, "over HTTP/2");
        http2_end(http2, HTTP2_NO_ERROR, "");
        conn_abort(conn); /* there is no room for a word */
        return;
    }
    if (takes_too_little(http2, now)) {
        conn_fault(conn, CLIENT_FAULT_SEND_TIMEOUT, "too slowly over HTTP/2");
        http2_end(http2, HTTP2_NO_ERROR, client_fault_text(CLIENT_FAULT_SEND_TIMEOUT));
        return;
    }
    if (http2->head_since && is_over(http2->head_since, gateway->head_timeout, now)) {
        conn_fault(conn, CLIENT_FAULT_HEAD_TIMEOUT, "over HTTP/2");
        http2_end(http2, HTTP2_NO_ERROR, client_fault_text(CLIENT_FAULT_HEAD_TIMEOUT));
        return;
    }
    watch_uploads(http2, now);
    if (h2o->num_streams.pull.open > 0)
        http2->active_at = now;
    if (conn->goaway_at || is_over(http2->active_at, conn->origin->listener->idle_timeout, now))
        http2_drain(http2, now);
}

/* A response of which something waits that the client's windows do not allow. While its own is open, it waits
 * for others on its connection: see takes_too_little(). */
static void watch_response(struct exchange *exchange, usec_t timeout, usec_t now)
{
    struct http2 *http2 = exchange->conn->protocol;
    h2o_http2_stream_t *stream = container_of(exchange->req, h2o_http2_stream_t, req);
    const uint64_t sent = exchange->req->bytes_sent;
    const bool waits = h2o_http2_stream_has_pending_data(stream) ||
                       stream->state == H2O_HTTP2_STREAM_STATE_SEND_BODY_IS_FINAL;
    const bool is_closed = h2o_http2_window_get_window(&stream->output_window) <= 0;

    if (waits)
        http2->waiting++;
    if (!waits || !is_closed || sent != exchange->taken || http2->delivering) {
        exchange->taken = sent;
        exchange->taken_at = now;
    } else if (http2->h2o->state == H2O_HTTP2_CONN_STATE_OPEN && is_over(exchange->taken_at, timeout, now)) {
        conn_fault(exchange->conn, CLIENT_FAULT_SEND_TIMEOUT, "its HTTP/2 window stayed closed");
        http2_reset(http2, stream, HTTP2_CANCEL);
    }
}

/* A connection that h2o has closed is not among its own any more. With TLS its socket may have to wait, until
 * the client takes the goodbye. Whether there are such. */
static bool watch_goodbyes(struct server *server, usec_t now)
{
    bool any = false;

    list_for_each_safe (node, &server->conns) {
        struct conn *conn = list_entry(node, struct conn, link);
        struct http2 *http2 = conn->protocol;
        if (conn->kind != CONN_HTTP2 || http2->looked_at == now)
            continue;
        any = true;
        if (http2->ended_at == 0)
            http2->ended_at = now;
        if (is_over(http2->ended_at, END_TIME, now))
            conn_abort(conn);
    }
    return any;
}

static void on_watch(struct timer *timer)
{
    struct server *server = container_of(timer, struct server, http2_watch);
    const usec_t now = server_now(server), send_timeout = server_gateway(server)->send_timeout;
    h2o_linklist_t *anchor = &server->context.http2._conns, *next;

    for (h2o_linklist_t *node = anchor->next; node != anchor; node = next) {
        struct http2 *http2 = http2_of(container_of(node, h2o_http2_conn_t, _conns));
        next = node->next;
        http2->looked_at = now;
        watch_connection(http2, now);
    }
    list_for_each_safe (node, &server->exchanges) {
        struct exchange *exchange = list_entry(node, struct exchange, link);
        if (exchange->conn->kind == CONN_HTTP2)
            watch_response(exchange, send_timeout, now);
    }
    if (watch_goodbyes(server, now) || !h2o_linklist_is_empty(anchor))
        server_timer_start(server, timer, WATCH_INTERVAL);
}

void http2_watch_start(struct http2 *http2, usec_t now)
{
    struct server *server = http2->conn->server;
    const struct pace_limits limits = server_send_limits(http2->conn->server);

    http2->outflow = outflow_begin(h2o_socket_get_fd(http2->h2o->sock));
    pace_begin(&http2->send_pace, &limits, now);
    server->http2_watch.callback = on_watch;
    if (!timer_is_running(&server->http2_watch))
        server_timer_start(server, &server->http2_watch, WATCH_INTERVAL);
}
