/* Counters and what else goes from one generation to the next: they go on, and nothing hostile moves them. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "gateway/lineage.h"
#include "metrics/metrics.h"
#include "metrics/transfer.h"
#include "sample-config.h"

static void count_some(struct metrics *metrics, unsigned n)
{
    struct metrics_shard *shard = metrics_shard(metrics, 0);
    for (unsigned i = 0; i < n; i++) {
        metrics_request_begin(shard);
        metrics_request_end(shard, &sample_old, METHOD_GET, 301, 300, 10, 20);
        metrics_try_end(shard, &sample_orders, &sample_orders_targets[1], TRY_OK, true, 5000);
    }
    metrics_connection_open(shard, &sample_listeners[0], METRICS_HTTP1);
}

static void assert_counted(const struct metrics *metrics, uint64_t n)
{
    struct metrics_totals totals;
    struct metrics_route_totals route;
    struct metrics_target_totals target;
    metrics_totals(metrics, &totals);
    metrics_route_totals(metrics, &sample_old, &route);
    metrics_target_totals(metrics, &sample_orders, &sample_orders_targets[1], &target);
    assert_int_equal(totals.requests, n);
    assert_int_equal(totals.by_class[3], n);
    assert_int_equal(route.requests, n);
    assert_int_equal(route.bytes_in, 10 * n);
    assert_int_equal(histogram_count(&route.duration), n);
    assert_int_equal(route.duration.sum, 300 * n);
    assert_int_equal(target.by_outcome[TRY_OK], n);
    assert_int_equal(target.reused, n);
}

static void test_counters_go_on(void **state)
{
    struct metrics *first = metrics_new(&sample_config, 2), *second = metrics_new(&sample_config, 1),
                   *third = metrics_new(&sample_config, 3);
    count_some(first, 3);
    json_t *document = metrics_take_delta(first);
    metrics_add(second, document);
    json_decref(document);
    assert_counted(second, 3);
    count_some(second, 2);

    document = metrics_take_delta(second); /* with what it has inherited */
    metrics_add(third, document);
    json_decref(document);
    assert_counted(third, 5);

    /* The first still drains: only what is new comes, and gauges never do. */
    count_some(first, 1);
    document = metrics_take_delta(first);
    metrics_add(third, document);
    json_decref(document);
    assert_counted(third, 6);
    document = metrics_take_delta(first);
    assert_int_equal(json_object_size(document), 0);
    json_decref(document);

    struct metrics_totals totals;
    struct metrics_own_totals own;
    metrics_totals(third, &totals);
    metrics_own_totals(third, &own);
    assert_int_equal(totals.connections, 0);
    assert_int_equal(totals.in_flight, 0);
    assert_int_equal(own.requests, 0);
    metrics_own_totals(second, &own);
    assert_int_equal(own.requests, 2);
    metrics_free(first);
    metrics_free(second);
    metrics_free(third);
}

