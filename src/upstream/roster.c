#include "upstream/roster.h"

#include <limits.h>

#include "upstream/balance.h"
#include "upstream/roster_internal.h"

static const char *const wanted_names[_WANTED_MAX] = {
    [WANTED_READY] = "ready",
    [WANTED_DRAIN] = "drain",
    [WANTED_DOWN] = "down",
};

const char *wanted_to_string(enum wanted wanted)
{
    assert(wanted < _WANTED_MAX);
    return wanted_names[wanted];
}

enum wanted wanted_from_string(const char *word)
{
    for (enum wanted wanted = 0; wanted < _WANTED_MAX; wanted++)
        if (streq(wanted_names[wanted], word))
            return wanted;
    return _WANTED_MAX;
}

static const char *const origin_names[_TARGET_ORIGIN_MAX] = {
    [TARGET_CONFIGURED] = "configured",
    [TARGET_RESOLVED] = "resolved",
    [TARGET_ADDED] = "added",
};

const char *target_origin_to_string(enum target_origin origin)
{
    assert(origin < _TARGET_ORIGIN_MAX);
    return origin_names[origin];
}

/* --- life -------------------------------------------------------------------------------------------------
 */

static bool is_name(const struct target_config *target)
{
    return target->address.size == 0;
}

/* Puts a target into an empty slot. */
static void occupy(struct roster *roster, struct roster_upstream *upstream, struct roster_target *target,
                   unsigned slot, usec_t now)
{
    struct roster_entry *entry = &upstream->entries[slot];

    /* One that comes back has its slot already, and workers may still look at what it was. */
    if (target->config.index != slot)
        target->config.index = slot;
    pthread_mutex_lock(&entry->lock);
    if (entry->breaker)
        breaker_reset(entry->breaker); /* and what was permitted before counts for nothing */
    else
        entry->breaker = breaker_new(&upstream->config->breaker);
    vitals_init(&entry->vitals, &upstream->config->health, target->key, now);
    entry->unit[0] = '\0';
    atomic_store(&entry->wanted, WANTED_READY);
    atomic_store(&entry->weight, target->config.weight);
    entry_publish(entry, now);
    pthread_mutex_unlock(&entry->lock);
    atomic_store_explicit(&entry->target, target, memory_order_release);
    if (atomic_load(&upstream->n_slots) <= slot)
        atomic_store(&upstream->n_slots, slot + 1);
    if (roster->options.metrics)
        metrics_name_target(roster->options.metrics, upstream->config, &target->config,
                            target->config.address.text);
}

static struct roster_target *make_target(struct roster_upstream *upstream, const struct target_config *config,
                                         enum target_origin origin)
{
    struct roster_target *target = xcalloc(1, sizeof(*target));

    target->config = *config;
    target->config.address.text = xstrdup(config->address.text);
    target->config.unit = config->unit ? xstrdup(config->unit) : NULL;
    target->origin = origin;
    target->key = balance_hash(config->address.text, strlen(config->address.text));
    target->next = upstream->all;
    upstream->all = target;
    return target;
}

static void init_upstream(struct roster *roster, struct roster_upstream *upstream,
                          const struct upstream_config *config, usec_t now)
{
    upstream->config = config;
    upstream->was_ready = true; /* what is so at the start is no news */
    pthread_mutex_init(&upstream->lock, NULL);
    upstream->entries = xcalloc(config->n_slots, sizeof(*upstream->entries));
    upstream->absent = json_object();
    for (size_t i = 0; i < config->n_slots; i++)
        pthread_mutex_init(&upstream->entries[i].lock, NULL);
    atomic_store(&upstream->n_slots, (unsigned)config->n_targets);
    for (unsigned i = 0; i < config->n_targets; i++) {
        if (is_name(&config->targets[i]))
            continue;
        struct roster_target *target = make_target(upstream, &config->targets[i], TARGET_CONFIGURED);
        target->seasoned = true;
        occupy(roster, upstream, target, i, now);
    }
}

struct roster *roster_new(const struct roster_options *options, usec_t now)
{
    const struct config *config = options->config;
    struct roster *roster = xcalloc(1, sizeof(*roster));

