#pragma once
/* The [Check …] sections: what must answer before this process says it is ready. All run in parallel, each
 * in its own bounded time. */

#include "config/config.h"
#include "journal/journal.h"

struct check_result {
    const struct check_config *check;
    bool passed;
    usec_t duration;
    unsigned tries;
    char *reason; /* why it failed, for people; NULL when it passed */
};

/* Runs all checks, retrying each until it passes or its TimeoutSec is over (a dependency that is starting
 * is waited for). Returns the number of required checks that failed. `results` has config->n_checks entries,
 * to be freed with checks_results_deinit(). `on_progress` (optional) is called now and then with the number
 * still running, for STATUS=; returning false abandons the rest. */
size_t checks_run(const struct config *config, struct check_result *results,
                  bool (*on_progress)(void *userdata, size_t running), void *userdata);
void checks_results_deinit(struct check_result *results, size_t n);
