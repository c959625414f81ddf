#pragma once
/* RateLimit= of the routes: who asks, whether that client may, and what the response says about it.
 *
 * One object for the process: what a client has used counts at whatever thread it asks. The tables are
 * bounded (rate_table.h), and so is what a generation tells the next (rate_transfer.c). */

#include <jansson.h>

#include "config/config.h"
#include "http/rate_table.h"

struct exchange;

struct rate_limits {
    const struct config *config;  /* borrowed */
    struct siphash_secret secret; /* written before the first request only */
    struct rate_table **tables;   /* by the limits' index */
};

struct rate_limits *rate_limits_new(const struct config *config);
/* Accepts NULL, returns NULL. */
struct rate_limits *rate_limits_free(struct rate_limits *limits);

/* Decides about a request whose route has limits. False: it is to be refused with 429. What the response is
 * to say (Retry-After, RateLimit-Policy, RateLimit) is among its fields then. */
bool rate_limits_admit(struct rate_limits *limits, struct exchange *exchange);

/* For the next process. The secret goes ahead, so that both have the same names for their clients when the
 * second, what these have used, is added to what they have used at the other meanwhile. Both are bounded:
 * beyond RATE_TRANSFER_MAX clients those are told who have used most. The reference is the caller's. */
#define RATE_TRANSFER_MAX 32768
json_t *rate_limits_export(const struct rate_limits *limits, bool with_clients, usec_t now);
/* Before the first request. */
void rate_limits_import_secret(struct rate_limits *limits, const json_t *document);
/* Any time. Takes nothing that was written under another secret, or for a limit that is another now. */
void rate_limits_import(struct rate_limits *limits, const json_t *document, usec_t now);
