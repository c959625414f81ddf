#pragma once
/* What is observed of the targets, by all workers together: whether each is up. */

#include "config/config.h"
#include "util/macros.h"

struct health;

/* Every target begins as up. */
struct health *health_new(const struct config *config);
struct health *health_free(struct health *health);
/* Notes that a target was reached, or could not be. Returns true when that is a change, to exactly one
 * caller: that one logs it. Any thread. */
bool health_note(struct health *health, const struct upstream_config *upstream,
                 const struct target_config *target, bool up);
bool health_is_up(const struct health *health, const struct upstream_config *upstream,
                  const struct target_config *target);
