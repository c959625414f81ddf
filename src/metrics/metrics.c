#include <sys/mman.h>

#include "metrics/shard.h"

static const char *const protocol_names[_METRICS_PROTOCOL_MAX] = {
    [METRICS_HTTP1] = "http1",
    [METRICS_HTTP2] = "http2",
    [METRICS_TUNNEL] = "tunnel",
};

static const char *const try_names[_METRICS_TRY_MAX] = {
    [TRY_OK] = "ok",
    [TRY_CONNECT_FAILED] = "connect_failed",
    [TRY_CONNECT_TIMEOUT] = "connect_timeout",
    [TRY_SEND_FAILED] = "send_failed",
    [TRY_CLOSED_EARLY] = "closed_early",
    [TRY_BAD_RESPONSE] = "bad_response",
    [TRY_FIRST_BYTE_TIMEOUT] = "first_byte_timeout",
    [TRY_TIMEOUT] = "try_timeout",
    [TRY_BETWEEN_BYTES_TIMEOUT] = "between_bytes_timeout",
    [TRY_TRUNCATED] = "truncated",
    [TRY_CANCELLED] = "cancelled",
};

const char *metrics_protocol_to_string(enum metrics_protocol protocol)
{
    assert(protocol < _METRICS_PROTOCOL_MAX);
    return protocol_names[protocol];
}

const char *metrics_try_to_string(enum metrics_try outcome)
{
    assert(outcome < _METRICS_TRY_MAX);
    return try_names[outcome];
}

struct metrics *metrics_new(const struct config *config, unsigned n_shards)
{
    struct metrics *metrics = xcalloc(1, sizeof(*metrics));
    layout_init(&metrics->layout, config);
    metrics->shard_size = sizeof(struct metrics_shard) + metrics->layout.n_cells * sizeof(metrics_cell);
    metrics->n_shards = n_shards;
    metrics->shards = xcalloc(n_shards + 1, sizeof(*metrics->shards));
    for (unsigned i = 0; i < n_shards + 1; i++) {
        struct metrics_shard *shard =
            /* cppcheck-suppress invalidFunctionArg ; -1 is what belongs there */
            mmap(NULL, metrics->shard_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (shard == MAP_FAILED)
            abort();
        shard->layout = &metrics->layout;
        metrics->shards[i] = shard;
    }
    return metrics;
}

struct metrics *metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return NULL;
    for (unsigned i = 0; i < metrics->n_shards + 1; i++)
        munmap(metrics->shards[i], metrics->shard_size);
    if (metrics->told)
        munmap(metrics->told, metrics_told_size(metrics));
    free(metrics->shards);
    layout_deinit(&metrics->layout);
    free(metrics);
    return NULL;
}

struct metrics_shard *metrics_shard(struct metrics *metrics, unsigned index)
{
    assert(index < metrics->n_shards);
    return metrics->shards[index];
}

