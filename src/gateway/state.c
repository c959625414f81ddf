#include "gateway/state.h"

#include "metrics/transfer.h"

static json_t *export_tls(const struct plan *plan)
{
    json_t *document = json_object();
    for (size_t i = 0; i < plan->config->n_listeners; i++)
        if (plan->tls[i])
            tls_config_export_keys(plan->tls[i], document);
    return document;
}

json_t *state_export(const struct state_parts *parts, uint64_t generation, unsigned sections)
{
    json_t *document = json_object();
    json_object_set_new(document, "release", json_string(HOLDFAST_VERSION));
    json_object_set_new(document, "generation",
                        json_integer((json_int_t)MIN(generation, (uint64_t)INT64_MAX)));
    if (sections & STATE_TLS)
        json_object_set_new(document, "tls", export_tls(parts->plan));
    if (sections & STATE_UPSTREAMS) {
        json_object_set_new(document, "health", roster_export_observed(parts->roster, now_monotonic()));
        json_object_set_new(document, "wanted", roster_export_wanted(parts->roster));
    }
    if (sections & (STATE_RATE_SECRET | STATE_RATES))
        json_object_set_new(document, "rates",
                            rate_limits_export(parts->rate_limits, sections & STATE_RATES, now_monotonic()));
    if (sections & STATE_LINEAGE)
        json_object_set_new(document, "lineage", lineage_export(parts->lineage));
    if (sections & STATE_METRICS)
        json_object_set_new(document, "metrics", metrics_take_delta(parts->metrics));
    return document;
}

void state_import(const struct state_parts *parts, const json_t *document, unsigned sections)
{
    if (sections & STATE_TLS)
        for (size_t i = 0; i < parts->plan->config->n_listeners; i++)
            if (parts->plan->tls[i])
                tls_config_import_keys(parts->plan->tls[i], json_object_get(document, "tls"));
    const json_t *wanted = json_object_get(document, "wanted");
    if (sections & STATE_UPSTREAMS) {
        if (wanted)
            roster_import_wanted(parts->roster, wanted, now_monotonic());
        roster_import_observed(parts->roster, json_object_get(document, "health"), now_monotonic());
    }
    const json_t *rates = json_object_get(document, "rates");
    if (sections & STATE_RATE_SECRET)
        rate_limits_import_secret(parts->rate_limits, rates);
    if (sections & STATE_RATES)
        rate_limits_import(parts->rate_limits, rates, now_monotonic());
    if (sections & STATE_LINEAGE)
        lineage_import(parts->lineage, json_object_get(document, "lineage"));
    if (sections & STATE_METRICS)
        metrics_add(parts->metrics, json_object_get(document, "metrics"));
}
