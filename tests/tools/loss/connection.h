#pragma once
/* One keep-alive connection and its request in progress. */

#include "request.h"
#include "response.h"
#include "tally.h"
#include "timers.h"

struct run;

enum connection_state {
    CONNECTION_WAITING, /* no request in progress; a kept connection may be open */
    CONNECTION_CONNECTING,
    CONNECTION_SENDING,
    CONNECTION_RECEIVING, /* the whole request was sent */
};

#define CONNECTION_VERIFY_MAX 4096

struct connection {
    struct run *run;
    unsigned index;
    uint32_t epoch; /* of the descriptor: tells its events from those of one that was closed meanwhile */
    int fd;         /* -1: none */
    enum connection_state state;
    uint32_t interest;  /* the epoll events asked for */
    struct timer timer; /* WAITING: when to begin; otherwise the time-out */
    usec_t due;         /* when the request should have begun */
    usec_t connect_deadline;
    uint64_t carried; /* requests answered on this connection */
    size_t sent;
    char id[REQUEST_ID_SIZE + 1];
    struct response response;
    struct strbuf verify; /* the beginning of the response body, if it is to be verified */
    size_t body_received;
    bool echo_differs;
};

void connection_init(struct connection *c, struct run *run, unsigned index);
void connection_deinit(struct connection *c);

/* Begins a request, over the kept connection if it still stands. `due` is what its latency counts from. */
void connection_begin(struct connection *c, usec_t due);
void connection_on_events(struct connection *c, uint32_t events);
/* A time-out, or the next try to connect; not for CONNECTION_WAITING. */
void connection_on_timer(struct connection *c, usec_t now);