    roster->options = *options;
    roster->upstreams = xcalloc(config->n_upstreams, sizeof(*roster->upstreams));
    for (size_t i = 0; i < config->n_upstreams; i++)
        init_upstream(roster, &roster->upstreams[i], config->upstreams[i], now);
    return roster;
}

static void deinit_upstream(struct roster_upstream *upstream)
{
    for (size_t i = 0; i < upstream->config->n_slots; i++) {
        breaker_free(upstream->entries[i].breaker);
        pthread_mutex_destroy(&upstream->entries[i].lock);
    }
    free(upstream->entries);
    json_decref(upstream->absent);
    pthread_mutex_destroy(&upstream->lock);
    for (struct roster_target *target; (target = upstream->all);) {
        upstream->all = target->next;
        target_deinit(&target->config);
        free(target);
    }
}

struct roster *roster_free(struct roster *roster)
{
    if (!roster)
        return NULL;
    for (size_t i = 0; i < roster->options.config->n_upstreams; i++)
        deinit_upstream(&roster->upstreams[i]);
    free(roster->upstreams);
    free(roster);
    return NULL;
}

/* --- readiness --------------------------------------------------------------------------------------------
 */

static bool is_usable(const struct roster_upstream *upstream, const struct roster_entry *entry)
{
    return !atomic_load_explicit(&upstream->paused, memory_order_relaxed) &&
           atomic_load_explicit(&entry->wanted, memory_order_relaxed) != WANTED_DOWN &&
           atomic_load_explicit(&entry->observed, memory_order_relaxed) != OBSERVED_DOWN &&
           atomic_load_explicit(&entry->breaker_state, memory_order_relaxed) != BREAKER_OPENED;
}

bool entry_is_ready(const struct roster_upstream *upstream, const struct roster_entry *entry)
{
    return is_usable(upstream, entry) &&
           atomic_load_explicit(&entry->wanted, memory_order_relaxed) == WANTED_READY;
}

void entry_publish(struct roster_entry *entry, usec_t now)
{
    const enum observed observed = vitals_observed(&entry->vitals);
    atomic_store(&entry->observed, observed);
    if (observed == OBSERVED_UP)
        atomic_store(&entry->refused, false);
    atomic_store(&entry->breaker_state, breaker_state(entry->breaker, now));
    atomic_store(&entry->steady, !entry->breaker && vitals_is_steady(&entry->vitals));
}

static bool any_is_ready(const struct roster_upstream *upstream)
{
    const unsigned n = atomic_load(&upstream->n_slots);
    for (unsigned i = 0; i < n; i++) {
        const struct roster_entry *entry = &upstream->entries[i];
        if (atomic_load(&entry->target) && atomic_load(&entry->weight) > 0 && entry_is_ready(upstream, entry))
            return true;
    }
    return false;
}

static bool has_target(const struct roster_upstream *upstream)
{
    const unsigned n = atomic_load(&upstream->n_slots);
    for (unsigned i = 0; i < n; i++)
        if (atomic_load(&upstream->entries[i].target))
            return true;
    return false;
}

static void wake(struct roster *roster, const struct roster_upstream *upstream)
{
    if (atomic_load(&upstream->held) > 0 && roster->options.wake)
        roster->options.wake(roster->options.userdata, upstream->config);
}

static void nudge(struct roster *roster)
{
    if (roster->options.nudge)
        roster->options.nudge(roster->options.userdata);
}

void upstream_changed(struct roster *roster, struct roster_upstream *upstream, usec_t now)
{
    const bool importing = atomic_load(&roster->importing);

    atomic_fetch_add(&upstream->version, 1);
    pthread_mutex_lock(&upstream->lock);
    /* Names that nobody has looked up yet are not missed. */
    const bool ready = any_is_ready(upstream) || (importing && !has_target(upstream));
    const bool changed = ready != upstream->was_ready;
    const usec_t duration = ready ? usec_sub(now, upstream->unready_since) : 0;
    upstream->was_ready = ready;
    if (changed && !ready)
        upstream->unready_since = now;
    pthread_mutex_unlock(&upstream->lock);

    if (changed && !importing)
        roster_tell_ready(roster, upstream, ready, duration);
    wake(roster, upstream);
    nudge(roster);
}

