#pragma once
/* What only systemd knows, asked over D-Bus. Every call is bounded by a timeout, and every failure is an
 * errno that the caller may live with: a gateway works without a bus. */

#include "util/clock.h"
#include "util/macros.h"

/* TimeoutStopUSec of the unit this process belongs to; USEC_INFINITY when it has none. */
int bus_timeout_stop(usec_t *ret) _warn_unused_;

enum bus_job {
    BUS_JOB_NONE,
    BUS_JOB_STOP,
    BUS_JOB_RESTART,
    BUS_JOB_OTHER,
};
/* The job that is running for our unit: tells stop from restart. */
int bus_unit_job(enum bus_job *ret) _warn_unused_;

/* ActiveState of a unit ("active", "activating", "failed" …); the caller frees it. */
int bus_unit_active_state(const char *unit, usec_t timeout, char **ret) _warn_unused_;
