#include <time.h>

#include "ctl/client.h"
#include "ctl/columns.h"

static enum colour colour_of_state(const char *state)
{
    return streq(state, "running") ? COLOUR_GREEN : COLOUR_YELLOW;
}

static uint64_t sum_of(const json_t *object)
{
    uint64_t sum = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) sum += json_get_u64(object, key);
    return sum;
}

static void print_head(const struct ctl_options *options, const json_t *status)
{
    char uptime[FORMAT_DURATION_MAX], left[FORMAT_DURATION_MAX];
    const char *state = json_get_string(status, "state");
    const json_t *totals = json_object_get(status, "totals");

    printf("holdfast ");
    print_coloured(options, COLOUR_NONE, json_get_string(status, "version"));
    printf(": ");
    print_coloured(options, colour_of_state(state), state);
    printf(", generation %" PRIu64 ", pid %" PRIu64 ", up %s\n", json_get_u64(status, "generation"),
           json_get_u64(status, "pid"), json_format_usec(uptime, status, "uptime_usec"));
    if (json_is_string(json_object_get(status, "status"))) {
        printf("Status: ");
        print_coloured(options, COLOUR_NONE, json_get_string(status, "status"));
        putchar('\n');
    }
    if (json_is_integer(json_object_get(status, "drain_left_usec")))
        printf("Drain: what is still running is cut in %s\n",
               json_format_usec(left, status, "drain_left_usec"));
    printf("Requests: %" PRIu64 " done, %" PRIu64 " in flight, %" PRIu64 " cut\n",
           json_get_u64(totals, "requests"), json_get_u64(totals, "in_flight"), json_get_u64(totals, "cut"));
    printf("Connections: %" PRIu64 " open\n", json_get_u64(totals, "connections"));
}

static void print_listeners(const struct ctl_options *options, const json_t *listeners)
{
    static const struct table_column columns[] = {
        {"LISTENER"}, {"PROTOCOL"}, {"ADDRESSES"}, {"OPEN", true}, {"ACCEPTED", true}};
    _cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
    size_t i, j;
    json_t *listener, *address;
    json_array_foreach(listeners, i, listener)
    {
        _cleanup_strbuf_ struct strbuf addresses = STRBUF_INIT;
        json_array_foreach(json_object_get(listener, "addresses"), j, address)
            strbuf_addf(&addresses, "%s%s", j > 0 ? "," : "", json_string_value(address) ?: "-");
        table_add(table, COLOUR_NONE, "%s", json_get_string(listener, "name"));
        table_add(table, COLOUR_NONE, "%s", json_get_string(listener, "protocol"));
        table_add(table, COLOUR_NONE, "%s", addresses.size > 0 ? addresses.data : "-");
        column_count(table, sum_of(json_object_get(listener, "connections")));
        column_count(table, sum_of(json_object_get(listener, "accepted")));
    }
    table_print(table, options);
}

static void print_workers(const struct ctl_options *options, const json_t *workers)
{
    static const struct table_column columns[] = {
        {"WORKER", true}, {"ACCEPTING"}, {"CONNECTIONS", true}, {"IDLE", true}, {"IN FLIGHT", true}};
    _cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
    size_t i;
    json_t *worker;
    json_array_foreach(workers, i, worker)
    {
        bool accepting = json_is_true(json_object_get(worker, "accepting"));
        column_count(table, json_get_u64(worker, "worker"));
        table_add(table, accepting ? COLOUR_NONE : COLOUR_YELLOW, "%s", accepting ? "yes" : "no");
        column_count(table, json_get_u64(worker, "connections"));
        column_count(table, json_get_u64(worker, "idle"));
        column_count(table, json_get_u64(worker, "in_flight"));
    }
    table_print(table, options);
}

/* Where a route leads, in a word or two. */
static void add_destination(struct table *table, const json_t *route)
{
    static const char *const kinds[] = {"upstream", "static", "redirect"};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (json_is_string(json_object_get(route, kinds[i]))) {
            table_add(table, COLOUR_NONE, "%s %s", kinds[i], json_get_string(route, kinds[i]));
            return;
        }
    if (json_is_integer(json_object_get(route, "respond")))
        table_add(table, COLOUR_NONE, "respond %" PRIu64, json_get_u64(route, "respond"));
    else
        table_add(table, COLOUR_NONE, "-");
}

static void print_routes(const struct ctl_options *options, const json_t *routes)
{
    static const struct table_column columns[] = {
        {"ROUTE"},     {"TO"},        {"REQUESTS", true}, {"2XX", true}, {"3XX", true},
        {"4XX", true}, {"5XX", true}, {"ABORTED", true},  {"P50", true}, {"P99", true}};
    _cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
    size_t i;
    json_t *route;
    json_array_foreach(routes, i, route)
    {
        const json_t *classes = json_object_get(route, "by_class");
        bool is_named = json_is_string(json_object_get(route, "route"));
        if (!is_named && json_get_u64(route, "requests") == 0)
            continue;
        table_add(table, COLOUR_NONE, "%s", is_named ? json_get_string(route, "route") : "(none)");
        add_destination(table, route);
        column_count(table, json_get_u64(route, "requests"));
        column_count(table, json_get_u64(classes, "2xx"));
        column_count(table, json_get_u64(classes, "3xx"));
        column_count(table, json_get_u64(classes, "4xx"));
        column_failures(table, json_get_u64(classes, "5xx"));
        column_count(table, json_get_u64(classes, "aborted"));
        column_quantiles(table, route, json_get_u64(route, "requests"));
    }
    table_print(table, options);
}