unsigned roster_version(const struct roster *roster, const struct upstream_config *upstream)
{
    return atomic_load(&upstream_of(roster, upstream)->version);
}

unsigned roster_n_slots(const struct roster *roster, const struct upstream_config *upstream)
{
    return atomic_load(&upstream_of(roster, upstream)->n_slots);
}

bool roster_look(const struct roster *roster, const struct upstream_config *upstream, unsigned slot,
                 struct roster_slot *ret)
{
    const struct roster_upstream *u = upstream_of(roster, upstream);
    const struct roster_entry *entry = &u->entries[slot];
    const struct roster_target *target = atomic_load_explicit(&entry->target, memory_order_acquire);

    if (!target)
        return false;
    *ret = (struct roster_slot){
        .target = &target->config,
        .weight = atomic_load(&entry->weight),
        .key = target->key,
        .ready = entry_is_ready(u, entry),
        .familiar = is_usable(u, entry),
        .wanted = atomic_load(&entry->wanted) == WANTED_READY && !atomic_load(&u->paused),
        .seasoned = target->seasoned,
    };
    return true;
}

uint64_t roster_key(const struct target_config *target)
{
    return target_of(target)->key;
}

/* --- requests ---------------------------------------------------------------------------------------------
 */

/* A breaker may have become half-open by nothing but time. */
static void note_time(struct roster *roster, struct roster_upstream *upstream,
                      const struct target_config *target, enum breaker_state before, enum breaker_state after,
                      usec_t now)
{
    if (before == after)
        return;
    roster_tell_breaker(roster, upstream, target, after, NULL);
    upstream_changed(roster, upstream, now);
}

bool roster_begin(struct roster *roster, const struct upstream_config *upstream,
                  const struct target_config *target, usec_t now, struct roster_permit *ret)
{
    struct roster_upstream *u = upstream_of(roster, upstream);
    struct roster_entry *entry = entry_of(u, target);

    *ret = (struct roster_permit){0};
    if (!entry)
        return false;
    const unsigned active = atomic_fetch_add(&entry->active, 1);
    if (upstream->max_requests > 0 && active >= upstream->max_requests) {
        atomic_fetch_sub(&entry->active, 1);
        return false;
    }
    if (upstream->breaker.window == BREAKER_OFF)
        return true;
    pthread_mutex_lock(&entry->lock);
    const enum breaker_state before = atomic_load(&entry->breaker_state);
    const bool permitted = breaker_permit(entry->breaker, now);
    ret->epoch = breaker_epoch(entry->breaker);
    const enum breaker_state after = breaker_state(entry->breaker, now);
    entry_publish(entry, now);
    pthread_mutex_unlock(&entry->lock);
    note_time(roster, u, target, before, after, now);
    if (!permitted)
        atomic_fetch_sub(&entry->active, 1);
    return permitted;
}

static bool note_breaker(struct roster_entry *entry, const struct roster_permit *permit,
                         const struct try_report *report, usec_t now)
{
    if (report->verdict == VERDICT_NONE) {
        breaker_release(entry->breaker, permit->epoch);
        return false;
    }
    const bool failed = report->verdict != VERDICT_ANSWERED || report->status >= 500;
    return breaker_record(entry->breaker, permit->epoch, failed,
                          usec_sub(report->duration, report->client_time), now);
}

static void note_refusal(struct roster_entry *entry, bool refused)
{
    if (refused)
        atomic_store(&entry->refused, true);
}

bool roster_was_refused(const struct roster *roster, const struct upstream_config *upstream,
                        const struct target_config *target)
{
    const struct roster_entry *entry = entry_of(upstream_of(roster, upstream), target);
    return entry && atomic_load(&entry->refused);
}