/* Only the owner writes, so a load and a store do what a locked instruction would. */
static inline void cell_add(metrics_cell *cell, uint64_t n)
{
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void count(struct metrics_shard *shard, enum metric metric, size_t series, uint64_t n)
{
    cell_add(&shard->cells[shard->layout->first[metric] + series], n);
}

static inline void count_duration(struct metrics_shard *shard, enum metric metric, size_t series,
                                  usec_t duration)
{
    metrics_cell *histogram = &shard->cells[shard->layout->first[metric] + series * LAYOUT_HISTOGRAM_CELLS];
    cell_add(&histogram[histogram_bucket(duration)], 1);
    cell_add(&histogram[HISTOGRAM_BUCKETS], duration);
}

static size_t class_of(int status)
{
    return status >= 100 && status < 600 ? (size_t)status / 100 : 0;
}

void metrics_request_begin(struct metrics_shard *shard)
{
    if (shard)
        count(shard, METRIC_REQUESTS_IN_FLIGHT, 0, 1);
}

void metrics_request_end(struct metrics_shard *shard, const struct route_config *route, enum method method,
                         int status, usec_t duration, uint64_t bytes_in, uint64_t bytes_out)
{
    if (!shard)
        return;
    assert(method < _METHOD_MAX);
    size_t r = layout_route(shard->layout, route), class = class_of(status);
    count(shard, METRIC_REQUESTS, (r * _METHOD_MAX + method) * LAYOUT_N_CLASSES + class, 1);
    count(shard, METRIC_CLASS_TOTALS, class, 1);
    count_duration(shard, METRIC_REQUEST_DURATION, r, duration);
    count(shard, METRIC_REQUEST_BYTES, r, bytes_in);
    count(shard, METRIC_RESPONSE_BYTES, r, bytes_out);
    /* Last: whoever sees that nothing is in flight sees what it came to. */
    metrics_cell *in_flight = &shard->cells[shard->layout->first[METRIC_REQUESTS_IN_FLIGHT]];
    atomic_store_explicit(in_flight, atomic_load_explicit(in_flight, memory_order_relaxed) - 1,
                          memory_order_release);
}

void metrics_connection_adopt(struct metrics_shard *shard, const struct listener_config *listener,
                              enum metrics_protocol protocol)
{
    if (shard && listener)
        count(shard, METRIC_CONNECTIONS, listener->index * (size_t)_METRICS_PROTOCOL_MAX + protocol, 1);
}

void metrics_connection_open(struct metrics_shard *shard, const struct listener_config *listener,
                             enum metrics_protocol protocol)
{
    if (!shard || !listener)
        return;
    metrics_connection_adopt(shard, listener, protocol);
    count(shard, METRIC_CONNECTIONS_TOTAL, listener->index * (size_t)_METRICS_PROTOCOL_MAX + protocol, 1);
}

void metrics_connection_close(struct metrics_shard *shard, const struct listener_config *listener,
                              enum metrics_protocol protocol)
{
    if (!shard || !listener)
        return;
    count(shard, METRIC_CONNECTIONS, listener->index * (size_t)_METRICS_PROTOCOL_MAX + protocol, UINT64_MAX);
}

void metrics_try_end(struct metrics_shard *shard, const struct upstream_config *upstream,
                     const struct target_config *target, enum metrics_try outcome, bool reused,
                     usec_t duration)
{
    if (!shard)
        return;
    assert(outcome < _METRICS_TRY_MAX);
    size_t t = layout_target(shard->layout, upstream, target);
    count(shard, METRIC_TRIES, t * _METRICS_TRY_MAX + outcome, 1);
    count_duration(shard, METRIC_TRY_DURATION, t, duration);
    if (reused)
        count(shard, METRIC_POOL_REUSED, t, 1);
}

void metrics_pool_change(struct metrics_shard *shard, const struct upstream_config *upstream,
                         const struct target_config *target, int change)
{
    if (shard)
        count(shard, METRIC_POOL_IDLE, layout_target(shard->layout, upstream, target),
              (uint64_t)(int64_t)change);
}

void metrics_retry(struct metrics_shard *shard, const struct upstream_config *upstream)
{
    if (shard)
        count(shard, METRIC_RETRIES, upstream->index, 1);
}

void metrics_hold(struct metrics_shard *shard, const struct upstream_config *upstream)
{
    if (shard)
        count(shard, METRIC_HELD_TOTAL, upstream->index, 1);
}

void metrics_hold_expired(struct metrics_shard *shard, const struct upstream_config *upstream)
{
    if (shard)
        count(shard, METRIC_HOLD_EXPIRED, upstream->index, 1);
}

void metrics_name_target(struct metrics *metrics, const struct upstream_config *upstream,
                         const struct target_config *target, const char *address)
{
    layout_name_target(&metrics->layout, upstream, target, address);
}

/* In the shard that belongs to no worker. */
static void set(struct metrics *metrics, enum metric metric, size_t series, uint64_t value)
{
    metrics_cell *cell = &metrics->shards[metrics->n_shards]->cells[metrics->layout.first[metric] + series];
    atomic_store_explicit(cell, value, memory_order_relaxed);
}

void metrics_set_held(struct metrics *metrics, const struct upstream_config *upstream, uint64_t requests,
                      uint64_t bytes)
{
    set(metrics, METRIC_HELD, upstream->index, requests);
    set(metrics, METRIC_HELD_BYTES, upstream->index, bytes);
}

void metrics_set_target(struct metrics *metrics, const struct upstream_config *upstream,
                        const struct target_config *target, bool ready, unsigned breaker)
{
    const size_t t = layout_target(&metrics->layout, upstream, target);
    set(metrics, METRIC_TARGET_READY, t, ready);
    set(metrics, METRIC_BREAKER_STATE, t, breaker);
}

void metrics_certificate_expires(struct metrics *metrics, const struct listener_config *listener,
                                 size_t certificate, usec_t expires)
{
    set(metrics, METRIC_CERTIFICATE_EXPIRY, layout_certificate(&metrics->layout, listener, certificate),
        expires / USEC_PER_SEC);
}

void metrics_accept_pause(struct metrics_shard *shard, const struct listener_config *listener)
{
    if (shard && listener)
        count(shard, METRIC_ACCEPT_PAUSES, listener->index, 1);
}

void metrics_client_fault(struct metrics_shard *shard, const struct listener_config *listener,
                          enum client_fault fault)
{
    if (shard && listener)
        count(shard, METRIC_CLIENT_FAULTS, listener->index * (size_t)_CLIENT_FAULT_MAX + fault, 1);
}

void metrics_body_spill(struct metrics_shard *shard)
{
    if (shard)
        count(shard, METRIC_BODY_SPILLS, 0, 1);
}

void metrics_body_refused(struct metrics_shard *shard)
{
    if (shard)
        count(shard, METRIC_BODIES_REFUSED, 0, 1);
}

void metrics_request_limited(struct metrics_shard *shard, const struct route_config *route)
{
    if (shard)
        count(shard, METRIC_REQUESTS_LIMITED, layout_route(shard->layout, route), 1);
}

void metrics_rate_limit_evicted(struct metrics_shard *shard, const struct route_config *route)
{
    if (shard)
        count(shard, METRIC_RATE_LIMIT_EVICTED, layout_route(shard->layout, route), 1);
}

void metrics_request_cut(struct metrics_shard *shard)
{
    if (shard)
        count(shard, METRIC_REQUESTS_CUT, 0, 1);
}

uint64_t metrics_sum(const struct metrics *metrics, enum metric metric, size_t series, size_t offset)
{
    size_t cell = metrics->layout.first[metric] + series * layout_stride(metric) + offset;
    uint64_t sum = 0;
    for (unsigned i = 0; i < metrics->n_shards + 1; i++)
        sum += atomic_load_explicit(&metrics->shards[i]->cells[cell], memory_order_relaxed);
    return sum;
}

void metrics_sum_histogram(const struct metrics *metrics, enum metric metric, size_t series,
                           struct histogram *ret)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        ret->buckets[i] = metrics_sum(metrics, metric, series, i);
    ret->sum = metrics_sum(metrics, metric, series, HISTOGRAM_BUCKETS);
}

