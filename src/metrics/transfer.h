#pragma once
/* Counters that outlive a process: what one generation has counted goes on counting in the next, so that for
 * whoever scrapes them they never go down.
 *
 * They travel as JSON, each series by its name and labels, since the numbers of series change with the
 * configuration: {"holdfast_requests_total": [{"labels": {"route": "/", …}, "value": 7}, …], …}, histograms
 * with "cells" instead of "value". Gauges do not: they are about one process. */

#include <jansson.h>

#include "metrics/metrics.h"

/* What was counted since the last call, what was added by metrics_add() included; at the first call since
 * ever. Series without a change are left out. The reference is the caller's. */
json_t *metrics_take_delta(struct metrics *metrics);
/* Counts what such a document says as well. Series that this configuration does not have are dropped; so is
 * what makes no sense, and what would make a counter wrap around. */
void metrics_add(struct metrics *metrics, const json_t *document);