/* What it says about the target's health, and to the breaker. */
static void judge(struct roster *roster, struct roster_upstream *upstream, struct roster_entry *entry,
                  const struct target_config *target, const struct roster_permit *permit,
                  const struct try_report *report, usec_t now)
{
    const bool answered = report->verdict == VERDICT_ANSWERED;
    struct breaker_figures figures;
    bool observed_changed = false;

    note_refusal(entry, report->verdict == VERDICT_REFUSED);
    pthread_mutex_lock(&entry->lock);
    const bool was_down = vitals_observed(&entry->vitals) == OBSERVED_DOWN;
    const bool breaker_changed = note_breaker(entry, permit, report, now);
    if (breaker_changed)
        breaker_figures(entry->breaker, now, &figures);
    /* An answer that was under way does not bring back what has gone meanwhile. */
    const bool outdated = answered && vitals_went_down_since(&entry->vitals, usec_sub(now, report->duration));
    if (report->verdict != VERDICT_NONE && !outdated)
        observed_changed = vitals_request(&entry->vitals, answered, report->verdict == VERDICT_REFUSED, now);
    const enum observed observed = vitals_observed(&entry->vitals);
    const enum breaker_state state = breaker_state(entry->breaker, now);
    entry_publish(entry, now);
    pthread_mutex_unlock(&entry->lock);

    if (observed_changed && (was_down || observed == OBSERVED_DOWN))
        roster_tell_observed(roster, upstream, target, observed, report->reason);
    if (breaker_changed)
        roster_tell_breaker(roster, upstream, target, state, &figures);
    if (observed_changed || breaker_changed)
        upstream_changed(roster, upstream, now);
}

void roster_end(struct roster *roster, const struct upstream_config *upstream,
                const struct target_config *target, const struct roster_permit *permit,
                const struct try_report *report, usec_t now)
{
    struct roster_upstream *u = upstream_of(roster, upstream);
    struct roster_entry *entry = entry_of(u, target);

    /* Its slot is nobody else's before this, also when it has gone meanwhile. */
    atomic_fetch_sub(&u->entries[target->index].active, 1);
    if (!entry)
        return;
    const bool changes_nothing =
        report->verdict == VERDICT_NONE ||
        (report->verdict == VERDICT_ANSWERED && atomic_load_explicit(&entry->steady, memory_order_relaxed));
    if (upstream->breaker.window != BREAKER_OFF || !changes_nothing)
        judge(roster, u, entry, target, permit, report, now);
    /* Somebody may wait for this very place. */
    if (upstream->max_requests > 0 || upstream->breaker.window != BREAKER_OFF)
        wake(roster, u);
}

void roster_count_connection(struct roster *roster, const struct upstream_config *upstream,
                             const struct target_config *target, int change)
{
    struct roster_upstream *u = upstream_of(roster, upstream);

    atomic_fetch_add(&u->entries[target->index].connections, (unsigned)change);
    if (change < 0 && upstream->max_connections > 0)
        wake(roster, u);
}

bool roster_take_connection(struct roster *roster, const struct upstream_config *upstream,
                            const struct target_config *target)
{
    struct roster_entry *entry = entry_of(upstream_of(roster, upstream), target);

    if (!entry)
        return false;
    unsigned n = atomic_load(&entry->connections);
    do
        if (upstream->max_connections > 0 && n >= upstream->max_connections)
            return false;
    while (!atomic_compare_exchange_weak(&entry->connections, &n, n + 1));
    return true;
}

void roster_connection_is_idle(struct roster *roster, const struct upstream_config *upstream)
{
    if (upstream->max_connections > 0)
        wake(roster, upstream_of(roster, upstream));
}

bool roster_may_connect(const struct roster *roster, const struct upstream_config *upstream,
                        const struct target_config *target)
{
    const struct roster_entry *entry = entry_of(upstream_of(roster, upstream), target);
    return entry &&
           (upstream->max_connections == 0 ||
            atomic_load_explicit(&entry->connections, memory_order_relaxed) < upstream->max_connections);
}

bool roster_hold(struct roster *roster, const struct upstream_config *upstream, size_t size, bool again)
{
    struct roster_upstream *u = upstream_of(roster, upstream);
    const unsigned held = atomic_fetch_add(&u->held, 1);
    const uint64_t held_size = atomic_fetch_add(&u->held_size, size);

    if (again || (held < upstream->hold_max && held_size + size <= upstream->hold_max_size)) {
        if (held == 0)
            nudge(roster);
        if (upstream->max_connections > 0)
            wake(roster, u); /* for connections that others do not use */
        return true;
    }
    roster_unhold(roster, upstream, size);
    return false;
}

