#pragma once
/* Cells that several tables have. Each adds the next ones. */

#include "ctl/json.h"
#include "ctl/table.h"

void column_count(struct table *table, uint64_t n);
/* A count of what went wrong stands out once there are any. */
void column_failures(struct table *table, uint64_t n);
/* Two cells: half of `count` durations, and all but one in a hundred. */
void column_quantiles(struct table *table, const json_t *object, uint64_t count);
/* What is observed of a target: up, down, unknown. */
void column_observed(struct table *table, const json_t *target);

/* How many tries at a target have failed. */
uint64_t failed_tries(const json_t *target);
