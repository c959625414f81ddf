#pragma once
/* Decides when the watchdog may be fed: only when every worker's loop has turned since the last ping. Pure.
 */

#include "util/clock.h"
#include "util/macros.h"

struct watchdog {
    usec_t interval; /* between pings: half of what systemd wants; 0: off */
    usec_t next;
    size_t n_workers;
    uint64_t *seen;      /* each worker's turns at the last ping */
    usec_t *stuck_since; /* when a worker's turns were first seen not to move; 0: it moves */
};

void watchdog_init(struct watchdog *watchdog, usec_t timeout, size_t n_workers, usec_t now);
void watchdog_deinit(struct watchdog *watchdog);

enum watchdog_verdict {
    WATCHDOG_NOT_DUE,
    WATCHDOG_FEED,
    WATCHDOG_STARVE, /* due, but a worker has not turned: *ret_worker is the first of them */
};
enum watchdog_verdict watchdog_check(struct watchdog *watchdog, usec_t now, const uint64_t *turns,
                                     size_t *ret_worker);
usec_t watchdog_due(const struct watchdog *watchdog);
