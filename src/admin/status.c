#include "admin/reply.h"
#include "admin/verbs.h"

/* The counters of a class of statuses, [0] being the requests whose client went away before one. */
static json_t *classes_json(const uint64_t by_class[6])
{
    static const char *const names[] = {"aborted", "1xx", "2xx", "3xx", "4xx", "5xx"};
    json_t *classes = json_object();
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        json_object_set_new(classes, names[i], reply_json_u64(by_class[i]));
    return classes;
}

static json_t *totals_json(const struct metrics *metrics, const struct admin_snapshot *snapshot)
{
    struct metrics_totals totals;
    metrics_totals(metrics, &totals);
    json_t *object = json_object();
    json_object_set_new(object, "requests", reply_json_u64(totals.requests));
    json_object_set_new(object, "in_flight", reply_json_u64(totals.in_flight));
    json_object_set_new(object, "connections", reply_json_u64(totals.connections));
    json_object_set_new(object, "cut", reply_json_u64(totals.cut));
    json_object_set_new(object, "by_class", classes_json(totals.by_class));
    json_object_set_new(object, "journal_dropped", reply_json_u64(snapshot->journal_dropped));
    return object;
}

static json_t *workers_json(const struct admin_snapshot *snapshot)
{
    json_t *list = json_array();
    for (size_t i = 0; i < snapshot->n_workers; i++) {
        json_t *worker = json_object();
        json_object_set_new(worker, "worker", reply_json_u64(i));
        json_object_set_new(worker, "accepting", json_boolean(snapshot->workers[i].accepting));
        json_object_set_new(worker, "connections", reply_json_u64(snapshot->workers[i].connections));
        json_object_set_new(worker, "idle", reply_json_u64(snapshot->workers[i].idle));
        json_object_set_new(worker, "in_flight", reply_json_u64(snapshot->workers[i].requests));
        json_object_set_new(worker, "turns", reply_json_u64(snapshot->workers[i].turns));
        json_array_append_new(list, worker);
    }
    return list;
}

static json_t *addresses_json(const struct admin_snapshot *snapshot, const char *name)
{
    json_t *list = json_array();
    for (size_t i = 0; i < snapshot->n_descriptors; i++)
        if (streq(snapshot->descriptors[i].name, name))
            json_array_append_new(list, reply_json_string(snapshot->descriptors[i].address));
    return list;
}

static json_t *protocols_json(const uint64_t by_protocol[_METRICS_PROTOCOL_MAX])
{
    json_t *object = json_object();
    for (int p = 0; p < _METRICS_PROTOCOL_MAX; p++)
        json_object_set_new(object, metrics_protocol_to_string((enum metrics_protocol)p),
                            reply_json_u64(by_protocol[p]));
    return object;
}

static const char *listener_protocol_name(enum listener_protocol protocol)
{
    switch (protocol) {
    case LISTENER_HTTP:
        return "http";
    case LISTENER_HTTPS:
        return "https";
    case _LISTENER_PROTOCOL_MAX:
    default:
        WRONG("listener protocol");
    }
}

