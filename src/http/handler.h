#pragma once
/* For the parts that answer requests themselves without touching h2o (the admin API): a request in, a reply
 * out, in one call. */

#include "router/method.h"
#include "util/credentials.h"
#include "util/slice.h"
#include "util/strbuf.h"

struct exchange;
/* A request that is answered later. */
struct handler_ticket;

struct handler_request {
    struct exchange *exchange; /* for handler_defer(); NULL when there is nobody to answer later */
    enum method method;
    struct slice method_name;
    struct slice path;  /* normalised, without query */
    struct slice query; /* without '?' */
    struct slice body;
    /* Fields, empty where they are not there. */
    struct slice accept, host, origin, fetch_site;
    bool is_forwarded;              /* a proxy says that it has passed this on */
    const struct credentials *peer; /* of the client; never NULL */
};

struct handler_reply {
    int status;
    const char *content_type;
    const char *allow;  /* the Allow field for 405, or NULL */
    bool deferred;      /* handler_defer() was called: nothing else here counts */
    struct strbuf body; /* freed by the caller of the handler */
};

/* Fills in the reply. Runs on the thread of the server's loop and must not block. */
typedef void (*request_handler)(void *userdata, const struct handler_request *request,
                                struct handler_reply *reply);

/* Within a handler: the answer comes later, by exactly one handler_complete(). The handler sets
 * reply->deferred. */
struct handler_ticket *handler_defer(const struct handler_request *request);
/* Answers, if the client still waits. Takes the reply's body over; the ticket is gone. */
void handler_complete(struct handler_ticket *ticket, struct handler_reply *reply);
