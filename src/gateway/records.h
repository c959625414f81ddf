#pragma once
/* What the gateway itself has to say in the journal, one function for each event. */

#include "gateway/plan.h"
#include "journal/journal.h"
#include "lifecycle/checks.h"
#include "metrics/metrics.h"

void record_start(struct journal *journal, uint64_t generation);
/* The generation before this one ended without a word. */
void record_predecessor_died(struct journal *journal, uint64_t predecessor);
void record_check(struct journal *journal, const struct check_result *result);
/* `duration`: from the start of the process. */
void record_ready(struct journal *journal, const struct plan *plan, usec_t duration);
void record_wedged(struct journal *journal, size_t worker);
void record_stop(struct journal *journal, const struct metrics *metrics);
