/* The roster as documents, for the state directory and the next process, and as a view for people. Documents
 * are hostile: what is not understood is passed over. */

#include "config/address.h"
#include "upstream/roster_internal.h"

/* --- wanted -----------------------------------------------------------------------------------------------
 */

static json_t *describe_wanted(const struct roster_entry *entry, const struct roster_target *target)
{
    json_t *value = json_object();
    const enum wanted wanted = atomic_load(&entry->wanted);
    const unsigned weight = atomic_load(&entry->weight);

    if (target->origin == TARGET_ADDED)
        json_object_set_new(value, "added", json_true());
    if (wanted != WANTED_READY)
        json_object_set_new(value, "wanted", json_string(wanted_to_string(wanted)));
    if (weight != target->config.weight || target->origin == TARGET_ADDED)
        json_object_set_new(value, "weight", json_integer(weight));
    if (json_object_size(value) > 0)
        return value;
    json_decref(value);
    return NULL;
}

json_t *roster_export_wanted(const struct roster *roster)
{
    json_t *document = json_object();

    for (size_t i = 0; i < roster->options.config->n_upstreams; i++) {
        const struct roster_upstream *upstream = &roster->upstreams[i];
        json_t *targets = json_object(), *value = json_object();
        for (unsigned j = 0; j < atomic_load(&upstream->n_slots); j++) {
            const struct roster_entry *entry = &upstream->entries[j];
            const struct roster_target *target = atomic_load(&entry->target);
            json_t *wanted = target ? describe_wanted(entry, target) : NULL;
            if (wanted)
                json_object_set_new(targets, target->config.address.text, wanted);
        }
        json_object_update_missing(targets, upstream->absent);
        if (atomic_load(&upstream->paused))
            json_object_set_new(value, "paused", json_true());
        if (json_object_size(targets) > 0)
            json_object_set(value, "targets", targets);
        if (json_object_size(value) > 0)
            json_object_set(document, upstream->config->name, value);
        json_decref(targets);
        json_decref(value);
    }
    return document;
}

static bool read_weight(const json_t *value, unsigned *ret)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > 256)
        return false;
    *ret = (unsigned)json_integer_value(value);
    return true;
}

/* What is told of a target; what is not, or makes no sense, is as configured. */
static void read_wanted(const json_t *told, const struct target_config *config, enum wanted *ret_wanted,
                        unsigned *ret_weight)
{
    const char *word = json_string_value(json_object_get(told, "wanted"));
    const enum wanted wanted = word ? wanted_from_string(word) : WANTED_READY;
    *ret_wanted = wanted == _WANTED_MAX ? WANTED_READY : wanted;
    *ret_weight = config->weight;
    (void)read_weight(json_object_get(told, "weight"), ret_weight);
}

static bool has_names(const struct upstream_config *upstream)
{
    for (size_t i = 0; i < upstream->n_targets; i++)
        if (upstream->targets[i].address.size == 0)
            return true;
    return false;
}

/* Of each address that may yet come, what makes sense. No more of them than there can be targets. */
static void import_absent(const struct roster *roster, struct roster_upstream *upstream,
                          const json_t *targets)
{
    const char *address;
    json_t *told;

    json_object_clear(upstream->absent);
    if (!has_names(upstream->config))
        return;
    json_object_foreach((json_t *)targets, address, told)
    {
        const char *word = json_string_value(json_object_get(told, "wanted"));
        unsigned weight;
        if (json_object_size(upstream->absent) >= UPSTREAM_SLOTS_LIMIT)
            return;
        if (roster_find(roster, upstream->config, address) || json_is_true(json_object_get(told, "added")))
            continue;
        json_t *value = json_object();
        if (word && wanted_from_string(word) != _WANTED_MAX)
            json_object_set_new(value, "wanted", json_string(word));
        if (read_weight(json_object_get(told, "weight"), &weight))
            json_object_set_new(value, "weight", json_integer(weight));
        if (json_object_size(value) > 0)
            json_object_set(upstream->absent, address, value);
        json_decref(value);
    }
}

void upstream_remember_wanted(struct roster_upstream *upstream, const struct roster_target *target)
{
    json_t *value = describe_wanted(&upstream->entries[target->config.index], target);
    if (value && json_object_size(upstream->absent) < UPSTREAM_SLOTS_LIMIT)
        json_object_set(upstream->absent, target->config.address.text, value);
    json_decref(value);
}

void upstream_recall_wanted(struct roster_upstream *upstream, const struct roster_target *target)
{
    struct roster_entry *entry = &upstream->entries[target->config.index];
    const json_t *told = json_object_get(upstream->absent, target->config.address.text);
    enum wanted wanted;
    unsigned weight;

    if (!told)
        return;
    read_wanted(told, &target->config, &wanted, &weight);
    atomic_store(&entry->wanted, wanted);
    atomic_store(&entry->weight, weight);
    json_object_del(upstream->absent, target->config.address.text);
}

