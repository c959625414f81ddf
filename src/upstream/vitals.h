#pragma once
/* What is observed of one target: whether it is up. Pure.
 *
 * Two witnesses are heard. Checks ask the target: each HealthIntervalSec= if HealthCheck= says so, otherwise
 * only while it is down, by connecting, so that it can come up again. Requests tell by the way: one is
 * answered, or fails, or is refused, which is what nobody listening at the address comes to. A target that is
 * down remembers who took it down, since that decides who may say that it is up.
 *
 *                     UNKNOWN            UP                 DOWN by requests    DOWN by checks
 *  check passed       rise in a row: UP  -                  rise in a row: UP   rise in a row: UP
 *    (no HealthCheck=)  UP               -                  UP                  (cannot be)
 *  check failed       fall in a row:     fall in a row:     fall in a row:      -
 *                       DOWN by checks     DOWN by checks     DOWN by checks
 *    (no HealthCheck=)  -                -                  -                   (cannot be)
 *  request answered   UP                 -                  UP                  -
 *  request failed     max_failures in a  max_failures in a  -                   -
 *                       row: DOWN by       row: DOWN by
 *                       requests           requests
 *  request refused    DOWN by requests   DOWN by requests   -                   -
 *
 * - "In a row": a failed check ends a row of passed ones and the other way round; an answered request or a
 *   passed check ends a row of failed requests. Requests do not touch the rows of checks; but what a check
 *   said before the target went down does not count towards `rise`.
 * - During the start period, failed checks do not count towards `fall`; they still end a row of passed ones.
 *   Passed ones, and requests, count as ever.
 * - With MaxFailures=0, failed and refused requests do not count at all.
 * - A target that requests took down, and that then fails its checks too, is down by checks from then on: an
 *   answer that was long on its way does not bring it back. That is no change of what is observed.
 * - UNKNOWN is what a target begins with; it never comes back to that. It is as usable as UP. */

#include <jansson.h>

#include "config/config.h"
#include "util/clock.h"
#include "util/macros.h"

/* How soon a target that is down is looked at again: this after it went down, then after twice as long each
 * time, up to the maximum. The first pair is for targets without HealthCheck= (others are checked at their
 * interval), the second for all for which requests wait. */
#define VITALS_RECHECK_MIN (50 * USEC_PER_MSEC)
#define VITALS_RECHECK_MAX (1000 * USEC_PER_MSEC)
#define VITALS_WAITING_MIN (10 * USEC_PER_MSEC)
#define VITALS_WAITING_MAX (100 * USEC_PER_MSEC)

enum observed {
    OBSERVED_UNKNOWN,
    OBSERVED_UP,
    OBSERVED_DOWN,
    _OBSERVED_MAX,
};

/* "unknown", "up", "down". */
const char *observed_to_string(enum observed observed);

/* Its members are its own. */
struct vitals {
    const struct health_config *config;
    enum observed observed;
    bool by_checks;          /* DOWN: they said so */
    bool checking;           /* a check has begun and not told yet */
    unsigned passed, failed; /* checks in a row */
    unsigned failures;       /* requests in a row */
    unsigned looks;    /* checks begun since it went down, or since the one that there was a reason for */
    uint32_t n_checks; /* begun, for the jitter */
    uint64_t seed;
    usec_t start_until;
    usec_t went_down;
    usec_t last_check; /* when it began */
    usec_t look_at;    /* no later than then; USEC_INFINITY: nothing is special */
};

/* UNKNOWN, and at the beginning of its start period. With HealthCheck=, a check is due at once. The config
 * must outlive it. Targets of different seeds, and processes that give a target different ones, keep their
 * checks from falling together. */
void vitals_init(struct vitals *vitals, const struct health_config *config, uint64_t seed, usec_t now);

enum observed vitals_observed(const struct vitals *vitals);
/* Whether the target is up and no failed request is counted: as long as that is so, one more that is answered
 * changes nothing, and need not be told. */
bool vitals_is_steady(const struct vitals *vitals);

/* A check has passed or failed. Returns true when what is observed has changed. */
bool vitals_check(struct vitals *vitals, bool passed, usec_t now);
/* A request was answered, or failed; `refused`: failed because nobody listens at the address, or there is no
 * such socket. Returns true when what is observed has changed. */
bool vitals_request(struct vitals *vitals, bool answered, bool refused, usec_t now);

/* Whether it has gone down since then, and is down: what was sent before tells of what it has been. */
bool vitals_went_down_since(const struct vitals *vitals, usec_t when);

/* When to check next; a time that has passed is now. USEC_INFINITY: no check is due, or one is under way.
 * `waiting`: requests wait for this target; it matters while the target is down. May be earlier, or later,
 * after any of the other functions. */
usec_t vitals_next_check(const struct vitals *vitals, bool waiting);
/* A check has begun. It must be followed by vitals_check(), within HealthTimeoutSec=. */
void vitals_check_begun(struct vitals *vitals, usec_t now);
/* There is a reason to look again: the target's unit has become active. A check is due now, or when the one
 * that is under way has told, and the times between the next ones begin small again. Nothing changes for a
 * target that is never checked, or not now. */
void vitals_look_soon(struct vitals *vitals, usec_t now);

/* For the next process: {"observed": "down", "by": "checks"}; "by" (or "requests") stands only there. The
 * reference is the caller's. */
json_t *vitals_export(const struct vitals *vitals);
/* Takes over what another process observed; that it did not know says nothing. What cannot be understood is
 * ignored. */
void vitals_import(struct vitals *vitals, const json_t *document, usec_t now);