void metrics_totals(const struct metrics *metrics, struct metrics_totals *ret)
{
    *ret = (struct metrics_totals){
        .in_flight = metrics_sum(metrics, METRIC_REQUESTS_IN_FLIGHT, 0, 0),
        .cut = metrics_sum(metrics, METRIC_REQUESTS_CUT, 0, 0),
    };
    for (size_t i = 0; i < LAYOUT_N_CLASSES; i++) {
        ret->by_class[i] = metrics_sum(metrics, METRIC_CLASS_TOTALS, i, 0);
        ret->requests += ret->by_class[i];
    }
    for (size_t i = 0; i < metrics->layout.n_series[METRIC_CONNECTIONS]; i++)
        ret->connections += metrics_sum(metrics, METRIC_CONNECTIONS, i, 0);
}

void metrics_own_totals(const struct metrics *metrics, struct metrics_own_totals *ret)
{
    const struct metrics_layout *layout = &metrics->layout;
    *ret = (struct metrics_own_totals){0};
    for (unsigned i = 0; i < metrics->n_shards; i++) {
        const metrics_cell *cells = metrics->shards[i]->cells;
        for (size_t class = 0; class < LAYOUT_N_CLASSES; class ++)
            ret->requests += atomic_load_explicit(&cells[layout->first[METRIC_CLASS_TOTALS] + class],
                                                  memory_order_relaxed);
        ret->cut += atomic_load_explicit(&cells[layout->first[METRIC_REQUESTS_CUT]], memory_order_relaxed);
    }
}

void metrics_route_totals(const struct metrics *metrics, const struct route_config *route,
                          struct metrics_route_totals *ret)
{
    size_t r = layout_route(&metrics->layout, route);
    *ret = (struct metrics_route_totals){
        .bytes_in = metrics_sum(metrics, METRIC_REQUEST_BYTES, r, 0),
        .bytes_out = metrics_sum(metrics, METRIC_RESPONSE_BYTES, r, 0),
    };
    for (size_t i = 0; i < (size_t)_METHOD_MAX * LAYOUT_N_CLASSES; i++) {
        uint64_t n = metrics_sum(metrics, METRIC_REQUESTS, r * _METHOD_MAX * LAYOUT_N_CLASSES + i, 0);
        ret->by_class[i % LAYOUT_N_CLASSES] += n;
        ret->requests += n;
    }
    metrics_sum_histogram(metrics, METRIC_REQUEST_DURATION, r, &ret->duration);
}

void metrics_listener_totals(const struct metrics *metrics, const struct listener_config *listener,
                             struct metrics_listener_totals *ret)
{
    *ret = (struct metrics_listener_totals){0};
    for (size_t p = 0; p < _METRICS_PROTOCOL_MAX; p++) {
        size_t series = listener->index * (size_t)_METRICS_PROTOCOL_MAX + p;
        ret->connections[p] = metrics_sum(metrics, METRIC_CONNECTIONS, series, 0);
        ret->accepted[p] = metrics_sum(metrics, METRIC_CONNECTIONS_TOTAL, series, 0);
    }
}

void metrics_target_totals(const struct metrics *metrics, const struct upstream_config *upstream,
                           const struct target_config *target, struct metrics_target_totals *ret)
{
    size_t t = layout_target(&metrics->layout, upstream, target);
    *ret = (struct metrics_target_totals){
        .idle = metrics_sum(metrics, METRIC_POOL_IDLE, t, 0),
        .reused = metrics_sum(metrics, METRIC_POOL_REUSED, t, 0),
    };
    for (size_t i = 0; i < _METRICS_TRY_MAX; i++) {
        ret->by_outcome[i] = metrics_sum(metrics, METRIC_TRIES, t * _METRICS_TRY_MAX + i, 0);
        ret->tries += ret->by_outcome[i];
    }
    metrics_sum_histogram(metrics, METRIC_TRY_DURATION, t, &ret->duration);
}
