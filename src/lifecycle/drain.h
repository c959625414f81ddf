#pragma once
/* The plan of a stop, as times: pure, takes `now`, says what to do next and when it is next due.
 *
 *   begin ──► quiet period (idle connections may still bring a request) ──► finishing ──► deadline: cut ──►
 * done
 */

#include "util/clock.h"
#include "util/macros.h"

enum drain_phase {
    DRAIN_NONE,
    DRAIN_RUNNING,
    DRAIN_CUT, /* the deadline has passed */
    DRAIN_DONE,
    _DRAIN_PHASE_MAX,
};

struct drain {
    enum drain_phase phase;
    usec_t began;
    usec_t deadline;
    usec_t next_progress; /* when to log progress */
    usec_t idle_end;      /* when connections that only wait are to be ended; infinity: were from the start */
    usec_t next_extend;   /* when to send EXTEND_TIMEOUT_USEC next; infinity: never */
    usec_t extend_by;
};

/* How long a drain may take: DrainSec= if set, else TimeoutStopSec (`timeout_stop`, infinity when unknown or
 * none) less a margin (a tenth, at least 500 ms, at most 5 s). An infinite result means: until all is done.
 */
usec_t drain_budget(usec_t configured, usec_t timeout_stop);
/* `timeout_stop` tells whether the budget needs EXTEND_TIMEOUT_USEC. */
void drain_begin(struct drain *drain, usec_t now, usec_t budget, usec_t timeout_stop);

/* Connections that wait for a request are kept for the first three quarters of the time, rather than ended at
 * once: for a generation that was replaced, whose clients need not know. */
void drain_keep_idle(struct drain *drain);

struct drain_actions {
    bool extend; /* send EXTEND_TIMEOUT_USEC=drain->extend_by */
    bool log_progress;
    bool end_idle; /* end connections that only wait (once) */
    bool cut;      /* the deadline is reached: cut what is left (once) */
    bool done;     /* leave */
};
/* `empty`: nothing is left to finish. Returns when to call again. */
usec_t drain_step(struct drain *drain, usec_t now, bool empty, struct drain_actions *ret);