void roster_unhold(struct roster *roster, const struct upstream_config *upstream, size_t size)
{
    struct roster_upstream *u = upstream_of(roster, upstream);
    atomic_fetch_sub(&u->held_size, size);
    atomic_fetch_sub(&u->held, 1);
}

unsigned roster_held(const struct roster *roster, const struct upstream_config *upstream)
{
    return atomic_load(&upstream_of(roster, upstream)->held);
}

uint64_t roster_held_size(const struct roster *roster, const struct upstream_config *upstream)
{
    return atomic_load(&upstream_of(roster, upstream)->held_size);
}

/* --- what there is ----------------------------------------------------------------------------------------
 */

const struct target_config *roster_find(const struct roster *roster, const struct upstream_config *upstream,
                                        const char *address)
{
    const struct roster_upstream *u = upstream_of(roster, upstream);
    const unsigned n = atomic_load(&u->n_slots);

    for (unsigned i = 0; i < n; i++) {
        const struct roster_target *target = atomic_load(&u->entries[i].target);
        if (target && streq(target->config.address.text, address))
            return &target->config;
    }
    return NULL;
}

/* An empty slot: one that was never used if there is one, since counters go by slots. */
static unsigned find_slot(const struct roster_upstream *upstream)
{
    const unsigned n = atomic_load(&upstream->n_slots);

    if (n < upstream->config->n_slots)
        return n;
    for (unsigned i = (unsigned)upstream->config->n_targets; i < n; i++)
        if (!atomic_load(&upstream->entries[i].target) && atomic_load(&upstream->entries[i].active) == 0)
            return i;
    return UINT_MAX;
}

/* One that was there before: with its slot, if that is still free. */
static struct roster_target *find_former(const struct roster_upstream *upstream, const char *address)
{
    for (struct roster_target *target = upstream->all; target; target = target->next)
        if (streq(target->config.address.text, address) &&
            !atomic_load(&upstream->entries[target->config.index].target))
            return target;
    return NULL;
}

static struct roster_target *add(struct roster *roster, struct roster_upstream *upstream,
                                 const struct target_config *config, enum target_origin origin, usec_t now,
                                 struct strbuf *error)
{
    if (roster_find(roster, upstream->config, config->address.text)) {
        strbuf_addf(error, "%s is a target of %s already", config->address.text, upstream->config->name);
        return NULL;
    }
    struct roster_target *target = find_former(upstream, config->address.text);
    const unsigned slot = target ? target->config.index : find_slot(upstream);
    if (slot == UINT_MAX) {
        strbuf_addf(error, "%s has no room for more targets than the %zu that it has", upstream->config->name,
                    upstream->config->n_slots);
        return NULL;
    }
    if (!target)
        target = make_target(upstream, config, origin);
    target->config.weight = config->weight;
    target->origin = origin;
    target->seasoned = atomic_load(&roster->importing); /* then it has been there before */
    occupy(roster, upstream, target, slot, now);
    if (origin == TARGET_RESOLVED)
        upstream_recall_wanted(upstream, target);
    return target;
}

static void vacate(struct roster *roster, struct roster_upstream *upstream, struct roster_target *target)
{
    struct roster_entry *entry = &upstream->entries[target->config.index];

    atomic_store(&entry->target, NULL);
    if (roster->options.metrics)
        metrics_name_target(roster->options.metrics, upstream->config, &target->config, NULL);
}

const struct target_config *roster_add(struct roster *roster, const struct upstream_config *upstream,
                                       const struct target_config *target, enum target_origin origin,
                                       usec_t now, struct strbuf *error)
{
    struct roster_upstream *u = upstream_of(roster, upstream);
    struct roster_target *added = add(roster, u, target, origin, now, error);

    if (!added)
        return NULL;
    roster_tell_come(roster, u, added, true);
    upstream_changed(roster, u, now);
    return &added->config;
}

