#include "http/rate_limit.h"

#include "http/request_field.h"
#include "http/server_internal.h"

struct rate_limits *rate_limits_new(const struct config *config)
{
    struct rate_limits *limits = xcalloc(1, sizeof(*limits));

    limits->config = config;
    siphash_secret_draw(&limits->secret);
    limits->tables = xcalloc(config->n_rate_limits, sizeof(*limits->tables));
    for (size_t i = 0; i < config->n_routes; i++)
        for (size_t j = 0; j < config->routes[i]->n_rate_limits; j++) {
            const struct rate_limit_config *limit = &config->routes[i]->rate_limits[j];
            limits->tables[limit->index] = rate_table_new(&limit->rate, config->gateway.rate_clients);
        }
    return limits;
}

struct rate_limits *rate_limits_free(struct rate_limits *limits)
{
    if (!limits)
        return NULL;
    for (size_t i = 0; i < limits->config->n_rate_limits; i++)
        rate_table_free(limits->tables[i]);
    free(limits->tables);
    explicit_bzero(&limits->secret, sizeof(limits->secret));
    free(limits);
    return NULL;
}

static struct siphash key_of_client(const struct rate_limits *limits, const struct exchange *exchange)
{
    const struct ip_address client = ip_address_owner(exchange_client(exchange));
    return siphash(&limits->secret, &client, sizeof(client));
}

static struct siphash key_of(const struct rate_limits *limits, const struct rate_limit_config *limit,
                             const struct exchange *exchange)
{
    const struct slice value =
        limit->header ? request_field_named(exchange->req, limit->header) : slice_make(NULL, 0);
    if (value.size == 0)
        return key_of_client(limits, exchange);
    /* Under another secret: no value is the name of a client. */
    const struct siphash_secret secret = {{~limits->secret.words[0], limits->secret.words[1]}};
    return siphash(&secret, value.data, value.size);
}

/* ---- what the response says: draft-ietf-httpapi-ratelimit-headers-10 --------------------------------- */

static uint64_t seconds(usec_t t)
{
    return (t + USEC_PER_SEC - 1) / USEC_PER_SEC;
}

static void add_field(h2o_req_t *req, const char *lower_name, const char *name, struct slice value)
{
    const h2o_iovec_t copy = h2o_strdup(&req->pool, value.data, value.size);
    h2o_add_header_by_str(&req->pool, &req->res.headers, lower_name, strlen(lower_name), 0, name, copy.base,
                          copy.len);
}

/* `w` is the time in which a bucket fills up: so many requests in so much time is what a client may go by,
 * both when it sends them at once and in the long run. */
static void tell(h2o_req_t *req, const struct route_config *route, const struct rate_verdict *verdicts,
                 size_t n_verdicts)
{
    _cleanup_strbuf_ struct strbuf policy = STRBUF_INIT, limit = STRBUF_INIT;

    for (size_t i = 0; i < route->n_rate_limits; i++) {
        const struct rate_limit_config *of = &route->rate_limits[i];
        const char *comma = i > 0 ? ", " : "";
        strbuf_addf(&policy, "%s\"%s\";q=%u;w=%llu", comma, of->name, of->rate.burst,
                    (unsigned long long)seconds(rate_fill_time(&of->rate)));
        if (i < n_verdicts)
            strbuf_addf(&limit, "%s\"%s\";r=%u;t=%llu", comma, of->name, verdicts[i].remaining,
                        (unsigned long long)seconds(verdicts[i].full_after));
    }
    add_field(req, "ratelimit-policy", "RateLimit-Policy", slice_make(policy.data, policy.size));
    add_field(req, "ratelimit", "RateLimit", slice_make(limit.data, limit.size));
}

static void tell_to_wait(h2o_req_t *req, usec_t time)
{
    char text[24];
    const int size = snprintf(text, sizeof(text), "%llu", (unsigned long long)seconds(time));
    add_field(req, "retry-after", "Retry-After", slice_make(text, (size_t)size));
}

/* ---- the decision ------------------------------------------------------------------------------------ */

bool rate_limits_admit(struct rate_limits *limits, struct exchange *exchange)
{
    const struct route_config *route = exchange->route;
    struct metrics_shard *metrics = exchange->server->options.metrics;
    const usec_t now = exchange->began;
    struct siphash keys[ROUTE_RATE_LIMITS_MAX];
    struct rate_verdict verdicts[ROUTE_RATE_LIMITS_MAX];
    size_t n = 0;
    bool allowed = true;

    while (allowed && n < route->n_rate_limits) {
        const struct rate_limit_config *limit = &route->rate_limits[n];
        keys[n] = key_of(limits, limit, exchange);
        if (rate_table_take(limits->tables[limit->index], &keys[n], now, &verdicts[n]))
            metrics_rate_limit_evicted(metrics, route);
        allowed = verdicts[n].allowed;
        n++;
    }
    if (allowed) {
        if (route->tell_rate_limits)
            tell(exchange->req, route, verdicts, n);
        return true;
    }
    for (size_t i = 0; i < n - 1; i++) {
        rate_table_give_back(limits->tables[route->rate_limits[i].index], &keys[i], now);
        verdicts[i].remaining++;
    }
    metrics_request_limited(metrics, route);
    tell_to_wait(exchange->req, verdicts[n - 1].retry_after);
    tell(exchange->req, route, verdicts, n);
    return false;
}
