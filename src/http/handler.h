#pragma once
/* For the parts that answer requests themselves without touching h2o (the admin API): a request in, a reply
 * out, in one call. */

#include <sys/socket.h>

#include "router/method.h"
#include "util/slice.h"
#include "util/strbuf.h"

struct handler_request {
    enum method method;
    struct slice method_name;
    struct slice path;  /* normalised, without query */
    struct slice query; /* without '?' */
    struct slice body;
    struct slice accept; /* the Accept field, or empty */
    struct ucred peer;   /* of a Unix socket's client; pid 0 when not known */
};

struct handler_reply {
    int status;
    const char *content_type;
    const char *allow;  /* the Allow field for 405, or NULL */
    struct strbuf body; /* freed by the caller of the handler */
};

/* Fills in the reply. Runs on the thread of the server's loop and must not block. */
typedef void (*request_handler)(void *userdata, const struct handler_request *request,
                                struct handler_reply *reply);
