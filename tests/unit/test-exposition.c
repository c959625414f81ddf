#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "metrics/exposition.h"
#include "metrics/metrics.h"
#include "sample-config.h"

/* A strict reader of the text format 0.0.4. It refuses what a lenient scraper would forgive: samples outside
 * their family, families without HELP or TYPE or told twice, series told twice, histograms that do not add
 * up. */

#define MAX_SAMPLES 4096

struct sample {
    char *series; /* name and labels as they stood */
    double value;
};

struct reader {
    const char *p;
    char family[128], type[16];
    char *families[64];
    size_t n_families;
    struct sample samples[MAX_SAMPLES];
    size_t n_samples;
    /* The histogram being read. */
    double last_bound, last_count;
};

static void read_literal(struct reader *r, const char *literal)
{
    assert_memory_equal(r->p, literal, strlen(literal));
    r->p += strlen(literal);
}

static void read_name(struct reader *r, char *ret, size_t size)
{
    size_t n = 0;
    assert_true(isalpha((unsigned char)*r->p) || *r->p == '_');
    while (isalnum((unsigned char)*r->p) || *r->p == '_') {
        assert_true(n + 1 < size);
        ret[n++] = *r->p++;
    }
    ret[n] = '\0';
}

static void read_line_rest(struct reader *r)
{
    assert_true(*r->p != '\n');
    for (; *r->p != '\n'; r->p++) {
        assert_true(*r->p != '\0');
        if (*r->p == '\\') {
            r->p++;
            assert_true(*r->p == '\\' || *r->p == 'n');
        }
    }
    r->p++;
}

static void read_head(struct reader *r)
{
    char name[128];
    read_literal(r, "# HELP ");
    read_name(r, r->family, sizeof(r->family));
    read_literal(r, " ");
    read_line_rest(r);
    read_literal(r, "# TYPE ");
    read_name(r, name, sizeof(name));
    assert_string_equal(name, r->family);
    read_literal(r, " ");
    read_name(r, r->type, sizeof(r->type));
    read_literal(r, "\n");
    assert_true(streq(r->type, "counter") || streq(r->type, "gauge") || streq(r->type, "histogram"));
    if (streq(r->type, "counter"))
        assert_string_equal(name + strlen(name) - strlen("_total"), "_total");

    for (size_t i = 0; i < r->n_families; i++)
        assert_string_not_equal(r->families[i], r->family);
    assert_true(r->n_families < ARRAY_SIZE(r->families));
    r->families[r->n_families++] = xstrdup(r->family);
}

/* Reads {a="b",…}; returns the value of `le`, NAN when there is none. */
static double read_labels(struct reader *r)
{
    double bound = NAN;
    read_literal(r, "{");
    for (;;) {
        char name[64], value[512];
        size_t n = 0;
        read_name(r, name, sizeof(name));
        read_literal(r, "=\"");
        while (*r->p != '"') {
            assert_true(*r->p != '\n' && *r->p != '\0');
            if (*r->p == '\\') {
                r->p++;
                assert_non_null(strchr("\\\"n", *r->p));
            }
            assert_true(n + 1 < sizeof(value));
            value[n++] = *r->p++;
        }
        value[n] = '\0';
        r->p++;
        if (streq(name, "le"))
            bound = streq(value, "+Inf") ? INFINITY : strtod(value, NULL);
        if (*r->p == '}')
            break;
        read_literal(r, ",");
    }
    r->p++;
    return bound;
}

static void check_histogram_sample(struct reader *r, const char *suffix, double bound, double value)
{
    if (streq(suffix, "_bucket")) {
        assert_false(isnan(bound));
        if (!(bound > r->last_bound)) {
            /* A new series begins: the last one must have had its end. */
            assert_true(isinf(r->last_bound));
            r->last_count = 0;
        }
        assert_true(value >= r->last_count);
        r->last_bound = bound;
        r->last_count = value;
        return;
    }
    assert_true(isnan(bound));
    assert_true(isinf(r->last_bound) && r->last_bound > 0);
    if (streq(suffix, "_count"))
        assert_true(value == r->last_count);
    else
        assert_string_equal(suffix, "_sum");
}

