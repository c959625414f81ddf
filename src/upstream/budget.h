#pragma once
/* The retry budget of one upstream and worker, as Finagle and Linkerd have it: what is tried again is a share
 * of what is asked, so that retries cannot multiply the load of an app that is already failing. Pure.
 *
 * A retry may be taken while the retries of the last ten seconds are fewer than
 *
 *   percent of the requests of the last ten seconds  +  10 × minimum a second
 *
 * The last ten seconds are ten parts of one second each, the current one among them. The minimum lets an
 * upstream with little traffic retry at all, and is there from the start; the workers share it, each having
 * its part rounded up, so that all together may exceed it by less than one a second and worker. */

#include "util/clock.h"
#include "util/macros.h"

#define BUDGET_SECONDS 10

struct budget {
    unsigned percent;
    unsigned minimum; /* this worker's share, a second */
    uint64_t head;    /* the current second; second s is at s % BUDGET_SECONDS */
    struct {
        uint64_t requests;
        uint64_t retries;
    } seconds[BUDGET_SECONDS];
};

void budget_init(struct budget *budget, unsigned percent, unsigned minimum_per_second, unsigned n_workers,
                 usec_t now);
/* Counts a request; its retries are none. */
void budget_request(struct budget *budget, usec_t now);
/* Takes one retry if there is one. */
bool budget_take(struct budget *budget, usec_t now) _warn_unused_;
/* When to ask again at the earliest: `now` when there is a retry to take. Otherwise when one will be there if
 * no request comes; but as any request may bring one, no later than when the next second begins, unless the
 * percentage is 0. USEC_INFINITY: there will never be one. */
usec_t budget_next(const struct budget *budget, usec_t now);