/* The operator's own targets: those that the document has come, others go. */
static void import_added(struct roster *roster, struct roster_upstream *upstream, const json_t *targets,
                         usec_t now)
{
    const char *address;
    json_t *value;

    for (unsigned i = 0; i < atomic_load(&upstream->n_slots); i++) {
        struct roster_target *target = atomic_load(&upstream->entries[i].target);
        if (target && target->origin == TARGET_ADDED &&
            !json_is_true(json_object_get(json_object_get(targets, target->config.address.text), "added")))
            roster_remove(roster, upstream->config, &target->config);
    }
    json_object_foreach((json_t *)targets, address, value)
    {
        struct target_config config = {.weight = 1};
        _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
        if (!json_is_true(json_object_get(value, "added")) ||
            roster_find(roster, upstream->config, address) ||
            address_parse(address, false, &config.address) != NULL)
            continue;
        (void)read_weight(json_object_get(value, "weight"), &config.weight);
        if (!roster_add(roster, upstream->config, &config, TARGET_ADDED, now, &error))
            journal_log(roster->options.journal, EVENT_WARNING, "%s", strbuf_string(&error));
        target_deinit(&config);
    }
}

void roster_import_wanted(struct roster *roster, const json_t *document, usec_t now)
{
    atomic_store(&roster->importing, true);
    for (size_t i = 0; i < roster->options.config->n_upstreams; i++) {
        struct roster_upstream *upstream = &roster->upstreams[i];
        const json_t *value = json_object_get(document, upstream->config->name);
        const json_t *targets = json_object_get(value, "targets");
        import_added(roster, upstream, targets, now);
        import_absent(roster, upstream, targets);
        for (unsigned j = 0; j < atomic_load(&upstream->n_slots); j++) {
            const struct roster_target *target = atomic_load(&upstream->entries[j].target);
            if (!target)
                continue;
            enum wanted wanted;
            unsigned weight;
            read_wanted(json_object_get(targets, target->config.address.text), &target->config, &wanted,
                        &weight);
            roster_want(roster, upstream->config, &target->config, wanted);
            roster_set_weight(roster, upstream->config, &target->config, weight);
        }
        roster_pause(roster, upstream->config, json_is_true(json_object_get(value, "paused")));
    }
    atomic_store(&roster->importing, false);
}

/* --- observed ---------------------------------------------------------------------------------------------
 */

json_t *roster_export_observed(const struct roster *roster, usec_t now)
{
    json_t *document = json_object();

    for (size_t i = 0; i < roster->options.config->n_upstreams; i++) {
        const struct roster_upstream *upstream = &roster->upstreams[i];
        json_t *targets = json_object();
        for (unsigned j = 0; j < atomic_load(&upstream->n_slots); j++) {
            struct roster_entry *entry = &upstream->entries[j];
            const struct roster_target *target = atomic_load(&entry->target);
            if (!target)
                continue;
            pthread_mutex_lock(&entry->lock);
            json_t *value = vitals_export(&entry->vitals);
            /* For releases that know no more than this. */
            json_object_set_new(value, "up", json_boolean(vitals_observed(&entry->vitals) != OBSERVED_DOWN));
            if (entry->breaker)
                json_object_set_new(value, "breaker", breaker_export(entry->breaker, now));
            pthread_mutex_unlock(&entry->lock);
            if (target->of)
                json_object_set_new(value, "resolved", json_string(target->of->address.text));
            json_object_set_new(targets, target->config.address.text, value);
        }
        json_object_set_new(document, upstream->config->name, targets);
    }
    return document;
}

/* What names stood for: good until they have been looked up again. */
static void import_resolved(struct roster *roster, struct roster_upstream *upstream, const json_t *targets,
                            usec_t now)
{
    for (size_t i = 0; i < upstream->config->n_targets; i++) {
        const struct target_config *of = &upstream->config->targets[i];
        struct address_config *addresses = NULL;
        size_t n = 0;
        const char *text;
        json_t *value;
        if (of->address.size > 0)
            continue;
        json_object_foreach((json_t *)targets, text, value)
        {
            const char *name = json_string_value(json_object_get(value, "resolved"));
            struct address_config address = {0};
            if (!name || !streq(name, of->address.text) || address_parse(text, false, &address) != NULL)
                continue;
            addresses = xrealloc(addresses, n + 1, sizeof(*addresses));
            addresses[n++] = address;
        }
        if (n > 0)
            roster_resolve(roster, upstream->config, of, addresses, NULL, n, now);
        for (size_t j = 0; j < n; j++)
            free(addresses[j].text);
        free(addresses);
    }
}

