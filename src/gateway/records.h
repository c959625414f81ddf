#pragma once
/* What the gateway itself has to say in the journal, one function for each event. */

#include "gateway/plan.h"
#include "gateway/reload.h"
#include "journal/journal.h"
#include "lifecycle/checks.h"
#include "lifecycle/flight.h"
#include "metrics/metrics.h"

void record_start(struct journal *journal, uint64_t generation);
/* A generation before this one ended without a word. */
void record_predecessor_died(struct journal *journal, const struct flight_death *death);
void record_check(struct journal *journal, const struct check_result *result);
/* `duration`: from the start of the process. */
void record_ready(struct journal *journal, const struct plan *plan, usec_t duration);
/* A reload begins; has failed; was successful, told by the one that is replaced, and by the one that replaces
 * it (`duration`: from its start). */
void record_reload(struct journal *journal, uint64_t successor);
void record_reload_failed(struct journal *journal, uint64_t successor, const char *reason);
void record_replaced(struct journal *journal, uint64_t successor, pid_t pid,
                     const struct reload_times *times);
void record_took_over(struct journal *journal, uint64_t predecessor, usec_t duration);
/* A generation before this one has drained and ended. */
void record_predecessor_ended(struct journal *journal, uint64_t predecessor, uint64_t answered, uint64_t cut);
/* Connections that a restart keeps (and those for which there was no room), and that one has kept. */
void record_parked(struct journal *journal, uint64_t parked, uint64_t closed);
void record_taken_back(struct journal *journal, uint64_t n);
void record_wedged(struct journal *journal, size_t worker);
void record_stop(struct journal *journal, const struct metrics *metrics);