bool roster_remove(struct roster *roster, const struct upstream_config *upstream,
                   const struct target_config *target)
{
    struct roster_upstream *u = upstream_of(roster, upstream);

    if (!entry_of(u, target) || target_of(target)->origin == TARGET_CONFIGURED)
        return false;
    vacate(roster, u, target_of(target));
    roster_tell_come(roster, u, target_of(target), false);
    upstream_changed(roster, u, now_monotonic());
    return true;
}

static bool is_among(const struct address_config *addresses, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (streq(addresses[i].text, text))
            return true;
    return false;
}

/* Those of a name that it does not stand for any more. */
static bool drop_others(struct roster *roster, struct roster_upstream *upstream,
                        const struct target_config *of, const struct address_config *addresses, size_t n)
{
    const unsigned n_slots = atomic_load(&upstream->n_slots);
    bool changed = false;

    for (unsigned i = 0; i < n_slots; i++) {
        struct roster_target *target = atomic_load(&upstream->entries[i].target);
        if (!target || target->origin != TARGET_RESOLVED || target->of != of ||
            is_among(addresses, n, target->config.address.text))
            continue;
        upstream_remember_wanted(upstream, target);
        vacate(roster, upstream, target);
        roster_tell_come(roster, upstream, target, false);
        changed = true;
    }
    return changed;
}

void roster_resolve(struct roster *roster, const struct upstream_config *upstream,
                    const struct target_config *of, const struct address_config *addresses,
                    const unsigned *weights, size_t n, usec_t now)
{
    struct roster_upstream *u = upstream_of(roster, upstream);
    bool changed = drop_others(roster, u, of, addresses, n);

    for (size_t i = 0; i < n; i++) {
        const struct target_config config = {
            .address = addresses[i],
            .weight = weights && weights[i] > 0 ? MIN(weights[i], 256u) : of->weight,
            .unit = of->unit,
        };
        _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
        const struct target_config *there = roster_find(roster, upstream, addresses[i].text);
        if (there) {
            struct roster_target *target = target_of(there);
            if (target->origin == TARGET_RESOLVED && target->of == of && there->weight != config.weight) {
                /* What the operator has set goes before. */
                unsigned former = target->config.weight;
                target->config.weight = config.weight;
                atomic_compare_exchange_strong(&u->entries[there->index].weight, &former, config.weight);
                changed = true;
            }
            continue;
        }
        struct roster_target *target = add(roster, u, &config, TARGET_RESOLVED, now, &error);
        if (!target) {
            journal_log(roster->options.journal, EVENT_WARNING, "upstream %s: %s is not used: %s",
                        upstream->name, addresses[i].text, strbuf_string(&error));
            continue;
        }
        target->of = of;
        roster_tell_come(roster, u, target, true);
        changed = true;
    }
    if (changed)
        upstream_changed(roster, u, now);
}

/* --- what is wanted ---------------------------------------------------------------------------------------
 */

void roster_want(struct roster *roster, const struct upstream_config *upstream,
                 const struct target_config *target, enum wanted wanted)
{
    struct roster_upstream *u = upstream_of(roster, upstream);
    struct roster_entry *entry = entry_of(u, target);

    assert(wanted < _WANTED_MAX);
    if (!entry || atomic_exchange(&entry->wanted, wanted) == wanted)
        return;
    upstream_changed(roster, u, now_monotonic());
}

void roster_set_weight(struct roster *roster, const struct upstream_config *upstream,
                       const struct target_config *target, unsigned weight)
{
    struct roster_upstream *u = upstream_of(roster, upstream);
    struct roster_entry *entry = entry_of(u, target);

    if (!entry || atomic_exchange(&entry->weight, weight) == weight)
        return;
    upstream_changed(roster, u, now_monotonic());
}

void roster_pause(struct roster *roster, const struct upstream_config *upstream, bool paused)
{
    struct roster_upstream *u = upstream_of(roster, upstream);
    if (atomic_exchange(&u->paused, paused) != paused)
        upstream_changed(roster, u, now_monotonic());
}

