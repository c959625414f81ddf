#pragma once
/* All targets of all upstreams as they are now: which there are, what the operator wants of each, what is
 * observed of it, and whether requests go to it.
 *
 *   wanted (operator)      ready, drain, down; its weight; the upstream paused or not
 *   observed (upstream/vitals.h)  unknown, up, down: by health checks and by what comes of requests
 *   breaker (upstream/breaker.h)  closed, half-open, open
 *   ───────────────────────────────────────────────────────────────────────────────────────
 *   effective              ready, or not, and why
 *
 * A target has a place, its slot, which is its index. Those of the configuration have the first ones; others
 * come (what a host name stands for, what the operator adds) and go. A struct target_config that was handed
 * out stays valid until roster_free(), also when the target is gone.
 *
 * The control thread changes what there is and what is wanted. Workers look, and report what came of
 * requests: those functions are marked "any thread". A worker keeps what it derives from the roster (its
 * balance, its pools) until the version changes. */

#include <jansson.h>

#include "config/config.h"
#include "journal/journal.h"
#include "metrics/metrics.h"
#include "upstream/breaker.h"
#include "upstream/vitals.h"
#include "util/strbuf.h"

enum wanted {
    WANTED_READY,
    WANTED_DRAIN, /* no new clients; those that a cookie leads here still come */
    WANTED_DOWN,
    _WANTED_MAX,
};
/* "ready", "drain", "down". */
const char *wanted_to_string(enum wanted wanted);
/* _WANTED_MAX for a word that is none. */
enum wanted wanted_from_string(const char *word);

enum target_origin {
    TARGET_CONFIGURED,
    TARGET_RESOLVED, /* a name of the configuration stands for it */
    TARGET_ADDED,    /* by the operator */
    _TARGET_ORIGIN_MAX,
};
/* "configured", "resolved", "added". */
const char *target_origin_to_string(enum target_origin origin);

struct roster;

struct roster_options {
    const struct config *config;
    struct metrics *metrics; /* is told what targets are called; may be NULL */
    struct journal *journal;
    /* Something may have become possible for requests that wait for this upstream. Any thread, no lock held.
     * May be NULL. */
    void (*wake)(void *userdata, const struct upstream_config *upstream);
    /* The control thread has something to do: a target is to be checked, or sooner. As above. */
    void (*nudge)(void *userdata);
    void *userdata;
};

/* The options' parts must outlive it. */
struct roster *roster_new(const struct roster_options *options, usec_t now);
/* Accepts NULL, returns NULL. */
struct roster *roster_free(struct roster *roster);

/* --- looking: any thread ----------------------------------------------------------------------------------
 */

/* Changes whenever anything that roster_look() tells changes. */
unsigned roster_version(const struct roster *roster, const struct upstream_config *upstream);

struct roster_slot {
    const struct target_config *target;
    unsigned weight;
    uint64_t key;  /* of the address, for hashing and cookies: the same in every process */
    bool ready;    /* new requests may go to it */
    bool familiar; /* … and those of clients that a cookie leads here */
    bool wanted;   /* the operator wants requests to go to it, whatever else is known */
    bool seasoned; /* it was there when the process began, and has not been away: no slow start */
};
/* False when the slot is empty. Slots from roster_n_slots() on are. */
bool roster_look(const struct roster *roster, const struct upstream_config *upstream, unsigned slot,
                 struct roster_slot *ret);
/* As struct roster_slot has it. */
uint64_t roster_key(const struct target_config *target);
unsigned roster_n_slots(const struct roster *roster, const struct upstream_config *upstream);

/* --- requests: any thread ---------------------------------------------------------------------------------
 */

/* What a try at a target holds from roster_begin() to roster_end(). */
struct roster_permit {
    uint32_t epoch; /* of the breaker */
};
/* Takes a place among the target's requests, and a permit of its breaker. False when there is none: another
 * target is to be picked. */
bool roster_begin(struct roster *roster, const struct upstream_config *upstream,
                  const struct target_config *target, usec_t now, struct roster_permit *ret);

enum verdict {
    VERDICT_ANSWERED, /* the response is whole */
    VERDICT_REFUSED,  /* nobody listens there */
    VERDICT_FAILED,   /* anything else that is the target's fault */
    VERDICT_NONE      /* it says nothing: the client went away, or a kept connection had been closed */
};
struct try_report {
    enum verdict verdict;
    int status; /* of the response, 0 without one; from 500 on the breaker counts it as failed */
    usec_t duration;
    usec_t client_time; /* of it, in which a client had yet to take what there was: not the target's */
    const char *reason; /* in a few words, for the journal; NULL when there is nothing to say */
};
/* Gives both back, and says what came of it. Changes are logged here. */
void roster_end(struct roster *roster, const struct upstream_config *upstream,
                const struct target_config *target, const struct roster_permit *permit,
                const struct try_report *report, usec_t now);

/* Connections to a target: +1, -1. */
void roster_count_connection(struct roster *roster, const struct upstream_config *upstream,
                             const struct target_config *target, int change);
/* Counts one more, unless MaxConnections= is reached: false. */
bool roster_take_connection(struct roster *roster, const struct upstream_config *upstream,
                            const struct target_config *target);
/* False at MaxConnections=. */
bool roster_may_connect(const struct roster *roster, const struct upstream_config *upstream,
                        const struct target_config *target);
