#pragma once
/* The life of one request, from its whole head to the last byte of its response.
 *
 *   begin ─► (body arrives) ─► run ─► answer: respond, redirect, files, handler, or proxy ─► end
 *
 * An exchange is allocated from the request's pool and ends when that is cleared: that is also how it hears
 * that the client went away. Whatever it started (an upstream request, timers) is undone there, in one place.
 */

#include "http/body.h"
#include "http/conn.h"
#include "http/h2o.h"
#include "router/router.h"
#include "util/clock.h"
#include "util/list.h"

struct forwarding;
struct proxy;

struct exchange {
    h2o_req_t *req;
    struct conn *conn;
    struct server *server;
    struct list link; /* in server->exchanges */
    usec_t began;

    enum method method;
    struct slice path;  /* normalised; what is routed and forwarded */
    struct slice query; /* with its '?', or empty */
    struct slice request_id;
    const struct route_config *route; /* NULL: none */
    struct slice rest;                /* value of the route's catch-all */
    bool has_rest;
    bool is_about_server;       /* OPTIONS *: asks for none of its resources */
    uint32_t allowed;           /* for 405 */
    int refusal;                /* status decided before the body: 400, 403, 404, 405, 429, or 0 */
    const char *refusal_detail; /* NULL: what is usual with it */
    bool cut;                   /* we ended it: no second record */

    bool discards;    /* HTTP/2: it was answered before its body had come, and takes no more of it */
    struct body body; /* unless it is req->entity, still in the connection's buffer */

    h2o_timeout_entry_t start; /* HTTP/2: until exchange_run_soon() has run it */
    uint64_t taken;            /* HTTP/2: body bytes that the client made room for (http2_watch.c) */
    usec_t taken_at;           /* … and when it was last seen to, or had no need */

    struct forwarding *forwarding; /* NULL unless a trusted proxy sent it */
    struct list handled_link;      /* in server->handled, while it waits for the handler */
    struct handler_ticket *ticket; /* while a handler owes the answer */
    struct strbuf reply;           /* … and its body */
    struct proxy *proxy;           /* NULL unless an upstream is asked */
    unsigned tries;
    const struct upstream_config *upstream;
    const struct target_config *target; /* the last one tried */
};

/* The request's head is complete: counts it, names it, routes it. Never fails; what is wrong with the request
 * shows in `refusal`. */
struct exchange *exchange_begin(struct conn *conn, h2o_req_t *req);
/* The most body bytes this request may bring. */
uint64_t exchange_max_body(const struct exchange *exchange);
/* The request is whole (or is refused already): answers it, now or later. */
void exchange_run(struct exchange *exchange);
/* The same at the end of this turn of the loop, unless the request ends before: a request that is taken back
 * by what came along with it has caused no work. */
void exchange_run_soon(struct exchange *exchange);
/* Who asks: the connection's client, unless a trusted proxy says that it forwards for another. The text is
 * owned by the exchange. */
const struct ip_address *exchange_client(const struct exchange *exchange);
const char *exchange_client_text(struct exchange *exchange);
/* Answers with an error instead. `detail` is a sentence. */
void exchange_refuse(struct exchange *exchange, int status, const char *detail);
/* For what could not be parsed as a request at all: one that is to be refused. */
struct exchange *exchange_begin_malformed(struct conn *conn, h2o_req_t *req, int status);
/* The same, and answers it. */
void exchange_refuse_malformed(struct conn *conn, h2o_req_t *req, int status, const char *detail);
/* Tells the client to come again. */
void exchange_add_retry_after(struct exchange *exchange);
/* Adds the response fields that are on every response of ours. */
void exchange_add_common_headers(struct exchange *exchange);