static void read_sample(struct reader *r)
{
    char name[128], *end;
    const char *begin = r->p;
    double bound = NAN;
    read_name(r, name, sizeof(name));
    assert_memory_equal(name, r->family, strlen(r->family));
    if (*r->p == '{')
        bound = read_labels(r);
    char *series = strndup(begin, (size_t)(r->p - begin));
    read_literal(r, " ");
    double value = strtod(r->p, &end);
    assert_true(end > r->p);
    r->p = end;
    read_literal(r, "\n");

    assert_true(isfinite(value) && value >= 0);
    if (streq(r->type, "histogram"))
        check_histogram_sample(r, name + strlen(r->family), bound, value);
    else
        assert_string_equal(name, r->family);

    for (size_t i = 0; i < r->n_samples; i++)
        assert_string_not_equal(r->samples[i].series, series);
    assert_true(r->n_samples < MAX_SAMPLES);
    r->samples[r->n_samples++] = (struct sample){series, value};
}

static struct reader *read_exposition(const char *text)
{
    struct reader *r = xcalloc(1, sizeof(*r));
    r->p = text;
    while (*r->p) {
        r->last_bound = INFINITY;
        read_head(r);
        while (*r->p && *r->p != '#')
            read_sample(r);
    }
    return r;
}

static void reader_free(struct reader *r)
{
    for (size_t i = 0; i < r->n_samples; i++)
        free(r->samples[i].series);
    for (size_t i = 0; i < r->n_families; i++)
        free(r->families[i]);
    free(r);
}

static double value_of(const struct reader *r, const char *series)
{
    for (size_t i = 0; i < r->n_samples; i++)
        if (streq(r->samples[i].series, series))
            return r->samples[i].value;
    return NAN;
}

#define assert_sample(r, series, expected)                                    \
    do {                                                                      \
        double _value = value_of(r, series);                                  \
        if (!(_value == (expected)))                                          \
            fail_msg("%s is %g, not %g", series, _value, (double)(expected)); \
    } while (0)
#define assert_no_sample(r, series) assert_true(isnan(value_of(r, series)))

static struct reader *expose(const struct metrics *metrics)
{
    const struct metrics_process process = {
        .version = "1.2.3",
        .generation = 41,
        .started_realtime = UINT64_C(1700000000250000),
        .journal_dropped = 3,
        .state = "running",
    };
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    metrics_expose(metrics, &process, &out);
    return read_exposition(strbuf_string(&out));
}

static void test_idle(void **state)
{
    struct metrics *metrics = metrics_new(&sample_config, 2);
    struct reader *r = expose(metrics);
    assert_sample(r, "holdfast_build_info{version=\"1.2.3\"}", 1);
    assert_sample(r, "holdfast_generation", 41);
    assert_sample(r, "holdfast_start_time_seconds", 1700000000.25);
    assert_sample(r, "holdfast_journal_dropped_total", 3);
    assert_sample(r, "holdfast_state{state=\"running\"}", 1);
    assert_sample(r, "holdfast_requests_in_flight", 0);
    assert_sample(r, "holdfast_requests_cut_total", 0);
    assert_sample(r, "holdfast_connections{listener=\"https\",protocol=\"http2\"}", 0);
    assert_true(value_of(r, "process_threads") >= 1);
    assert_true(value_of(r, "process_open_fds") >= 3);
    /* Families without a sample are announced nevertheless. */
    bool announced = false;
    for (size_t i = 0; i < r->n_families; i++)
        announced |= streq(r->families[i], "holdfast_requests_total");
    assert_true(announced);
    reader_free(r);
    metrics_free(metrics);
}

