#pragma once
/* What all pools of one loop share. Private to the client. */

#include "upstream/client.h"
#include "util/deadline.h"
#include "upstream/h2o.h"

#define BUFFER_SIZE 65536u
#define SPARE_BUFFERS_MAX 16u

/* Bytes received: data[start] to data[end - 1]. */
struct buffer {
    struct buffer *next; /* spare */
    size_t start, end;
    char data[BUFFER_SIZE];
};

struct client_context {
    h2o_loop_t *loop;
    h2o_socket_t *timer; /* a timerfd: h2o's own timers follow the wall clock, and jump when it is set */
    usec_t timer_at;     /* when it rings; USEC_INFINITY: never */
    struct deadlines deadlines;
    h2o_timeout_t soon; /* of no duration: what must not be done from within a call into the client */
    struct buffer *spare;
    unsigned n_spare;
    unsigned n_pools;
};

/* Makes sure that the timer rings in time for the next deadline. */
void context_await_deadlines(struct client_context *context);
/* Calls entry->cb from the loop, in this turn or the next. */
void context_run_soon(struct client_context *context, h2o_timeout_entry_t *entry);

/* An empty buffer. */
struct buffer *context_take_buffer(struct client_context *context);
/* Accepts NULL, returns NULL. */
struct buffer *context_give_buffer(struct client_context *context, struct buffer *buffer);