/* A kept connection is not in use any more: somebody may wait for that where MaxConnections= is set. */
void roster_connection_is_idle(struct roster *roster, const struct upstream_config *upstream);

/* A request of `size` bytes begins to wait, or is not taken since HoldMax= or HoldMaxSize= is reached. One
 * that waits `again` is taken in any case: there are never more of them than requests under way. */
bool roster_hold(struct roster *roster, const struct upstream_config *upstream, size_t size, bool again);
/* … and waits no longer. */
void roster_unhold(struct roster *roster, const struct upstream_config *upstream, size_t size);
/* How many wait, and their bytes. */
unsigned roster_held(const struct roster *roster, const struct upstream_config *upstream);
uint64_t roster_held_size(const struct roster *roster, const struct upstream_config *upstream);

/* --- what there is: the control thread --------------------------------------------------------------------
 */

/* Adds a target (address, weight and unit are copied), or has one that was there come back. Returns it, or
 * NULL and a sentence in `error`: the address is there already, or there is no slot left. */
const struct target_config *roster_add(struct roster *roster, const struct upstream_config *upstream,
                                       const struct target_config *target, enum target_origin origin,
                                       usec_t now, struct strbuf *error);
/* Those of the configuration stay: false. */
bool roster_remove(struct roster *roster, const struct upstream_config *upstream,
                   const struct target_config *target);
/* By its address as written; NULL when there is none. */
const struct target_config *roster_find(const struct roster *roster, const struct upstream_config *upstream,
                                        const char *address);
/* What the name `of` (a target of the configuration, with address.size 0) stands for now: targets come, stay
 * and go. `weights` may be NULL: then they have that of the name. */
void roster_resolve(struct roster *roster, const struct upstream_config *upstream,
                    const struct target_config *of, const struct address_config *addresses,
                    const unsigned *weights, size_t n, usec_t now);

/* --- what is wanted: the control thread -------------------------------------------------------------------
 */

void roster_want(struct roster *roster, const struct upstream_config *upstream,
                 const struct target_config *target, enum wanted wanted);
/* 0 to 256. */
void roster_set_weight(struct roster *roster, const struct upstream_config *upstream,
                       const struct target_config *target, unsigned weight);
void roster_pause(struct roster *roster, const struct upstream_config *upstream, bool paused);
bool roster_is_paused(const struct roster *roster, const struct upstream_config *upstream);

/* What the operator wants, as it is kept in the state directory and passed on: {"orders": {"paused": true,
 * "targets": {"127.0.0.1:9001": {"wanted": "drain", "weight": 3, "added": true}}}}, without what is as
 * configured. The reference is the caller's. */
json_t *roster_export_wanted(const struct roster *roster);
/* Makes it so, and what is not told, as configured. What is not understood is ignored. */
void roster_import_wanted(struct roster *roster, const json_t *document, usec_t now);

/* --- what is observed: the control thread -----------------------------------------------------------------
 */

/* When a target is to be checked next; USEC_INFINITY: not at all. */
usec_t roster_next_check(const struct roster *roster, const struct upstream_config *upstream, unsigned slot);
void roster_check_begun(struct roster *roster, const struct upstream_config *upstream,
                        const struct target_config *target, usec_t now);
/* `refused`: nobody listens there; `reason`: why it has failed, in a few words. */
void roster_checked(struct roster *roster, const struct upstream_config *upstream,
                    const struct target_config *target, bool passed, bool refused, const char *reason,
                    usec_t now);
/* Whether nobody has listened there since it went down: whoever does now is not the process that failed. */
bool roster_was_refused(const struct roster *roster, const struct upstream_config *upstream,
                        const struct target_config *target);
/* The state of the unit behind a target, as systemd spells it ("active", "activating", "failed"). One that
 * has become active is looked at soon. */
void roster_unit_changed(struct roster *roster, const struct upstream_config *upstream,
                         const struct target_config *target, const char *state, usec_t now);
/* Lets time pass: open breakers become half-open. Returns when to call again. */
usec_t roster_tick(struct roster *roster, usec_t now);

/* For the next process, by the names of upstreams and the addresses of targets: {"orders": {"127.0.0.1:9001":
 * {"observed": "down", "breaker": {…}, "resolved": "app.example.com:80"}}}. */
json_t *roster_export_observed(const struct roster *roster, usec_t now);
/* Takes up what another process knew. Nothing of that is news: it is not logged. */
void roster_import_observed(struct roster *roster, const json_t *document, usec_t now);

/* Sets the gauges that the metrics have of targets. */
void roster_publish(struct roster *roster, usec_t now);

/* --- all of it, for people --------------------------------------------------------------------------------
 */

struct roster_view {
    const struct target_config *target;
    enum target_origin origin;
    enum wanted wanted;
    enum observed observed;
    enum breaker_state breaker;
    struct breaker_figures figures;
    bool has_breaker;
    bool ready;
    char why[160]; /* why it is not ready, or what else there is to say; may be empty */
    char unit[32]; /* the state of its unit; empty: not known, or there is none */
    unsigned weight;
    unsigned active;      /* requests */
    unsigned connections; /* idle ones too */
};
/* False when the slot is empty. The control thread. */
bool roster_view(struct roster *roster, const struct upstream_config *upstream, unsigned slot, usec_t now,
                 struct roster_view *ret);