static json_t *listeners_json(const struct admin_options *options, const struct admin_snapshot *snapshot)
{
    json_t *list = json_array();
    for (size_t i = 0; i < options->config->n_listeners; i++) {
        const struct listener_config *listener = &options->config->listeners[i];
        struct metrics_listener_totals totals;
        metrics_listener_totals(options->metrics, listener, &totals);
        json_t *object = json_object();
        json_object_set_new(object, "name", reply_json_string(listener->name));
        json_object_set_new(object, "protocol", json_string(listener_protocol_name(listener->protocol)));
        json_object_set_new(object, "addresses", addresses_json(snapshot, listener->name));
        json_object_set_new(object, "connections", protocols_json(totals.connections));
        json_object_set_new(object, "accepted", protocols_json(totals.accepted));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *methods_json(uint32_t methods)
{
    json_t *list = json_array();
    if (methods == METHOD_ALL)
        json_array_append_new(list, json_string("*"));
    for (int m = 0; methods != METHOD_ALL && m < _METHOD_MAX; m++)
        if (methods & METHOD_BIT(m))
            json_array_append_new(list, json_string(method_to_string((enum method)m)));
    return list;
}

/* What a route leads to. */
static void set_destination(json_t *object, const struct route_config *route)
{
    switch (route->kind) {
    case ROUTE_UPSTREAM:
        json_object_set_new(object, "upstream", reply_json_string(route->upstream->name));
        return;
    case ROUTE_STATIC:
        json_object_set_new(object, "static", reply_json_string(route->files.root));
        return;
    case ROUTE_RESPOND:
        json_object_set_new(object, "respond", json_integer(route->respond.status));
        return;
    case ROUTE_REDIRECT:
        json_object_set_new(object, "redirect", reply_json_string(route->respond.location));
        return;
    default:
        WRONG("route kind");
    }
}

static json_t *route_json(const struct metrics *metrics, const struct route_config *route)
{
    struct metrics_route_totals totals;
    metrics_route_totals(metrics, route, &totals);
    json_t *object = json_object();
    json_object_set_new(object, "route", route ? reply_json_string(route->pattern) : json_null());
    if (route) {
        json_object_set_new(object, "methods", methods_json(route->methods));
        set_destination(object, route);
    }
    json_object_set_new(object, "requests", reply_json_u64(totals.requests));
    json_object_set_new(object, "by_class", classes_json(totals.by_class));
    json_object_set_new(object, "bytes_in", reply_json_u64(totals.bytes_in));
    json_object_set_new(object, "bytes_out", reply_json_u64(totals.bytes_out));
    reply_set_durations(object, &totals.duration);
    return object;
}

/* All routes in the order of the configuration, and last, as null, what none of them took. */
static json_t *routes_json(const struct admin_options *options)
{
    json_t *list = json_array();
    for (size_t i = 0; i < options->config->n_routes; i++)
        json_array_append_new(list, route_json(options->metrics, options->config->routes[i]));
    json_array_append_new(list, route_json(options->metrics, NULL));
    return list;
}

static json_t *lineage_json(const struct admin_snapshot *snapshot)
{
    const struct metrics_lineage *lineage = &snapshot->lineage;
    json_t *object = json_object();
    json_object_set_new(object, "reloads", reply_json_u64(lineage->reloads));
    json_object_set_new(object, "reloads_failed", reply_json_u64(lineage->reloads_failed));
    json_object_set_new(object, "restarts", reply_json_u64(lineage->restarts));
    json_object_set_new(object, "crashes", reply_json_u64(lineage->crashes));
    json_object_set_new(object, "connections_moved", reply_json_u64(lineage->moved));
    json_object_set_new(object, "connections_parked", reply_json_u64(lineage->parked));
    json_object_set_new(object, "connections_not_moved", reply_json_u64(lineage->closed));
    json_object_set_new(object, "last_start_usec", reply_json_u64(lineage->last_start));
    json_object_set_new(object, "last_hand_over_usec", reply_json_u64(lineage->last_hand_over));
    return object;
}

static json_t *draining_json(const struct admin_snapshot *snapshot)
{
    json_t *list = json_array();
    for (size_t i = 0; i < snapshot->n_draining; i++) {
        const struct admin_draining *draining = &snapshot->draining[i];
        json_t *object = json_object();
        json_object_set_new(object, "generation", reply_json_u64(draining->generation));
        json_object_set_new(object, "in_flight", reply_json_u64(draining->requests));
        json_object_set_new(object, "connections", reply_json_u64(draining->connections));
        json_object_set_new(object, "left_usec",
                            draining->left == USEC_INFINITY ? json_null() : reply_json_u64(draining->left));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *history_json(const struct admin_snapshot *snapshot)
{
    json_t *list = json_array();
    for (size_t i = 0; i < snapshot->n_history; i++) {
        const struct admin_generation *generation = &snapshot->history[i];
        json_t *object = json_object();
        json_object_set_new(object, "generation", reply_json_u64(generation->generation));
        json_object_set_new(object, "origin", reply_json_string(generation->origin));
        json_object_set_new(object, "version", reply_json_string(generation->release));
        json_object_set_new(object, "started_usec", reply_json_u64(generation->started_realtime));
        json_array_append_new(list, object);
    }
    return list;
}

void admin_status(const struct admin *admin, const struct handler_request *request,
                  struct handler_reply *reply)
{
    const struct admin_options *options = &admin->options;
    struct admin_snapshot snapshot;
    admin_take_snapshot(admin, &snapshot);

    json_t *status = json_object();
    json_object_set_new(status, "state", json_string(admin_state_to_string(snapshot.state)));
    json_object_set_new(status, "status", reply_json_string(snapshot.status_text));
    json_object_set_new(status, "version", reply_json_string(snapshot.version));
    json_object_set_new(status, "generation", reply_json_u64(snapshot.generation));
    json_object_set_new(status, "pid", json_integer(getpid()));
    json_object_set_new(status, "started_usec", reply_json_u64(snapshot.started_realtime));
    json_object_set_new(status, "uptime_usec", reply_json_u64(snapshot.uptime));
    json_object_set_new(status, "drain_left_usec",
                        snapshot.state == ADMIN_DRAINING && snapshot.drain_deadline != USEC_INFINITY
                            ? reply_json_u64(snapshot.drain_deadline)
                            : json_null());
    json_object_set_new(status, "totals", totals_json(options->metrics, &snapshot));
    json_object_set_new(status, "succession", lineage_json(&snapshot));
    json_object_set_new(status, "draining", draining_json(&snapshot));
    json_object_set_new(status, "generations", history_json(&snapshot));
    json_object_set_new(status, "workers", workers_json(&snapshot));
    json_object_set_new(status, "listeners", listeners_json(options, &snapshot));
    json_object_set_new(status, "routes", routes_json(options));
    json_object_set_new(status, "upstreams", admin_upstreams_json(options));
    reply_json(reply, 200, status);
}
