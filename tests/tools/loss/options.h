#pragma once
/* The command line. */

#include "address.h"
#include "util/clock.h"

#define OPTIONS_HEADERS 16

struct options {
    const char *target;
    struct address address;
    const char *host; /* the Host field */
    const char *path;
    const char *method;
    const char *headers[OPTIONS_HEADERS]; /* further fields, "Name: value" */
    size_t n_headers;
    uint64_t body_size; /* 0: no body */
    unsigned connections;
    uint64_t requests; /* 0: no limit */
    usec_t duration;   /* USEC_INFINITY: no limit */
    usec_t think_min, think_max;
    double rate; /* of all connections together, per second; 0: as fast as answers come */
    usec_t timeout;
    usec_t connect_timeout;
    uint64_t per_connection; /* requests after which the client itself closes; 0: never */
    bool verify_id, verify_echo;
    bool idempotency_key; /* each request has one, which is its id in quotes */
    const char *ledger;
    const char *outcomes;
    bool idle;
    bool at_once;    /* the second requests, with --idle */
    usec_t idle_for; /* USEC_INFINITY: until SIGUSR1 */
    bool json, progress;
    uint64_t seed;
};

/* Returns 0; 1 when there is nothing left to do (--help); -EINVAL after saying on stderr what is wrong. */
int options_parse(struct options *ret, int argc, char **argv) _warn_unused_;
