#pragma once

#include "connection.h"

/* How much of a request body an endpoint wants. */
enum body_use {
    BODY_IGNORED,
    BODY_KEPT,
    BODY_DIGESTED,
};

struct endpoint {
    const char *path; /* ends with '/': everything beneath it */
    const char *help;
    void (*serve)(struct connection *c);
    enum body_use body;
};

/* The endpoint for a path; never NULL. */
const struct endpoint *endpoint_find(struct slice path);
/* Has the request answered by its endpoint, unless the app is broken. */
void endpoint_serve(struct connection *c);