static void test_counted(void **state)
{
    struct metrics *metrics = metrics_new(&sample_config, 2);
    struct metrics_shard *a = metrics_shard(metrics, 0), *b = metrics_shard(metrics, 1);
    for (int i = 0; i < 3; i++)
        metrics_request_begin(a);
    metrics_request_begin(b);
    metrics_request_end(a, &sample_read_orders, METHOD_GET, 200, 250, 0, 1000);
    metrics_request_end(a, &sample_write_orders, METHOD_PUT, 200, 251, 10, 20);
    metrics_request_end(b, &sample_odd, METHOD_OTHER, 0, 120 * USEC_PER_SEC, 5, 0);
    metrics_connection_open(a, &sample_config.listeners[0], METRICS_HTTP1);
    metrics_try_end(b, &sample_orders, &sample_orders_targets[0], TRY_FIRST_BYTE_TIMEOUT, false, 1500000);
    metrics_pool_change(b, &sample_orders, &sample_orders_targets[0], 1);
    metrics_request_cut(a);

    struct reader *r = expose(metrics);
    assert_sample(r, "holdfast_requests_in_flight", 1);
    assert_sample(r, "holdfast_requests_cut_total", 1);
    assert_sample(r, "holdfast_requests_total{route=\"/api/orders/:id\",method=\"GET\",class=\"2xx\"}", 1);
    assert_sample(r, "holdfast_requests_total{route=\"/api/orders/:id\",method=\"PUT\",class=\"2xx\"}", 1);
    assert_no_sample(r, "holdfast_requests_total{route=\"/api/orders/:id\",method=\"PUT\",class=\"5xx\"}");
#define ODD "route=\"/odd/\\\"quoted\\\"\\\\back\\nline\""
    assert_sample(r, "holdfast_request_duration_seconds_bucket{" ODD ",le=\"60\"}", 0);
    assert_sample(r, "holdfast_request_duration_seconds_bucket{" ODD ",le=\"+Inf\"}", 1);
    assert_sample(r, "holdfast_request_duration_seconds_sum{" ODD "}", 120);
    assert_sample(r, "holdfast_request_duration_seconds_bucket{route=\"/api/orders/:id\",le=\"0.0001\"}", 0);
    assert_sample(r, "holdfast_request_duration_seconds_bucket{route=\"/api/orders/:id\",le=\"0.00025\"}", 1);
    assert_sample(r, "holdfast_request_duration_seconds_bucket{route=\"/api/orders/:id\",le=\"0.0005\"}", 2);
    assert_sample(r, "holdfast_request_duration_seconds_sum{route=\"/api/orders/:id\"}", 0.000501);
    assert_sample(r, "holdfast_request_duration_seconds_count{route=\"/api/orders/:id\"}", 2);
    assert_sample(r, "holdfast_request_bytes_total{route=\"/api/orders/:id\"}", 10);
    assert_sample(r, "holdfast_response_bytes_total{route=\"/api/orders/:id\"}", 1020);
    assert_sample(r, "holdfast_connections{listener=\"http\",protocol=\"http1\"}", 1);
#define BLUE "upstream=\"orders\",target=\"unix:/run/orders/blue.sock\""
    assert_sample(r, "holdfast_upstream_tries_total{" BLUE ",outcome=\"first_byte_timeout\"}", 1);
    assert_no_sample(r, "holdfast_upstream_tries_total{" BLUE ",outcome=\"ok\"}");
    assert_sample(r, "holdfast_upstream_try_duration_seconds_sum{" BLUE "}", 1.5);
    assert_sample(r, "holdfast_upstream_pool_idle{" BLUE "}", 1);
    assert_sample(r, "holdfast_upstream_reused_total{" BLUE "}", 0);
    reader_free(r);
    metrics_free(metrics);
}

static void test_every_method_and_outcome_has_a_label(void **state)
{
    struct metrics *metrics = metrics_new(&sample_config, 1);
    struct metrics_shard *shard = metrics_shard(metrics, 0);
    for (int m = 0; m < _METHOD_MAX; m++)
        for (int class = 0; class < 6; class ++) {
            metrics_request_begin(shard);
            metrics_request_end(shard, NULL, (enum method)m, class * 100, 1, 0, 0);
        }
    for (int t = 0; t < _METRICS_TRY_MAX; t++)
        metrics_try_end(shard, &sample_users, &sample_users_targets[0], (enum metrics_try)t, false, 1);

    /* The reader refuses equal series, so that all labels differ. */
    struct reader *r = expose(metrics);
    size_t n_requests = 0, n_tries = 0;
    for (size_t i = 0; i < r->n_samples; i++) {
        n_requests += strstr(r->samples[i].series, "holdfast_requests_total{") != NULL;
        n_tries += strstr(r->samples[i].series, "holdfast_upstream_tries_total{") != NULL;
    }
    assert_int_equal(n_requests, _METHOD_MAX * 6);
    assert_int_equal(n_tries, _METRICS_TRY_MAX);
    reader_free(r);
    metrics_free(metrics);
}

static void test_empty_configuration(void **state)
{
    static const struct config empty = {0};
    struct metrics *metrics = metrics_new(&empty, 1);
    metrics_request_begin(metrics_shard(metrics, 0));
    metrics_request_end(metrics_shard(metrics, 0), NULL, METHOD_GET, 404, 1, 0, 0);
    struct reader *r = expose(metrics);
    assert_sample(r, "holdfast_requests_total{route=\"\",method=\"GET\",class=\"4xx\"}", 1);
    reader_free(r);
    metrics_free(metrics);
}

static void test_label_that_is_not_utf8(void **state)
{
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    exposition_add_label(&out, "a", "x\xff\"");
    assert_string_equal(out.data, "a=\"x\xef\xbf\xbd\\\"\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_counted),
        cmocka_unit_test(test_every_method_and_outcome_has_a_label),
        cmocka_unit_test(test_empty_configuration),
        cmocka_unit_test(test_label_that_is_not_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
