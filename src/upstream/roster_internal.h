#pragma once
/* What the files of the roster share. Nobody else includes this.
 *
 * The control thread alone changes which target a slot has; workers read that through an atomic pointer, and
 * may go on using a target that has gone. A slot's mutex guards its breaker and vitals; the atomics beside it
 * are what of them is asked for with every request. */

#include <pthread.h>
#include <stdatomic.h>

#include "upstream/roster.h"

struct roster_target {
    struct target_config config; /* the public face; address, unit and index are its own */
    enum target_origin origin;
    const struct target_config *of; /* TARGET_RESOLVED: the name that stands for it */
    uint64_t key;
    atomic_bool seasoned;
    struct roster_target *next; /* of all that were ever made for the upstream */
};

struct roster_entry { /* a slot */
    _Atomic(struct roster_target *) target;
    atomic_uint wanted, weight;
    atomic_uint observed, breaker_state;
    atomic_bool refused; /* nobody has listened there since it was up */
    atomic_bool steady;  /* up, and no failure counted: an answer changes nothing */
    atomic_uint active, connections;
    pthread_mutex_t lock;
    struct breaker *breaker; /* NULL: there is none */
    struct vitals vitals;
    char unit[32];
    bool was_ready; /* as it was when the version changed last; by the upstream's lock */
};

struct roster_upstream {
    const struct upstream_config *config;
    atomic_uint version, n_slots, held;
    atomic_uint_fast64_t held_size;
    atomic_bool paused;
    pthread_mutex_t lock; /* of the readiness that was told last */
    bool was_ready;
    usec_t unready_since;
    struct roster_target *all;
    struct roster_entry *entries; /* config->n_slots */
    json_t *absent;               /* what is wanted of addresses that no name stands for now, or not yet */
};

struct roster {
    struct roster_options options;
    struct roster_upstream *upstreams; /* by index */
    atomic_bool importing;             /* what changes is no news: another process has told it */
};

static inline struct roster_upstream *upstream_of(const struct roster *roster,
                                                  const struct upstream_config *upstream)
{
    return &roster->upstreams[upstream->index];
}

static inline struct roster_target *target_of(const struct target_config *target)
{
    return container_of((struct target_config *)(uintptr_t)target, struct roster_target, config);
}

/* NULL when another target has the slot by now, or none. */
static inline struct roster_entry *entry_of(const struct roster_upstream *upstream,
                                            const struct target_config *target)
{
    struct roster_entry *entry = &upstream->entries[target->index];
    struct roster_target *there = atomic_load_explicit(&entry->target, memory_order_acquire);
    return there && &there->config == target ? entry : NULL;
}

bool entry_is_ready(const struct roster_upstream *upstream, const struct roster_entry *entry);
/* Something that others derive from has changed: the version moves, readiness is told, and those who wait are
 * woken. No lock of an entry may be held. */
void upstream_changed(struct roster *roster, struct roster_upstream *upstream, usec_t now);
/* Copies what the locked parts say to the atomics. With the entry's lock. */
void entry_publish(struct roster_entry *entry, usec_t now);

/* A target that a name stood for goes, and one comes: what the operator wants of its address stays. */
void upstream_remember_wanted(struct roster_upstream *upstream, const struct roster_target *target);
void upstream_recall_wanted(struct roster_upstream *upstream, const struct roster_target *target);

/* Records. `why` may be NULL. */
void roster_tell_observed(struct roster *roster, const struct roster_upstream *upstream,
                          const struct target_config *target, enum observed observed, const char *why);
void roster_tell_breaker(struct roster *roster, const struct roster_upstream *upstream,
                         const struct target_config *target, enum breaker_state state,
                         const struct breaker_figures *figures);
void roster_tell_come(struct roster *roster, const struct roster_upstream *upstream,
                      const struct roster_target *target, bool come);
void roster_tell_ready(struct roster *roster, const struct roster_upstream *upstream, bool ready,
                       usec_t duration);
