/* Any JSON as what a generation leaves to the next: counters do not go down, and everything can be written
 * again. */

#include "gateway/state.h"
#include "router/method.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct listener_config listeners[] = {{.name = (char *)"http", .index = 0}};
static struct target_config targets[] = {{.address.text = (char *)"127.0.0.1:9001", .index = 0, .weight = 1}};
static struct upstream_config app = {.name = (char *)"app", .index = 0, .targets = targets, .n_targets = 1};
static struct upstream_config *upstreams[] = {&app};
static struct route_config hello = {.pattern = (char *)"/hello",
                                    .index = 0,
                                    .methods = METHOD_ALL,
                                    .kind = ROUTE_RESPOND,
                                    .respond.status = 200};
static struct route_config *routes[] = {&hello};
static struct config config = {.gateway.threads = 1,
                               .listeners = listeners,
                               .n_listeners = 1,
                               .upstreams = upstreams,
                               .n_upstreams = 1,
                               .routes = routes,
                               .n_routes = 1};

static void check(const struct state_parts *parts, const json_t *document)
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *document = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    if (!document)
        return 0;
    struct tls_config *no_tls[] = {NULL};
    struct plan plan = {.config = &config, .tls = no_tls};
    struct lineage lineage = {0};
    const struct state_parts parts = {.plan = &plan,
                                      .roster = roster_new(&(struct roster_options){.config = &config}, 0),
                                      .lineage = &lineage,
                                      .metrics = metrics_new(&config, 1)};
    check(&parts, document);
    json_t *own = state_export(&parts, 7, STATE_ALL);
    check(&parts, own);
    check(&parts, document);
    json_decref(own);
    json_decref(document);
    roster_free(parts.roster);
    metrics_free(parts.metrics);
    return 0;
}