static void test_documents_that_make_no_sense(void **state)
{
    static const char *const documents[] = {
        "{}",
        "[]",
        "7",
        "{\"holdfast_requests_total\": 7}",
        "{\"holdfast_requests_total\": [7, null, {}, {\"labels\": 1}, {\"value\": 3}]}",
        ("{\"holdfast_requests_total\": [{\"labels\": {\"route\": \"old.example.com/*rest\", \"method\": "
         "\"GET\"}, "
         "\"value\": 3}]}"), /* a label is missing */
        ("{\"holdfast_requests_total\": [{\"labels\": {\"route\": \"/gone\", \"method\": \"GET\", \"class\": "
         "\"2xx\"}, "
         "\"value\": 3}]}"),
        ("{\"holdfast_requests_total\": [{\"labels\": {\"route\": \"old.example.com/*rest\", \"method\": "
         "\"GET\", "
         "\"class\": \"3xx\"}, \"value\": -3}]}"),
        ("{\"holdfast_requests_total\": [{\"labels\": {\"route\": \"old.example.com/*rest\", \"method\": "
         "\"GET\", "
         "\"class\": \"3xx\"}, \"value\": \"3\"}]}"),
        ("{\"holdfast_request_duration_seconds\": [{\"labels\": {\"route\": \"old.example.com/*rest\"}, "
         "\"cells\": "
         "[1, 2, 3]}]}"), /* other buckets */
        ("{\"holdfast_request_duration_seconds\": [{\"labels\": {\"route\": \"old.example.com/*rest\"}, "
         "\"value\": 3}]}"),
        "{\"holdfast_requests_in_flight\": [{\"labels\": {}, \"value\": 3}]}", /* a gauge */
        "{\"holdfast_thoughts_total\": [{\"labels\": {}, \"value\": 3}]}",
    };
    struct metrics *metrics = metrics_new(&sample_config, 1);
    count_some(metrics, 2);
    for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
        json_t *document = json_loads(documents[i], JSON_DECODE_ANY, NULL);
        assert_non_null(document);
        metrics_add(metrics, document);
        assert_counted(metrics, 2);
        json_decref(document);
    }
    metrics_add(metrics, NULL);
    assert_counted(metrics, 2);
    metrics_free(metrics);
}

static void test_counters_do_not_wrap_around(void **state)
{
    struct metrics *metrics = metrics_new(&sample_config, 1);
    json_t *document = json_loads("{\"requests_by_class\": [{\"labels\": {\"class\": \"2xx\"}, \"value\": "
                                  "9223372036854775807}]}",
                                  0, NULL);
    struct metrics_totals totals;
    for (int i = 0; i < 3; i++) {
        metrics_add(metrics, document);
        metrics_totals(metrics, &totals);
        assert_true(totals.requests == INT64_MAX);
    }
    json_decref(document);
    metrics_free(metrics);
}

static void test_lineage(void **state)
{
    struct lineage first = {.reloads = 3, .reloads_failed = 1, .moved = 70, .last.start = 5000}, second = {0};
    for (uint64_t i = 1; i <= LINEAGE_HISTORY + 4; i++)
        lineage_begin(&first, i, i % 2 ? ORIGIN_RELOAD : ORIGIN_CRASH, i * USEC_PER_SEC);
    json_t *document = lineage_export(&first);
    lineage_import(&second, document);
    json_decref(document);
    assert_int_equal(second.reloads, 3);
    assert_int_equal(second.reloads_failed, 1);
    assert_int_equal(second.moved, 70);
    assert_int_equal(second.last.start, 5000);
    assert_int_equal(second.n_history, LINEAGE_HISTORY);
    assert_int_equal(second.history[0].generation, LINEAGE_HISTORY + 4);
    assert_int_equal(second.history[0].origin, ORIGIN_CRASH);
    assert_int_equal(second.history[1].origin, ORIGIN_RELOAD);
    assert_string_equal(second.history[0].release, HOLDFAST_VERSION);
    assert_int_equal(second.history[LINEAGE_HISTORY - 1].generation, 5);

    document = json_loads(
        "{\"reloads\": -1, \"moved\": \"x\", \"history\": [7, {}, {\"generation\": 9, \"origin\": "
        "\"teleport\", \"release\": \"\\u001b[31m9.0-and-much-longer-than-anything-that-is-shown\"}]}",
        0, NULL);
    lineage_import(&second, document);
    json_decref(document);
    assert_int_equal(second.reloads, 0);
    assert_int_equal(second.moved, 0);
    assert_int_equal(second.n_history, 1);
    assert_int_equal(second.history[0].generation, 9);
    assert_int_equal(second.history[0].release[0], '?'); /* no terminal obeys it */
    assert_true(strlen(second.history[0].release) < sizeof(second.history[0].release));
    lineage_import(&second, NULL); /* nothing is known: nothing changes */
    assert_int_equal(second.n_history, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_go_on),
        cmocka_unit_test(test_documents_that_make_no_sense),
        cmocka_unit_test(test_counters_do_not_wrap_around),
        cmocka_unit_test(test_lineage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
