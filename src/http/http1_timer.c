/* The clocks of an HTTP/1 connection: each state has its own.
 *
 *   IDLE    IdleTimeoutSec=, or the drain's quiet period      closed without a word
 *   HEAD    HeadTimeoutSec= for the whole head                408
 *   BODY    BodyTimeoutSec= and BodyMinRate=                  408
 *   ANSWER  SendTimeoutSec= and SendMinRate=, while something waits for the client to take it: reset */

#include "http/fault.h"
#include "http/http1_internal.h"
#include "http/server_internal.h"

/* How often a client is looked at that does not take at once what is written: no hurry, but a time that
 * any rate worth asking for fits into many times. */
#define LOOK_INTERVAL USEC_PER_SEC

/* An adopted connection was idle elsewhere already. Never less than an eighth of the timeout, since the
 * client may count from a moment that we do not know. */
static usec_t idle_limit(const struct http1 *h)
{
    const usec_t timeout = h->conn->origin->listener->idle_timeout;

    return MAX(usec_sub(timeout, h->conn->idle_before), timeout / 8);
}

static void await_until(struct http1 *h, usec_t at)
{
    struct server *server = h->conn->server;
    server_timer_start(server, &h->timer, usec_sub(at, server_now(server)));
}

void http1_set_state(struct http1 *h, enum http1_state state)
{
    struct server *server = h->conn->server;
    struct pace_limits limits;

    h->state = state;
    switch (state) {
    case HTTP1_IDLE:
        h->idle_since = server_now(server);
        list_unlink(&h->conn->idle_link);
        list_append(&server->idle, &h->conn->idle_link);
        conn_set_busy(h->conn, false);
        server_timer_start(server, &h->timer,
                           server->draining && server->quiet != USEC_INFINITY ? server_idle_stage(server)
                                                                              : idle_limit(h));
        break;
    case HTTP1_HEAD:
        h->conn->idle_before = 0;
        list_unlink(&h->conn->idle_link);
        conn_set_busy(h->conn, true);
        server_timer_start(server, &h->timer, server_gateway(server)->head_timeout);
        break;
    case HTTP1_BODY:
        limits = server_body_limits(h->conn->server);
        pace_begin(&h->pace, &limits, server_now(server));
        await_until(h, h->pace.ends_at);
        break;
    case HTTP1_ANSWER:
        h->is_paced = false;
        timer_suspend(&h->timer);
        if (h->interim_in_flight)
            http1_write_begins(h);
        break;
    default:
        WRONG("HTTP/1 state");
    }
}

void http1_body_arrives(struct http1 *h, size_t bytes)
{
    const struct pace_limits limits = server_body_limits(h->conn->server);

    pace_progress(&h->pace, &limits, bytes, server_now(h->conn->server));
    await_until(h, h->pace.ends_at);
}

/* ---- what the client does not take ----------------------------------------------------------------- */

void http1_write_begins(struct http1 *h)
{
    const usec_t grace = server_send_limits(h->conn->server).grace, now = server_now(h->conn->server);

    if (h->state != HTTP1_ANSWER || grace == USEC_INFINITY)
        return; /* the body's clock runs, or none does */
    if (h->is_paced)
        pace_skip(&h->pace, usec_sub(now, h->write_at)); /* when nothing waited for the client */
    h->write_at = now;
    /* Most clients take at once what is written, and cost no more than this timer, which does not ring. */
    server_timer_start(h->conn->server, &h->timer, MIN(LOOK_INTERVAL, grace / 4));
}

void http1_write_ends(struct http1 *h)
{
    if (h->state != HTTP1_ANSWER)
        return;
    timer_suspend(&h->timer);
    if (!h->is_paced)
        return;
    const struct pace_limits limits = server_send_limits(h->conn->server);
    h->write_at = server_now(h->conn->server);
    /* The kernel has taken it, so the client has taken something: all there is to go by on a Unix socket,
     * whose queue may be as full as before each time that it is looked at. */
    if (!h->outflow.is_tcp)
        pace_progress(&h->pace, &limits, UINT64_MAX, h->write_at);
}

/* A write is under way, and has been for a while. */
static void look_at_client(struct http1 *h)
{
    const struct pace_limits limits = server_send_limits(h->conn->server);
    const usec_t now = server_now(h->conn->server);
    const int fd = h2o_socket_get_fd(h->sock);

    if (!h->is_paced) {
        pace_begin(&h->pace, &limits, h->write_at);
        h->outflow = outflow_begin(fd);
        h->is_paced = true;
    } else {
        pace_progress(&h->pace, &limits, outflow_progress(&h->outflow, fd), now);
    }
    if (pace_judge(&h->pace, &limits, now) == PACE_IN_TIME) {
        server_timer_start(h->conn->server, &h->timer,
                           usec_min(LOOK_INTERVAL, usec_sub(h->pace.ends_at, now)));
        return;
    }
    conn_fault(h->conn, CLIENT_FAULT_SEND_TIMEOUT, NULL);
    http1_reset(h);
}

/* ---- what is due ----------------------------------------------------------------------------------- */

static void body_is_late(struct http1 *h)
{
    const struct pace_limits limits = server_body_limits(h->conn->server);
    const bool slow = pace_judge(&h->pace, &limits, server_now(h->conn->server)) == PACE_SLOW;

    conn_fault(h->conn, CLIENT_FAULT_BODY_TIMEOUT, slow ? "it came too slowly" : NULL);
    http1_refuse(h, 408,
                 slow ? "The request's body came too slowly." : "The request's body did not arrive in time.");
}

static void on_timer(struct timer *timer)
{
    struct http1 *h = container_of(timer, struct http1, timer);
    char byte;

    switch (h->state) {
    case HTTP1_IDLE:
        /* A request that is just arriving is let in. */
        if (h->conn->server->draining &&
            recv(h2o_socket_get_fd(h->sock), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
            server_timer_start(h->conn->server, &h->timer, USEC_PER_SEC);
        else
            http1_close(h, true);
        break;
    case HTTP1_HEAD:
        conn_fault(h->conn, CLIENT_FAULT_HEAD_TIMEOUT, NULL);
        http1_refuse(h, 408, "The request's head did not arrive in time.");
        break;
    case HTTP1_BODY:
        body_is_late(h);
        break;
    case HTTP1_ANSWER:
        look_at_client(h);
        break;
    default:
        WRONG("HTTP/1 state");
    }
}

void http1_init_timer(struct http1 *h)
{
    h->timer.callback = on_timer;
}
