#pragma once
/* The end of a generation, carried out: lifecycle/drain.h plans it, this tells the workers, systemd and the
 * journal. */

#include "gateway/crew.h"
#include "lifecycle/drain.h"
#include "lifecycle/notify.h"

/* Who has idle connections from now on. */
struct stop_taker {
    connection_taker take; /* NULL: nobody */
    /* Passes on what was taken; what cannot go comes back to the crew before this returns. NULL: there is
     * nothing to pass on. */
    void (*flush)(void *userdata);
    void *userdata;
};

struct stop {
    const struct config *config;
    struct crew *crew;
    struct notify *notify;
    struct journal *journal;
    struct drain drain;
    usec_t timeout_stop; /* of the unit */
    struct stop_taker taker;
    size_t told_requests, told_connections; /* in the last record of progress */
    usec_t told_at;
};

/* Begins to drain all workers. Asks systemd how long that may take, for which it waits at most
 * a second. */
void stop_begin(struct stop *stop, const char *why);
/* The same at a restart: idle connections go to the taker, those that cannot move are ended as at a stop. */
void stop_begin_restart(struct stop *stop, const char *why, const struct stop_taker *taker);
/* The same for a generation that was replaced and is silent towards systemd: idle connections go to the
 * taker, those that cannot move are kept until the deadline comes near. */
void stop_begin_replaced(struct stop *stop, const char *why, const struct stop_taker *taker);
/* Nobody takes connections any more: they are ended like the others. What is on its way to the taker still
 * comes. */
void stop_end_taking(struct stop *stop);
/* The drain is to be over within `budget` from now; USEC_INFINITY: as a stop of the unit grants. Never later
 * than it was to be before. */
void stop_shorten(struct stop *stop, usec_t budget);
/* The same, to what TimeoutStopSec= of the unit leaves, which begins now: nobody can ask for more. */
void stop_shorten_to_timeout(struct stop *stop);
/* Ends the drain now, as if its deadline had come. */
void stop_hasten(struct stop *stop);
/* Does what is due. Returns when to call again, or 0 when the stop is complete. */
usec_t stop_step(struct stop *stop);
/* How much time what is running has left; USEC_INFINITY: as long as it takes. */
usec_t stop_time_left(const struct stop *stop, usec_t now);
/* "draining: 3 requests in flight, 40 connections, 12s left" */
void stop_describe(const struct stop *stop, usec_t now, struct strbuf *out);
