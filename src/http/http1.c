/* HTTP/1 towards clients.
 *
 * Why not h2o's own: what Holdfast promises hangs on knowing the exact state of every connection. Whether a
 * request has begun to arrive decides if a connection may be closed or handed over; a head must be judged
 * strictly before its body is read or anything is routed; idle, head, body and response each have a clock of
 * their own; a client that goes away while an upstream works must be noticed; and a connection that we end
 * must be ended with a lingering close. h2o 2.2.5 offers none of these. Its sockets, TLS, memory pools,
 * request objects and output streams are used as they are, so that everything above is the same for HTTP/1
 * and HTTP/2.
 *
 * The states of a connection:
 *
 *   IDLE ──first byte──► HEAD ──empty line──► BODY ──last byte──► ANSWER ──response sent──► IDLE
 *                                      └────── no body ────────────┘  └──► closed, lingering
 *
 * Invariants:
 *  - sock->input begins with the current request; request_size bytes of it belong to that request.
 *  - In ANSWER nothing is read: header slices and the body point into sock->input. The socket stays
 * registered with H2O_SOCKET_FLAG_DONT_READ, so that its hang-up is seen without a system call per request.
 *  - At most one write is in flight. A response that begins while an interim one is still on its way waits in
 *    `deferred`, or in `upgrade_head`.
 *  - exchange is set from the end of the head until the request is disposed of. */

#include "http/http1.h"

#include <fcntl.h>
#include <poll.h>

#include "http/http1_internal.h"
#include "http/server_internal.h"

void http1_init_request(struct http1 *h)
{
    h2o_init_request(&h->req, &h->super, NULL);
    h->req._ostr_top = &h->ostream;
    h->ostream = (h2o_ostream_t){.do_send = http1_ostream_send};
    h->scan_offset = h->scan_start = h->head_size = h->request_size = 0;
    h->chunked_in = NULL;
    h->exchange = NULL;
    h2o_req_bind_conf(&h->req, h->conn->server->hostconf, h->conn->server->pathconf);
    h->head_sent = h->chunked_out = h->is_final = h->failed = h->has_deferred = false;
}

void http1_release(struct http1 *h)
{
    timer_stop(&h->timer);
    timer_stop(&h->watch_timer);
    h2o_dispose_request(&h->req);
    list_unlink(&h->conn->idle_link);
    h->conn->protocol = NULL;
    free(h);
}

void http1_close(struct http1 *h, bool linger)
{
    struct conn *conn = h->conn;
    h2o_socket_t *sock = h->sock;
    void (*on_detached)(void *, struct conn *) = h->on_detached;
    void *userdata = h->detached_userdata;

    if (linger)
        conn->linger_fd = fcntl(h2o_socket_get_fd(sock), F_DUPFD_CLOEXEC, 3);
    conn->closing = true;
    h2o_socket_read_stop(sock);
    http1_release(h);
    if (on_detached)
        on_detached(userdata, NULL);
    conn_close(conn);
}

void http1_reset(struct http1 *h)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    setsockopt(h2o_socket_get_fd(h->sock), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    tls_conn_break_off(h->conn);
    http1_close(h, false);
}

void http1_close_incomplete(struct http1 *h)
{
    if (h->head_sent && !h->chunked_out && h->req.res.content_length == SIZE_MAX)
        http1_reset(h); /* the end of the connection would be the end of the body */
    else
        http1_close(h, false);
}

void http1_refuse(struct http1 *h, int status, const char *detail)
{
    h->req.http1_is_persistent = 0;
    h->request_size = h->sock->input->size; /* whatever has come of it is not looked at any more */
    http1_set_state(h, HTTP1_ANSWER);
    h2o_socket_read_stop(h->sock);
    if (h->exchange) {
        exchange_refuse(h->exchange, status, detail);
        return;
    }
    h->req.version = h->req.version ? h->req.version : 0x101;
    exchange_refuse_malformed(h->conn, &h->req, status, detail);
}

/* ---- watching for a client that goes away ---------------------------------------------------------- */

