#pragma once
/* What is observed of the targets, by all workers together: whether each is up. */

#include <jansson.h>

#include "config/config.h"
#include "util/macros.h"

struct health;

/* Every target begins as up. The config must outlive it. */
struct health *health_new(const struct config *config);
struct health *health_free(struct health *health);
/* Notes that a target was reached, or could not be. Returns true when that is a change, to exactly one
 * caller: that one logs it. Any thread. */
bool health_note(struct health *health, const struct upstream_config *upstream,
                 const struct target_config *target, bool up);
bool health_is_up(const struct health *health, const struct upstream_config *upstream,
                  const struct target_config *target);

/* For the next process, by the names of upstreams and the addresses of targets: {"orders": {"127.0.0.1:9001":
 * {"up": true}}}. The reference is the caller's. */
json_t *health_export(const struct health *health);
/* Takes up what another process knew, of the targets that are still there. Nothing of that is news: it is not
 * logged. */
void health_import(struct health *health, const json_t *document);
