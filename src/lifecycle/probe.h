#pragma once
/* One try at one [Check …], without waiting: the caller polls for what it says and lets it step. */

#include <poll.h>

#include "config/config.h"

enum probe_result {
    PROBE_PENDING,
    PROBE_PASSED,
    PROBE_FAILED,
};

struct probe;

/* `check` must outlive the probe. */
struct probe *probe_new(const struct check_config *check);
/* Gives up what is under way. Accepts NULL, returns NULL. */
struct probe *probe_free(struct probe *probe);
/* What to poll for (fd -1: nothing), and until when at most (monotonic; infinity: no limit). */
void probe_prepare(const struct probe *probe, struct pollfd *ret_poll, usec_t *ret_until);
/* Goes on as far as it can. With PROBE_FAILED *ret_reason says why; the caller frees it. */
enum probe_result probe_step(struct probe *probe, char **ret_reason);
/* What a pending probe waits for: "no connection" … */
const char *probe_waits_for(const struct probe *probe);
