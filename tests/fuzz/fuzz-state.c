/* Any JSON as what a generation leaves to the next: counters do not go down, no target comes that nobody
 * named, and what one generation has taken up the next takes up from it. */

#include "config/address.h"
#include "gateway/state.h"
#include "metrics/transfer.h"
#include "router/method.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define APP_SLOTS 6

static struct listener_config listeners[] = {{.name = (char *)"http", .index = 0}};
static struct target_config targets[] = {
    {.index = 0, .weight = 1},
    {.address.text = (char *)"app.example.com:80",
     .index = 1,
     .weight = 2}, /* a name: others come in its place */
};
static struct upstream_config app = {.name = (char *)"app",
                                     .index = 0,
                                     .targets = targets,
                                     .n_targets = 2,
                                     .n_slots = APP_SLOTS,
                                     .breaker = {.window = BREAKER_COUNT,
                                                 .size = 10,
                                                 .minimum_calls = 5,
                                                 .failure_rate = 50,
                                                 .slow_rate = 100,
                                                 .slow_call = USEC_PER_SEC,
                                                 .open = USEC_PER_SEC,
                                                 .half_open = 2},
                                     .health = {.check = HEALTH_CHECK_CONNECT,
                                                .interval = USEC_PER_SEC,
                                                .timeout = USEC_PER_SEC,
                                                .rise = 1,
                                                .fall = 1,
                                                .max_failures = 3}};
static struct upstream_config plain = {.name = (char *)"plain", .index = 1, .n_slots = 2};
static struct upstream_config *upstreams[] = {&app, &plain};
static struct rate_limit_config limit = {
    .rate = {10, 20, USEC_PER_SEC}, .text = (char *)"10/s burst=20 by=client", .name = (char *)"client"};
static struct route_config hello = {.pattern = (char *)"/hello",
                                    .index = 0,
                                    .methods = METHOD_ALL,
                                    .kind = ROUTE_RESPOND,
                                    .respond.status = 200,
                                    .rate_limits = &limit,
                                    .n_rate_limits = 1};
static struct route_config *routes[] = {&hello};
static struct config config = {.gateway.threads = 1,
                               .listeners = listeners,
                               .n_listeners = 1,
                               .upstreams = upstreams,
                               .n_upstreams = 2,
                               .routes = routes,
                               .n_routes = 1,
                               .n_rate_limits = 1,
                               .gateway.rate_clients = 1024};

/* What a process has of it. */
struct process {
    struct lineage lineage;
    struct plan plan;
    struct state_parts parts;
};

static struct tls_config *no_tls[1];

/* What no initialiser can say. */
static void complete_config(void)
{
    const char *problem = address_parse("127.0.0.1:9001", false, &targets[0].address);
    assert(!problem);
}

static void process_init(struct process *process)
{
    *process = (struct process){.plan = {.config = &config, .tls = no_tls}};
    process->parts =
        (struct state_parts){.plan = &process->plan,
                             .roster = roster_new(&(struct roster_options){.config = &config}, 0),
                             .lineage = &process->lineage,
                             .metrics = metrics_new(&config, 1),
                             .rate_limits = rate_limits_new(&config)};
}

static void process_deinit(struct process *process)
{
    roster_free(process->parts.roster);
    metrics_free(process->parts.metrics);
    rate_limits_free(process->parts.rate_limits);
}

static void check_targets(struct roster *roster, const struct upstream_config *upstream)
{
    const unsigned n = roster_n_slots(roster, upstream);

    assert(n <= upstream->n_slots);
    for (unsigned i = 0; i < n; i++) {
        struct roster_view view;
        if (!roster_view(roster, upstream, i, now_monotonic(), &view))
            continue;
        assert(view.target->index == i && view.weight <= 256 && view.active == 0);
        assert((view.origin == TARGET_CONFIGURED) == (i < upstream->n_targets));
        assert(view.target->address.size > 0 || view.origin == TARGET_CONFIGURED);
        assert(!view.ready || (view.weight > 0 && view.wanted == WANTED_READY));
        assert(view.figures.failed <= view.figures.calls);
        for (unsigned j = 0; j < i; j++) { /* none is there twice */
            struct roster_view other;
            if (roster_view(roster, upstream, j, now_monotonic(), &other))
                assert(!streq(view.target->address.text, other.target->address.text));
        }
    }
}

static void import(const struct state_parts *parts, const json_t *document)
{
    struct metrics_totals before, after;

    metrics_totals(parts->metrics, &before);
    state_import(parts, document, STATE_ALL);
    metrics_totals(parts->metrics, &after);
    assert(after.requests >= before.requests && after.cut >= before.cut &&
           after.in_flight == before.in_flight);
    assert(parts->lineage->n_history <= LINEAGE_HISTORY);
    for (size_t i = 0; i < parts->lineage->n_history; i++)
        for (const char *p = parts->lineage->history[i].release; *p; p++)
            assert(*p > 0x20 && *p < 0x7f);
    for (size_t i = 0; i < config.n_upstreams; i++)
        check_targets(parts->roster, config.upstreams[i]);
}

/* The next process knows all that this one does. */
static void check_next(const struct state_parts *parts)
{
    struct process next;
    struct metrics_totals totals, next_totals;

    process_init(&next);
    json_t *document = state_export(parts, 7, STATE_ALL);
    import(&next.parts, document);
    metrics_totals(parts->metrics, &totals);
    metrics_totals(next.parts.metrics, &next_totals);
    assert(next_totals.requests == totals.requests && next_totals.cut == totals.cut);

    json_t *wanted = roster_export_wanted(next.parts.roster), *lineage = lineage_export(&next.lineage);
    assert(json_equal(wanted, json_object_get(document, "wanted")));
    assert(json_equal(lineage, json_object_get(document, "lineage")));
    json_t *rates = rate_limits_export(next.parts.rate_limits, true, now_monotonic());
    assert(json_equal(json_object_get(rates, "secret"),
                      json_object_get(json_object_get(document, "rates"), "secret")));
    json_decref(rates);
    json_decref(wanted);
    json_decref(lineage);
    json_decref(document);
    process_deinit(&next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *document = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    struct process process;

    if (!document)
        return 0;
    if (!targets[0].address.sockaddr.ss_family)
        complete_config();
    process_init(&process);
    import(&process.parts, document);
    check_next(&process.parts);
    import(&process.parts, document); /* again, as the file of the operator's wishes is read again */
    process_deinit(&process);
    json_decref(document);
    return 0;
}
