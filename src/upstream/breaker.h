#pragma once
/* The circuit breaker of one target, in the terms and by the rules of Resilience4j's CircuitBreaker. Pure.
 *
 *              a rate reaches its threshold                    its time is over
 *   CLOSED ───────────────────────────────────► OPENED ───────────────────────────► HALF_OPEN
 *     ▲                                           ▲                                  │     │
 *     │                                           └─ of the trial calls, a rate does ┘     │
 *     └───────────────────────────────────────────── neither does ─────────────────────────┘
 *
 * CLOSED permits every call. What comes of them goes into a sliding window (upstream/window.h) of the last
 * calls, or of the last seconds. Once there are BreakerMinimumCalls= in it (and never more than a window of
 * calls holds), each further call has the two rates compared with their thresholds: the share of failed calls
 * and that of slow ones, those that took longer than BreakerSlowCallSec=. A rate that equals its threshold
 * has reached it.
 *
 * OPENED permits none, for BreakerOpenSec=. No timer ends it: when that time is over the breaker is half open
 * to whoever asks, and becomes so with the next permit.
 *
 * HALF_OPEN permits BreakerHalfOpenCalls= trial calls and no more. When that many have come to an end, their
 * rates decide, by the same thresholds: OPENED for another while, or CLOSED with an empty window. A trial
 * call that is released gives its permit back, so what was released never keeps a breaker half open; one that
 * neither ends nor is released would, so each permit must come to one or the other.
 *
 * Each state that a breaker enters is a new epoch. A call belongs to the epoch it was permitted in: once that
 * is over, what comes of it counts no more, neither for the trial nor for a window that began after it. Nor
 * does what ends without having been permitted. */

#include <jansson.h>

#include "config/config.h"
#include "util/clock.h"
#include "util/macros.h"

enum breaker_state {
    BREAKER_CLOSED,
    BREAKER_OPENED,
    BREAKER_HALF_OPEN,
    _BREAKER_STATE_MAX,
};

/* "closed", "open", "half-open". */
const char *breaker_state_to_string(enum breaker_state state);

struct breaker;

/* Closed, with an empty window. The config must outlive it. NULL when it says BREAKER_OFF. */
struct breaker *breaker_new(const struct breaker_config *config);
/* Accepts NULL. Returns NULL. */
struct breaker *breaker_free(struct breaker *breaker);

/* All below take NULL for a breaker that is off: it is closed, permits all, records nothing. */

/* Closes it, with an empty window, as if it were new; but what comes of calls that still run does not count,
 * as it might with one that is new, whose epochs begin where those of its predecessor did. */
void breaker_reset(struct breaker *breaker);

/* An open one whose time is over is half open. */
enum breaker_state breaker_state(const struct breaker *breaker, usec_t now);
/* When an open one becomes half open; USEC_INFINITY for one that is not open. */
usec_t breaker_next(const struct breaker *breaker, usec_t now);

/* Whether breaker_permit() would succeed. */
bool breaker_may_permit(const struct breaker *breaker, usec_t now);
/* Takes a permit for one call, which must be followed by one breaker_record() or breaker_release() with the
 * breaker_epoch() of right after it. False: not now. */
bool breaker_permit(struct breaker *breaker, usec_t now) _warn_unused_;
uint32_t breaker_epoch(const struct breaker *breaker);
/* The call was not made, or says nothing: the client went away. */
void breaker_release(struct breaker *breaker, uint32_t epoch);
/* What came of the call, and how long it took. Returns true when that changed the state. */
bool breaker_record(struct breaker *breaker, uint32_t epoch, bool failed, usec_t duration, usec_t now);

/* Of the trial calls while half open, of the window otherwise; while open, of what opened it, as far as a
 * window of time still holds it. */
struct breaker_figures {
    unsigned calls, failed, slow;
    double failure_rate, slow_rate; /* percent; -1 while there are too few calls */
};
void breaker_figures(const struct breaker *breaker, usec_t now, struct breaker_figures *ret);

/* For the next process: {"state": "open", "left_usec": 1500000}, {"state": "half-open"}, or {"state":
 * "closed", "calls": 7, "failed": 1, "slow": 0, "age_sec": 3}; null when it is off. The reference is the
 * caller's. */
json_t *breaker_export(const struct breaker *breaker, usec_t now);
/* Puts what another process knew in place of what is known here; a breaker that was half open begins its
 * trial anew, and one that was open stays so no longer than its own configuration says. What cannot be
 * understood is ignored: a document without a state that makes sense changes nothing. */
void breaker_import(struct breaker *breaker, const json_t *document, usec_t now);
