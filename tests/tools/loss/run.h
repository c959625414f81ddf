#pragma once
/* One run of the client: what its connections share. */

#include <signal.h>

#include "connection.h"
#include "options.h"
#include "request.h"
#include "tally.h"
#include "timers.h"

enum idle_phase {
    IDLE_OPENING, /* each connection gets its first request */
    IDLE_PARKED,
    IDLE_ASKING, /* and its second */
};

struct run {
    const struct options *options;
    struct request_template request;
    struct tally tally;
    struct timers timers;
    int epoll_fd, signal_fd;
    FILE *ledger, *outcomes; /* or NULL */
    struct connection *connections;
    usec_t deadline; /* no request begins after it; with --idle, when the second round begins */
    usec_t interval; /* between two requests of one connection, with --rate; else 0 */
    uint64_t begun;  /* requests */
    uint64_t next_id;
    uint64_t random;
    unsigned active;  /* connections that have a request in progress, or will have one */
    bool stopping;    /* no further request begins */
    bool interrupted; /* the requests in progress are given up too */

    enum idle_phase phase;
    unsigned next;                 /* the next connection to begin in this phase */
    uint64_t still_open;           /* connections, when the second round began */
    uint64_t answered_reused;      /* second requests answered over the connection of the first */
    uint64_t answered_reconnected; /* second requests answered over a new one */

    usec_t progress_due;
    uint64_t progress_requests;
};

/* Prints what is wrong and returns a negative errno. */
int run_init(struct run *run, const struct options *options) _warn_unused_;
void run_deinit(struct run *run);
/* Until all is done, or was interrupted. */
int run_loop(struct run *run) _warn_unused_;

/* Flushes and closes the ledger and the outcomes; what cannot be written is an error, said on stderr. */
int run_close_files(struct run *run) _warn_unused_;

/* A connection tells that its request ended; it is WAITING again. */
void run_request_ended(struct run *run, struct connection *c, const struct loss *loss);
uint64_t run_next_id(struct run *run);
