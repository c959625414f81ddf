#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "metrics/metrics.h"
#include "metrics/process.h"
#include "sample-config.h"

static int setup(void **state)
{
    *state = metrics_new(&sample_config, 2);
    return 0;
}

static int teardown(void **state)
{
    metrics_free(*state);
    return 0;
}

static void test_nothing_counted_is_zero(void **state)
{
    struct metrics_totals totals;
    metrics_totals(*state, &totals);
    assert_int_equal(totals.requests, 0);
    assert_int_equal(totals.in_flight, 0);
    assert_int_equal(totals.connections, 0);
    assert_int_equal(totals.cut, 0);
}

static void test_shards_lie_apart(void **state)
{
    uintptr_t a = (uintptr_t)metrics_shard(*state, 0), b = (uintptr_t)metrics_shard(*state, 1);
    assert_int_equal(a % 64, 0);
    assert_int_equal(b % 64, 0);
    assert_int_not_equal(a, b);
}

static void test_requests_are_summed_over_shards(void **state)
{
    struct metrics_shard *a = metrics_shard(*state, 0), *b = metrics_shard(*state, 1);
    struct metrics_totals totals;

    metrics_request_begin(a);
    metrics_request_begin(a);
    metrics_request_begin(b);
    metrics_totals(*state, &totals);
    assert_int_equal(totals.in_flight, 3);
    assert_int_equal(totals.requests, 0);

    metrics_request_end(a, &sample_old, METHOD_GET, 301, 300, 10, 20);
    metrics_request_end(b, &sample_old, METHOD_PUT, 502, 700, 1, 2);
    metrics_totals(*state, &totals);
    assert_int_equal(totals.in_flight, 1);
    assert_int_equal(totals.requests, 2);
    assert_int_equal(totals.by_class[3], 1);
    assert_int_equal(totals.by_class[5], 1);

    struct metrics_route_totals route;
    metrics_route_totals(*state, &sample_old, &route);
    assert_int_equal(route.requests, 2);
    assert_int_equal(route.by_class[3], 1);
    assert_int_equal(route.by_class[5], 1);
    assert_int_equal(route.bytes_in, 11);
    assert_int_equal(route.bytes_out, 22);
    assert_int_equal(route.duration.sum, 1000);
    assert_int_equal(histogram_count(&route.duration), 2);

    metrics_route_totals(*state, &sample_odd, &route);
    assert_int_equal(route.requests, 0);
}

static void test_client_faults_are_told_apart(void **state)
{
    struct metrics *metrics = *state;
    struct strbuf text = STRBUF_INIT;
    const struct metrics_process process = {.version = "1", .state = "running"};
    const struct listener_config *listener = &sample_config.listeners[0];

    metrics_client_fault(metrics_shard(metrics, 0), listener, CLIENT_FAULT_DENIED);
    metrics_client_fault(metrics_shard(metrics, 1), listener, CLIENT_FAULT_DENIED);
    metrics_client_fault(metrics_shard(metrics, 1), listener, CLIENT_FAULT_HANDSHAKE_TIMEOUT);
    metrics_client_fault(metrics_shard(metrics, 1), NULL, CLIENT_FAULT_DENIED);
    metrics_client_fault(NULL, listener, CLIENT_FAULT_DENIED);
    metrics_expose(metrics, &process, &text);
    assert_non_null(strstr(text.data, "fault=\"denied\"} 2\n"));
    assert_non_null(strstr(text.data, "fault=\"handshake-timeout\"} 1\n"));
    strbuf_deinit(&text);
}

static void test_what_has_no_route_or_status_is_counted(void **state)
{
    struct metrics_shard *shard = metrics_shard(*state, 0);
    static const int odd[] = {0, -1, 99, 600, 1000000};
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        metrics_request_begin(shard);
        metrics_request_end(shard, NULL, METHOD_OTHER, odd[i], USEC_PER_SEC, 0, 0);
    }
    struct metrics_route_totals route;
    metrics_route_totals(*state, NULL, &route);
    assert_int_equal(route.requests, ARRAY_SIZE(odd));
    assert_int_equal(route.by_class[0], ARRAY_SIZE(odd));
}

static void test_equal_patterns_share_counters(void **state)
{
    struct metrics_shard *shard = metrics_shard(*state, 0);
    metrics_request_begin(shard);
    metrics_request_end(shard, &sample_read_orders, METHOD_GET, 200, 1, 0, 0);
    metrics_request_begin(shard);
    metrics_request_end(shard, &sample_write_orders, METHOD_PUT, 204, 1, 0, 0);
    struct metrics_route_totals route;
    metrics_route_totals(*state, &sample_read_orders, &route);
    assert_int_equal(route.requests, 2);
    assert_int_equal(route.by_class[2], 2);
}

static void test_connections(void **state)
{
    struct metrics_shard *a = metrics_shard(*state, 0), *b = metrics_shard(*state, 1);
    const struct listener_config *listener = &sample_config.listeners[1];
    metrics_connection_open(a, listener, METRICS_HTTP2);
    metrics_connection_open(b, listener, METRICS_HTTP2);
    metrics_connection_open(b, listener, METRICS_HTTP1);
    metrics_connection_close(b, listener, METRICS_HTTP2);

    struct metrics_listener_totals totals;
    metrics_listener_totals(*state, listener, &totals);
    assert_int_equal(totals.connections[METRICS_HTTP2], 1);
    assert_int_equal(totals.accepted[METRICS_HTTP2], 2);
    assert_int_equal(totals.connections[METRICS_HTTP1], 1);
    metrics_listener_totals(*state, &sample_config.listeners[0], &totals);
    assert_int_equal(totals.accepted[METRICS_HTTP2], 0);

    struct metrics_totals all;
    metrics_totals(*state, &all);
    assert_int_equal(all.connections, 2);
}

