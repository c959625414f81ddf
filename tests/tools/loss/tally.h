#pragma once
/* What became of the requests. */

#include "histogram.h"

enum outcome {
    OUTCOME_2XX,
    OUTCOME_3XX,
    OUTCOME_4XX,
    OUTCOME_5XX,
    OUTCOME_REFUSED, /* nobody listens: ECONNREFUSED, or the socket's path is gone */
    OUTCOME_CONNECT_TIMEOUT,
    OUTCOME_CONNECT_FAILED, /* any other reason that there is no connection */
    OUTCOME_RESET,          /* reset before a byte of the response */
    OUTCOME_EOF,            /* closed before a byte of the response */
    OUTCOME_TRUNCATED,      /* closed or reset in the middle of the response */
    OUTCOME_TIMEOUT,
    OUTCOME_BAD_RESPONSE, /* not HTTP, or ambiguous framing */
    OUTCOME_MISMATCH,     /* whole, but the answer to something else */
    _OUTCOME_MAX,
};

const char *outcome_to_string(enum outcome outcome);

/* Every outcome but a whole response that is not a 5xx. */
static inline bool outcome_is_lost(enum outcome outcome)
{
    return outcome > OUTCOME_4XX;
}

/* Enough to find a lost request in the server's journal. */
struct loss {
    usec_t at; /* since the start of the run */
    usec_t wall;
    usec_t after; /* since the request began */
    enum outcome outcome;
    int status; /* 0: none */
    int os_error;
    unsigned connection;
    bool reused; /* the connection had carried a request before */
    char id[48];
};

#define TALLY_LOSSES 100 /* kept in detail; all are counted */

struct tally {
    usec_t started, ended;
    uint64_t requests;
    uint64_t outcomes[_OUTCOME_MAX];
    uint64_t statuses[600];
    uint64_t connects;
    uint64_t closed_announced;   /* Connection: close, or a body that ends with the connection */
    uint64_t closed_unannounced; /* closed or reset while no request was in progress */
    uint64_t unsolicited;        /* bytes where no request was in progress; the connection is then closed */
    uint64_t body_bytes;
    struct histogram latency; /* of whole responses */
    usec_t stall;             /* the longest any request took, lost ones too */
    usec_t gap;               /* the longest time in which no request at all was answered */
    usec_t last_answer;
    struct loss losses[TALLY_LOSSES];
    size_t n_losses;
};

uint64_t tally_lost(const struct tally *tally);
/* Counts a request that ended. `loss` is what to keep if it is lost. */
void tally_add(struct tally *tally, const struct loss *loss, usec_t now);
void tally_end(struct tally *tally, usec_t now);
