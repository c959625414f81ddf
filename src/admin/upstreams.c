#include "admin/reply.h"
#include "admin/verbs.h"

/* As it is written in the configuration. */
static json_t *balance_json(const struct upstream_config *upstream)
{
    char text[320];
    switch (upstream->balance.how) {
    case BALANCE_ROUND_ROBIN:
        return json_string("round-robin");
    case BALANCE_LEAST_CONNECTIONS:
        return json_string("least-connections");
    case BALANCE_RANDOM_TWO:
        return json_string("random-two");
    case BALANCE_HASH:
        if (upstream->balance.hash_by == HASH_BY_CLIENT)
            return json_string("hash client");
        snprintf(text, sizeof(text), "hash %s:%s",
                 upstream->balance.hash_by == HASH_BY_HEADER ? "header" : "cookie",
                 upstream->balance.hash_name);
        return reply_json_string(text);
    case _BALANCE_MAX:
    default:
        WRONG("balance");
    }
}

/* A percentage, or null while too little is known. */
static json_t *rate_json(double rate)
{
    return rate < 0 ? json_null() : json_real(rate);
}

static json_t *breaker_json(const struct roster_view *view)
{
    if (!view->has_breaker)
        return json_null();
    json_t *object = json_object();
    json_object_set_new(object, "state", json_string(breaker_state_to_string(view->breaker)));
    json_object_set_new(object, "calls", reply_json_u64(view->figures.calls));
    json_object_set_new(object, "failed", reply_json_u64(view->figures.failed));
    json_object_set_new(object, "slow", reply_json_u64(view->figures.slow));
    json_object_set_new(object, "failure_rate", rate_json(view->figures.failure_rate));
    json_object_set_new(object, "slow_rate", rate_json(view->figures.slow_rate));
    return object;
}

static json_t *unit_json(const struct roster_view *view)
{
    if (!view->target->unit)
        return json_null();
    json_t *object = json_object();
    json_object_set_new(object, "name", reply_json_string(view->target->unit));
    json_object_set_new(object, "state", *view->unit ? reply_json_string(view->unit) : json_null());
    return object;
}

static void set_counters(json_t *object, const struct metrics_target_totals *totals)
{
    json_t *outcomes = json_object();
    for (int i = 0; i < _METRICS_TRY_MAX; i++)
        json_object_set_new(outcomes, metrics_try_to_string((enum metrics_try)i),
                            reply_json_u64(totals->by_outcome[i]));
    json_object_set_new(object, "tries", reply_json_u64(totals->tries));
    json_object_set_new(object, "by_outcome", outcomes);
    json_object_set_new(object, "reused", reply_json_u64(totals->reused));
    json_object_set_new(object, "idle", reply_json_u64(totals->idle));
    reply_set_durations(object, &totals->duration);
}

json_t *admin_target_json(const struct admin_options *options, const struct upstream_config *upstream,
                          unsigned slot)
{
    struct roster_view view;
    if (!roster_view(options->roster, upstream, slot, now_monotonic(), &view))
        return NULL;
    struct metrics_target_totals totals;
    metrics_target_totals(options->metrics, upstream, view.target, &totals);

    json_t *object = json_object();
    json_object_set_new(object, "address", reply_json_string(view.target->address.text));
    json_object_set_new(object, "origin", json_string(target_origin_to_string(view.origin)));
    json_object_set_new(object, "ready", json_boolean(view.ready));
    json_object_set_new(object, "why", reply_json_string(view.why));
    json_object_set_new(object, "wanted", json_string(wanted_to_string(view.wanted)));
    json_object_set_new(object, "observed", json_string(observed_to_string(view.observed)));
    json_object_set_new(object, "up", json_boolean(view.observed != OBSERVED_DOWN));
    json_object_set_new(object, "breaker", breaker_json(&view));
    json_object_set_new(object, "unit", unit_json(&view));
    json_object_set_new(object, "weight", reply_json_u64(view.weight));
    json_object_set_new(object, "active", reply_json_u64(view.active));
    json_object_set_new(object, "connections", reply_json_u64(view.connections));
    set_counters(object, &totals);
    return object;
}

json_t *admin_upstream_json(const struct admin_options *options, const struct upstream_config *upstream)
{
    json_t *hold = json_object();
    json_object_set_new(hold, "timeout_usec", reply_json_u64(upstream->hold));
    json_object_set_new(hold, "max", reply_json_u64(upstream->hold_max));
    json_object_set_new(hold, "max_bytes", reply_json_u64(upstream->hold_max_size));
    json_object_set_new(hold, "rate", reply_json_u64(upstream->hold_rate));

    json_t *targets = json_array();
    for (unsigned slot = 0; slot < roster_n_slots(options->roster, upstream); slot++) {
        json_t *target = admin_target_json(options, upstream, slot);
        if (target)
            json_array_append_new(targets, target);
    }
    json_t *object = json_object();
    json_object_set_new(object, "name", reply_json_string(upstream->name));
    json_object_set_new(object, "paused", json_boolean(roster_is_paused(options->roster, upstream)));
    json_object_set_new(object, "balance", balance_json(upstream));
    json_object_set_new(object, "held", reply_json_u64(roster_held(options->roster, upstream)));
    json_object_set_new(object, "held_bytes", reply_json_u64(roster_held_size(options->roster, upstream)));
    json_object_set_new(object, "hold", hold);
    json_object_set_new(object, "targets", targets);
    return object;
}

json_t *admin_upstreams_json(const struct admin_options *options)
{
    json_t *list = json_array();
    for (size_t i = 0; i < options->config->n_upstreams; i++)
        json_array_append_new(list, admin_upstream_json(options, options->config->upstreams[i]));
    return list;
}

void admin_upstreams(const struct admin *admin, const struct handler_request *request,
                     struct handler_reply *reply)
{
    json_t *object = json_object();
    json_object_set_new(object, "upstreams", admin_upstreams_json(&admin->options));
    reply_json(reply, 200, object);
}