static bool has_hung_up(struct http1 *h)
{
    struct pollfd p = {.fd = h2o_socket_get_fd(h->sock), .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

#define WATCH_INTERVAL (100 * USEC_PER_MSEC)

static void on_watch_timer(struct timer *timer)
{
    struct http1 *h = container_of(timer, struct http1, watch_timer);
    if (has_hung_up(h))
        http1_close(h, false);
    else
        server_timer_start(h->conn->server, &h->watch_timer, WATCH_INTERVAL);
}

static void on_watch(h2o_socket_t *sock, const char *error)
{
    struct http1 *h = http1_of(conn_of_socket(sock));

    if (!h->is_final && has_hung_up(h)) {
        http1_close(h, false);
        return;
    }
    /* The next request, or TLS's own talk: to be read later. Not polled meanwhile, or the loop would spin. */
    h2o_socket_read_stop(sock);
    if (!h->is_final)
        server_timer_start(h->conn->server, &h->watch_timer, WATCH_INTERVAL);
}

void http1_run_exchange(struct http1 *h)
{
    http1_set_state(h, HTTP1_ANSWER);
    h2o_socket_dont_read(h->sock, 1);
    h2o_socket_read_start(h->sock, on_watch);
    exchange_run(h->exchange);
}

/* ---- life and death --------------------------------------------------------------------------------- */

static socklen_t get_sockname(h2o_conn_t *conn, struct sockaddr *address)
{
    return h2o_socket_getsockname(((struct http1 *)conn)->sock, address);
}

static socklen_t get_peername(h2o_conn_t *conn, struct sockaddr *address)
{
    return h2o_socket_getpeername(((struct http1 *)conn)->sock, address);
}

static h2o_socket_t *get_socket(h2o_conn_t *conn)
{
    return ((struct http1 *)conn)->sock;
}

void http1_start(struct conn *conn)
{
    static const h2o_conn_callbacks_t callbacks = {
        .get_sockname = get_sockname, .get_peername = get_peername, .get_socket = get_socket};
    struct server *server = conn->server;
    struct timeval now = {0};

    struct http1 *h = (struct http1 *)h2o_create_connection(sizeof(*h), &server->context,
                                                            server->accept_ctx.hosts, now, &callbacks);
    memset((char *)h + sizeof(h->super), 0, offsetof(struct http1, req) - sizeof(h->super));
    h->conn = conn;
    h->sock = conn->sock;
    http1_init_timer(h);
    h->watch_timer.callback = on_watch_timer;
    conn->protocol = h;
    conn_set_kind(conn, CONN_HTTP1);
    http1_init_request(h);
    http1_set_state(h, HTTP1_IDLE);
    http1_await_request(h);
}

void http1_abort(struct conn *conn)
{
    http1_close_incomplete(http1_of(conn));
}

bool http1_is_movable(const struct http1 *h)
{
    return h->conn->server->taker && h->state == HTTP1_IDLE && !h->conn->stays && !h->sock->ssl &&
           h->sock->input->size == 0;
}

static uint32_t milliseconds(usec_t length)
{
    return (uint32_t)MIN(length / USEC_PER_MSEC, (usec_t)UINT32_MAX);
}

void http1_give_away(struct http1 *h)
{
    struct server *server = h->conn->server;
    const usec_t now = server_now(server);
    struct moving_connection moving = {
        .listener = h->conn->origin->listener,
        .client = conn_is_passed_on(h->conn) ? *conn_client(h->conn) : (struct ip_address){.family = IP_NONE},
        .age_ms = milliseconds(usec_sub(now, h->conn->accepted_at)),
        .idle_ms = milliseconds(h->conn->idle_before + usec_sub(now, h->idle_since)),
    };
    h2o_socket_t *sock = h->sock;
    h2o_socket_export_t export;

    http1_release(h);
    h2o_socket_read_stop(sock);
    h2o_socket_export(sock, &export); /* frees the conn, too; cannot fail without TLS */
    h2o_buffer_dispose(&export.input);
    moving.fd = export.fd;
    server->taker(server->taker_userdata, &moving);
}

bool http1_shed(struct conn *conn, usec_t idle)
{
    struct http1 *h = http1_of(conn);
    const int fd = h2o_socket_get_fd(h->sock);
    char byte;

    if (h->state != HTTP1_IDLE || usec_sub(server_now(conn->server), h->idle_since) < idle ||
        recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
        return false;
    http1_close(h, !outflow_is_over(fd)); /* a lingering close would keep the place for a while */
    return true;
}

void http1_drain(struct conn *conn)
{
    struct http1 *h = http1_of(conn);

    if (http1_is_movable(h))
        http1_give_away(h);
    else if (h->state == HTTP1_IDLE)
        http1_set_state(h, HTTP1_IDLE); /* with the drain's clock */
    /* Otherwise the head of the response says what becomes of the connection. */
}