static void test_tries(void **state)
{
    struct metrics_shard *shard = metrics_shard(*state, 0);
    metrics_try_end(shard, &sample_orders, &sample_orders_targets[1], TRY_OK, true, 250);
    metrics_try_end(shard, &sample_orders, &sample_orders_targets[2], TRY_CANCELLED, false, 250);
    metrics_try_end(shard, &sample_users, &sample_users_targets[0], TRY_TRUNCATED, false, 250);
    metrics_pool_change(shard, &sample_users, &sample_users_targets[0], 1);
    metrics_pool_change(shard, &sample_users, &sample_users_targets[0], 1);
    metrics_pool_change(shard, &sample_users, &sample_users_targets[0], -1);

    /* The same address twice in one upstream is one series; in another upstream it is another. */
    struct metrics_target_totals totals;
    metrics_target_totals(*state, &sample_orders, &sample_orders_targets[1], &totals);
    assert_int_equal(totals.tries, 2);
    assert_int_equal(totals.by_outcome[TRY_OK], 1);
    assert_int_equal(totals.by_outcome[TRY_CANCELLED], 1);
    assert_int_equal(totals.reused, 1);
    assert_int_equal(totals.duration.sum, 500);

    metrics_target_totals(*state, &sample_users, &sample_users_targets[0], &totals);
    assert_int_equal(totals.tries, 1);
    assert_int_equal(totals.by_outcome[TRY_TRUNCATED], 1);
    assert_int_equal(totals.idle, 1);

    metrics_target_totals(*state, &sample_orders, &sample_orders_targets[0], &totals);
    assert_int_equal(totals.tries, 0);
}

static void test_null_shard_and_listener_count_nothing(void **state)
{
    metrics_request_begin(NULL);
    metrics_request_end(NULL, NULL, METHOD_GET, 200, 1, 1, 1);
    metrics_request_cut(NULL);
    metrics_connection_open(NULL, &sample_config.listeners[0], METRICS_HTTP1);
    metrics_connection_open(metrics_shard(*state, 0), NULL, METRICS_HTTP1);
    metrics_connection_close(metrics_shard(*state, 0), NULL, METRICS_HTTP1);
    test_nothing_counted_is_zero(state);
}

#define REQUESTS_PER_THREAD 100000

static void *count_requests(void *shard)
{
    for (int i = 0; i < REQUESTS_PER_THREAD; i++) {
        metrics_request_begin(shard);
        metrics_request_end(shard, &sample_odd, METHOD_GET, 200, (usec_t)i, 1, 2);
    }
    return NULL;
}

/* Exact while somebody reads: for TSan, and for a shard that would be shared by mistake. */
static void test_two_writers_and_a_reader(void **state)
{
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_requests, metrics_shard(*state, i)), 0);
    struct metrics_totals totals;
    uint64_t last = 0;
    for (int i = 0; i < 100; i++) {
        metrics_totals(*state, &totals);
        assert_true(totals.requests >= last);
        last = totals.requests;
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    metrics_totals(*state, &totals);
    assert_int_equal(totals.requests, 2 * REQUESTS_PER_THREAD);
    assert_int_equal(totals.in_flight, 0);
}

static void test_process_stat(void **state)
{
    struct process_usage usage = {0};
    const char *rest = " S 1 2 3 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 7 0 12345 10000000 500 184467 1 1";
    char line[256];
    /* A process may be called anything. */
    snprintf(line, sizeof(line), "42 (a) b (c)%s", rest);
    assert_true(process_usage_parse_stat(&usage, line));
    assert_true(usage.cpu_seconds * (double)sysconf(_SC_CLK_TCK) > 399.5);
    assert_true(usage.cpu_seconds * (double)sysconf(_SC_CLK_TCK) < 400.5);
    assert_int_equal(usage.threads, 7);
    assert_int_equal(usage.virtual_memory, 10000000);
    assert_int_equal(usage.resident_memory, 500 * sysconf(_SC_PAGESIZE));

    assert_false(process_usage_parse_stat(&usage, ""));
    assert_false(process_usage_parse_stat(&usage, "42 (a)"));
    assert_false(process_usage_parse_stat(&usage, "42 (a) S 1 2 3"));
}

static void test_process_usage_of_this_process(void **state)
{
    struct process_usage usage;
    process_usage_read(&usage);
    assert_true(usage.has_stat);
    assert_true(usage.threads >= 1); /* a sanitizer may have one of its own */
    assert_true(usage.resident_memory > 100000);

    uint64_t before = usage.open_fds;
    int fd = dup(0);
    if (fd < 0)
        fd = dup(1);
    process_usage_read(&usage);
    assert_true(usage.has_open_fds);
    assert_int_equal(usage.open_fds, before + 1);
    close(fd);
}

#define metrics_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        metrics_test(test_nothing_counted_is_zero),
        metrics_test(test_shards_lie_apart),
        metrics_test(test_requests_are_summed_over_shards),
        metrics_test(test_client_faults_are_told_apart),
        metrics_test(test_what_has_no_route_or_status_is_counted),
        metrics_test(test_equal_patterns_share_counters),
        metrics_test(test_connections),
        metrics_test(test_tries),
        metrics_test(test_null_shard_and_listener_count_nothing),
        metrics_test(test_two_writers_and_a_reader),
        cmocka_unit_test(test_process_stat),
        cmocka_unit_test(test_process_usage_of_this_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