bool roster_is_paused(const struct roster *roster, const struct upstream_config *upstream)
{
    return atomic_load(&upstream_of(roster, upstream)->paused);
}

/* --- what is observed -------------------------------------------------------------------------------------
 */

usec_t roster_next_check(const struct roster *roster, const struct upstream_config *upstream, unsigned slot)
{
    const struct roster_upstream *u = upstream_of(roster, upstream);
    struct roster_entry *entry = &u->entries[slot];

    if (!atomic_load(&entry->target) || atomic_load(&entry->wanted) == WANTED_DOWN)
        return USEC_INFINITY;
    /* The usual case, without the lock: it is up, and nobody asked for checks. */
    if (upstream->health.check == HEALTH_CHECK_OFF && atomic_load(&entry->observed) != OBSERVED_DOWN)
        return USEC_INFINITY;
    pthread_mutex_lock(&entry->lock);
    const usec_t next = vitals_next_check(&entry->vitals, atomic_load(&u->held) > 0);
    pthread_mutex_unlock(&entry->lock);
    return next;
}

void roster_check_begun(struct roster *roster, const struct upstream_config *upstream,
                        const struct target_config *target, usec_t now)
{
    struct roster_entry *entry = entry_of(upstream_of(roster, upstream), target);
    if (!entry)
        return;
    pthread_mutex_lock(&entry->lock);
    vitals_check_begun(&entry->vitals, now);
    pthread_mutex_unlock(&entry->lock);
}

void roster_checked(struct roster *roster, const struct upstream_config *upstream,
                    const struct target_config *target, bool passed, bool refused, const char *reason,
                    usec_t now)
{
    struct roster_upstream *u = upstream_of(roster, upstream);
    struct roster_entry *entry = entry_of(u, target);

    if (!entry)
        return;
    note_refusal(entry, refused);
    pthread_mutex_lock(&entry->lock);
    const bool was_down = vitals_observed(&entry->vitals) == OBSERVED_DOWN;
    const bool changed = vitals_check(&entry->vitals, passed, now);
    const enum observed observed = vitals_observed(&entry->vitals);
    entry_publish(entry, now);
    pthread_mutex_unlock(&entry->lock);
    if (!changed)
        return;
    if (was_down || observed == OBSERVED_DOWN)
        roster_tell_observed(roster, u, target, observed, reason);
    upstream_changed(roster, u, now);
}

void roster_unit_changed(struct roster *roster, const struct upstream_config *upstream,
                         const struct target_config *target, const char *state, usec_t now)
{
    struct roster_entry *entry = entry_of(upstream_of(roster, upstream), target);
    if (!entry)
        return;
    pthread_mutex_lock(&entry->lock);
    snprintf(entry->unit, sizeof(entry->unit), "%s", state);
    if (streq(state, "active"))
        vitals_look_soon(&entry->vitals, now);
    pthread_mutex_unlock(&entry->lock);
}

static usec_t tick_entry(struct roster *roster, struct roster_upstream *upstream, struct roster_entry *entry,
                         usec_t now)
{
    const struct roster_target *target = atomic_load(&entry->target);
    if (!target)
        return USEC_INFINITY;
    pthread_mutex_lock(&entry->lock);
    const enum breaker_state before = atomic_load(&entry->breaker_state);
    entry_publish(entry, now);
    const enum breaker_state after = atomic_load(&entry->breaker_state);
    const usec_t next = breaker_next(entry->breaker, now);
    pthread_mutex_unlock(&entry->lock);
    note_time(roster, upstream, &target->config, before, after, now);
    return next;
}

usec_t roster_tick(struct roster *roster, usec_t now)
{
    usec_t next = USEC_INFINITY;

    for (size_t i = 0; i < roster->options.config->n_upstreams; i++) {
        struct roster_upstream *upstream = &roster->upstreams[i];
        const unsigned n = atomic_load(&upstream->n_slots);
        if (upstream->config->breaker.window == BREAKER_OFF)
            continue;
        for (unsigned j = 0; j < n; j++)
            next = usec_min(next, tick_entry(roster, upstream, &upstream->entries[j], now));
    }
    return next;
}