static void print_upstreams(const struct ctl_options *options, const json_t *upstreams)
{
    static const struct table_column columns[] = {
        {"UPSTREAM"},     {"TARGET"},       {"STATE"},      {"WEIGHT", true}, {"TRIES", true},
        {"FAILED", true}, {"REUSED", true}, {"IDLE", true}, {"P50", true},    {"P99", true}};
    _cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
    size_t i, j;
    json_t *upstream, *target;
    json_array_foreach(upstreams, i, upstream)
    {
        json_array_foreach(json_object_get(upstream, "targets"), j, target)
        {
            table_add(table, COLOUR_NONE, "%s", json_get_string(upstream, "name"));
            table_add(table, COLOUR_NONE, "%s", json_get_string(target, "address"));
            column_observed(table, target);
            column_count(table, json_get_u64(target, "weight"));
            column_count(table, json_get_u64(target, "tries"));
            column_failures(table, failed_tries(target));
            column_count(table, json_get_u64(target, "reused"));
            column_count(table, json_get_u64(target, "idle"));
            column_quantiles(table, target, json_get_u64(target, "tries"));
        }
    }
    table_print(table, options);
}

static void print_draining(const struct ctl_options *options, const json_t *draining)
{
    static const struct table_column columns[] = {
        {"DRAINING", true}, {"IN FLIGHT", true}, {"CONNECTIONS", true}, {"CUT IN", true}};
    _cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
    char left[FORMAT_DURATION_MAX];
    size_t i;
    json_t *generation;
    json_array_foreach(draining, i, generation)
    {
        const bool limited = json_is_integer(json_object_get(generation, "left_usec"));
        table_add(table, COLOUR_NONE, "%" PRIu64, json_get_u64(generation, "generation"));
        column_count(table, json_get_u64(generation, "in_flight"));
        column_count(table, json_get_u64(generation, "connections"));
        table_add(table, COLOUR_NONE, "%s",
                  limited ? json_format_usec(left, generation, "left_usec") : "never");
    }
    table_print(table, options);
}

static void add_time(struct table *table, uint64_t realtime)
{
    char text[64] = "-";
    const time_t seconds = (time_t)(realtime / USEC_PER_SEC);
    struct tm tm;
    if (realtime > 0 && localtime_r(&seconds, &tm))
        strftime(text, sizeof(text), "%F %T", &tm);
    table_add(table, COLOUR_NONE, "%s", text);
}

static void print_generations(const struct ctl_options *options, const json_t *generations)
{
    static const struct table_column columns[] = {{"GENERATION", true}, {"BY"}, {"VERSION"}, {"STARTED"}};
    _cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
    size_t i;
    json_t *generation;
    json_array_foreach(generations, i, generation)
    {
        const char *origin = json_get_string(generation, "origin");
        table_add(table, COLOUR_NONE, "%" PRIu64, json_get_u64(generation, "generation"));
        table_add(table, streq(origin, "crash") ? COLOUR_RED : COLOUR_NONE, "%s", origin);
        table_add(table, COLOUR_NONE, "%s", json_get_string(generation, "version"));
        add_time(table, json_get_u64(generation, "started_usec"));
    }
    table_print(table, options);
}

static void print_status(const struct ctl_options *options, const json_t *status)
{
    static const struct {
        const char *key;
        void (*print)(const struct ctl_options *options, const json_t *list);
    } sections[] = {
        {"listeners", print_listeners}, {"workers", print_workers},   {"routes", print_routes},
        {"upstreams", print_upstreams}, {"draining", print_draining}, {"generations", print_generations},
    };
    print_head(options, status);
    for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
        const json_t *list = json_object_get(status, sections[i].key);
        if (json_array_size(list) == 0)
            continue;
        putchar('\n');
        sections[i].print(options, list);
    }
}

int ctl_status(const struct ctl_options *options, char **arguments)
{
    _cleanup_strbuf_ struct strbuf reason = STRBUF_INIT;
    struct client_answer answer = {0};
    int result = CTL_FAILED;

    if (client_get_or_tell(options, "/v1/status", &answer) == 0) {
        json_t *status = client_parse(options, &answer, &reason);
        if (!status) {
            ctl_error("%s", strbuf_string(&reason));
        } else {
            if (options->json)
                json_print(status);
            else
                print_status(options, status);
            result = CTL_OK;
        }
        json_decref(status);
    }
    strbuf_deinit(&answer.body);
    return result;
}
