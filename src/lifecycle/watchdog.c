#include "lifecycle/watchdog.h"

/* How often a starved dog looks into its bowl, within one interval. */
#define LOOKS_PER_INTERVAL 8

void watchdog_init(struct watchdog *watchdog, usec_t timeout, size_t n_workers, usec_t now)
{
    const usec_t interval = timeout == USEC_INFINITY ? 0 : timeout / 2;
    *watchdog = (struct watchdog){
        .interval = interval,
        .next = interval > 0 ? usec_add(now, interval) : USEC_INFINITY,
        .n_workers = n_workers,
        .seen = xcalloc(n_workers, sizeof(*watchdog->seen)),
        .stuck_since = xcalloc(n_workers, sizeof(*watchdog->stuck_since)),
    };
}

void watchdog_deinit(struct watchdog *watchdog)
{
    free(watchdog->seen);
    free(watchdog->stuck_since);
    *watchdog = (struct watchdog){.next = USEC_INFINITY};
}

enum watchdog_verdict watchdog_check(struct watchdog *watchdog, usec_t now, const uint64_t *turns,
                                     size_t *ret_worker)
{
    if (now < watchdog->next || watchdog->interval == 0)
        return WATCHDOG_NOT_DUE;

    size_t first_stuck = watchdog->n_workers;
    for (size_t i = 0; i < watchdog->n_workers; i++) {
        if (turns[i] != watchdog->seen[i]) {
            watchdog->stuck_since[i] = 0;
            continue;
        }
        if (watchdog->stuck_since[i] == 0)
            watchdog->stuck_since[i] = now;
        if (first_stuck == watchdog->n_workers)
            first_stuck = i;
    }
    if (first_stuck < watchdog->n_workers) {
        watchdog->next = usec_add(now, watchdog->interval / LOOKS_PER_INTERVAL + 1);
        *ret_worker = first_stuck;
        return WATCHDOG_STARVE;
    }
    for (size_t i = 0; i < watchdog->n_workers; i++)
        watchdog->seen[i] = turns[i];
    watchdog->next = usec_add(now, watchdog->interval);
    return WATCHDOG_FEED;
}

usec_t watchdog_due(const struct watchdog *watchdog)
{
    return watchdog->interval > 0 ? watchdog->next : USEC_INFINITY;
}
