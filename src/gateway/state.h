#pragma once
/* What a generation knows that the next is to know as well, as one document:
 *
 *   {"release": …, "generation": …, "tls": {…}, "health": {…}, "wanted": {…}, "rates": {…}, "lineage": {…},
 *    "metrics": {…}}
 *
 * Each section is its owner's (http/tls.h, upstream/roster.h, http/rate_limit.h, lineage.h,
 * metrics/transfer.h). A reader takes the sections that it knows, and from them what it understands: the
 * writer may be older or newer, or not a gateway. */

#include <jansson.h>

#include "gateway/lineage.h"
#include "gateway/plan.h"
#include "http/rate_limit.h"
#include "metrics/metrics.h"
#include "upstream/roster.h"

enum state_sections {
    STATE_TLS = 1 << 0,
    STATE_UPSTREAMS = 1 << 1,
    STATE_LINEAGE = 1 << 2,
    STATE_METRICS = 1 << 3,     /* what was counted since they were exported last */
    STATE_RATE_SECRET = 1 << 4, /* by which clients are known: before the first request */
    STATE_RATES = 1 << 5,       /* what they have used */
    STATE_ALL = STATE_TLS | STATE_UPSTREAMS | STATE_LINEAGE | STATE_METRICS | STATE_RATE_SECRET | STATE_RATES,
};

struct state_parts {
    const struct plan *plan;
    struct roster *roster;
    struct rate_limits *rate_limits;
    struct lineage *lineage;
    struct metrics *metrics;
};

/* The reference is the caller's. */
json_t *state_export(const struct state_parts *parts, uint64_t generation, unsigned sections);
/* Takes up the given sections, as far as they are there. NULL is a document without any. */
void state_import(const struct state_parts *parts, const json_t *document, unsigned sections);
