#pragma once
/* What only systemd knows, asked over D-Bus. Every call is bounded by a timeout, and every failure is an
 * errno that the caller may live with: a gateway works without a bus. */

#include <poll.h>

#include "util/clock.h"
#include "util/macros.h"

/* TimeoutStopUSec of the unit this process belongs to; USEC_INFINITY when it has none. -ENXIO when this
 * process is not a service of the system's manager. Waits for at most a second. */
int bus_timeout_stop(usec_t *ret) _warn_unused_;

enum bus_job {
    BUS_JOB_NONE,
    BUS_JOB_STOP,
    BUS_JOB_RESTART,
    BUS_JOB_OTHER,
};
/* The job that is running for our unit: tells stop from restart. Waits for at most a second. */
int bus_unit_job(enum bus_job *ret) _warn_unused_;

/* ActiveState of a unit ("active", "activating", "failed" …; "inactive" also for one that does not exist),
 * asked without waiting, for a loop of the caller's own. */
struct bus_query;

int bus_query_new(struct bus_query **ret, const char *unit) _warn_unused_;
struct bus_query *bus_query_free(struct bus_query *query);
/* What to poll for, and until when at most (monotonic). */
void bus_query_prepare(const struct bus_query *query, struct pollfd *ret_poll, usec_t *ret_until);
/* Goes on as far as it can. 0: still waiting; 1: *ret is the state, the caller frees it. */
int bus_query_step(struct bus_query *query, char **ret) _warn_unused_;