void roster_import_observed(struct roster *roster, const json_t *document, usec_t now)
{
    atomic_store(&roster->importing, true);
    for (size_t i = 0; i < roster->options.config->n_upstreams; i++) {
        struct roster_upstream *upstream = &roster->upstreams[i];
        const json_t *targets = json_object_get(document, upstream->config->name);
        import_resolved(roster, upstream, targets, now);
        for (unsigned j = 0; j < atomic_load(&upstream->n_slots); j++) {
            struct roster_entry *entry = &upstream->entries[j];
            const struct roster_target *target = atomic_load(&entry->target);
            const json_t *value = target ? json_object_get(targets, target->config.address.text) : NULL;
            if (!value)
                continue;
            json_t *former =
                json_object_get(value, "observed") || !json_is_boolean(json_object_get(value, "up"))
                    ? NULL
                    : json_pack("{s: s}", "observed",
                                json_is_false(json_object_get(value, "up")) ? "down" : "unknown");
            pthread_mutex_lock(&entry->lock);
            vitals_import(&entry->vitals, former ? former : value, now);
            json_decref(former);
            breaker_import(entry->breaker, json_object_get(value, "breaker"), now);
            entry_publish(entry, now);
            pthread_mutex_unlock(&entry->lock);
        }
        upstream_changed(roster, upstream, now);
    }
    atomic_store(&roster->importing, false);
}

/* --- for people -------------------------------------------------------------------------------------------
 */

static void explain(const struct roster_upstream *upstream, const struct roster_view *view, char *why,
                    size_t size)
{
    const struct upstream_config *config = upstream->config;

    if (atomic_load(&upstream->paused))
        snprintf(why, size, "the upstream is paused");
    else if (view->wanted == WANTED_DOWN)
        snprintf(why, size, "the operator has taken it down");
    else if (view->wanted == WANTED_DRAIN)
        snprintf(why, size, "the operator drains it: %u request%s left", view->active,
                 view->active == 1 ? "" : "s");
    else if (view->observed == OBSERVED_DOWN)
        snprintf(why, size, "%s",
                 config->health.check == HEALTH_CHECK_HTTP ? "it fails its health check, or its requests"
                 : config->health.check == HEALTH_CHECK_CONNECT
                     ? "it takes no connection, or fails its requests"
                     : "its requests failed; it takes no connection yet");
    else if (view->breaker == BREAKER_OPENED)
        snprintf(why, size, "its breaker is open");
    else if (view->breaker == BREAKER_HALF_OPEN)
        snprintf(why, size, "its breaker is half-open: a few requests may try");
    else if (view->weight == 0)
        snprintf(why, size, "its weight is 0");
    else if (config->max_requests > 0 && view->active >= config->max_requests)
        snprintf(why, size, "it has all the requests that it may have at once");
    else
        why[0] = '\0';
}

bool roster_view(struct roster *roster, const struct upstream_config *upstream, unsigned slot, usec_t now,
                 struct roster_view *ret)
{
    struct roster_upstream *u = upstream_of(roster, upstream);
    struct roster_entry *entry = &u->entries[slot];
    const struct roster_target *target = atomic_load(&entry->target);

    if (!target)
        return false;
    *ret = (struct roster_view){
        .target = &target->config,
        .origin = target->origin,
        .wanted = atomic_load(&entry->wanted),
        .weight = atomic_load(&entry->weight),
        .active = atomic_load(&entry->active),
        .connections = atomic_load(&entry->connections),
    };
    pthread_mutex_lock(&entry->lock);
    ret->observed = vitals_observed(&entry->vitals);
    ret->has_breaker = entry->breaker != NULL;
    ret->breaker = breaker_state(entry->breaker, now);
    breaker_figures(entry->breaker, now, &ret->figures);
    snprintf(ret->unit, sizeof(ret->unit), "%s", entry->unit);
    pthread_mutex_unlock(&entry->lock);
    ret->ready = ret->weight > 0 && entry_is_ready(u, entry);
    explain(u, ret, ret->why, sizeof(ret->why));
    return true;
}

void roster_publish(struct roster *roster, usec_t now)
{
    static const unsigned numbers[_BREAKER_STATE_MAX] = {
        [BREAKER_CLOSED] = 0, [BREAKER_HALF_OPEN] = 1, [BREAKER_OPENED] = 2};

    for (size_t i = 0; i < roster->options.config->n_upstreams; i++) {
        const struct upstream_config *upstream = roster->options.config->upstreams[i];
        metrics_set_held(roster->options.metrics, upstream, roster_held(roster, upstream),
                         roster_held_size(roster, upstream));
        for (unsigned j = 0; j < roster_n_slots(roster, upstream); j++) {
            struct roster_view view;
            if (roster_view(roster, upstream, j, now, &view))
                metrics_set_target(roster->options.metrics, upstream, view.target, view.ready,
                                   numbers[view.breaker]);
        }
    }
}
