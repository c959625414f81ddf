#pragma once
/* A stop, carried out: lifecycle/drain.h plans it, this tells the workers, systemd and the journal. */

#include "gateway/crew.h"
#include "lifecycle/drain.h"
#include "lifecycle/notify.h"

struct stop {
    const struct config *config;
    struct crew *crew;
    struct notify *notify;
    struct journal *journal;
    struct drain drain;
    size_t told_requests, told_connections; /* in the last record of progress */
    usec_t told_at;
};

/* Begins to drain all workers. Asks systemd how long that may take, for which it waits at most a second. */
void stop_begin(struct stop *stop, const char *why);
/* Ends the drain now, as if its deadline had come. */
void stop_hasten(struct stop *stop);
/* Does what is due. Returns when to call again, or 0 when the stop is complete. */
usec_t stop_step(struct stop *stop);
/* How much time what is running has left; USEC_INFINITY: as long as it takes. */
usec_t stop_time_left(const struct stop *stop, usec_t now);
/* "draining: 3 requests in flight, 40 connections, 12s left" */
void stop_describe(const struct stop *stop, usec_t now, struct strbuf *out);
