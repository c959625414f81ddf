#pragma once
/* Which target gets the next request. Pure: no socket, no clock of its own. One instance per upstream and
 * worker; the workers' instances start at different places, so that together they stay even. */

#include "config/config.h"
#include "util/macros.h"

struct balance_set;

struct balance_set *balance_new(const struct upstream_config *upstream, unsigned seed);
struct balance_set *balance_free(struct balance_set *set);

/* The next target by smooth weighted round robin among those that are usable and not in `exclude` (a bit per
 * target index tried already, of `n_exclude` words; NULL: none). NULL when there is none. */
const struct target_config *balance_pick(struct balance_set *set, const uint64_t *exclude, size_t n_exclude);
/* Whether a target may be picked at all; all are at the start. */
void balance_set_usable(struct balance_set *set, const struct target_config *target, bool usable);
