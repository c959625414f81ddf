#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "metrics/histogram.h"

/* The definition, without the shortcut. */
static unsigned bucket_by_scan(usec_t duration)
{
    unsigned i = 0;
    while (duration > histogram_bounds[i])
        i++;
    return i;
}

static void test_bounds_ascend(void **state)
{
    for (size_t i = 1; i < HISTOGRAM_BUCKETS; i++)
        assert_true(histogram_bounds[i - 1] < histogram_bounds[i]);
    assert_true(histogram_bounds[HISTOGRAM_BUCKETS - 1] == USEC_INFINITY);
}

static void test_bucket_is_what_a_scan_finds(void **state)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        for (int d = -1; d <= 1; d++) {
            usec_t v = histogram_bounds[i] + (usec_t)d;
            assert_int_equal(histogram_bucket(v), bucket_by_scan(v));
        }
    for (unsigned bit = 0; bit < 64; bit++)
        for (int d = -1; d <= 1; d++) {
            usec_t v = (UINT64_C(1) << bit) + (usec_t)d;
            assert_int_equal(histogram_bucket(v), bucket_by_scan(v));
        }
    for (usec_t v = 0; v < 100000; v++)
        assert_int_equal(histogram_bucket(v), bucket_by_scan(v));
}

static void test_bound_is_inclusive(void **state)
{
    assert_int_equal(histogram_bucket(0), 0);
    assert_int_equal(histogram_bucket(25), 0);
    assert_int_equal(histogram_bucket(26), 1);
    assert_int_equal(histogram_bucket(60 * USEC_PER_SEC), HISTOGRAM_BUCKETS - 2);
    assert_int_equal(histogram_bucket(60 * USEC_PER_SEC + 1), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_bucket(USEC_INFINITY), HISTOGRAM_BUCKETS - 1);
}

static void test_quantile(void **state)
{
    struct histogram h = {{0}, 0};
    assert_int_equal(histogram_quantile(&h, 0.5), 0);

    /* Ten between 500 us and 1 ms, ten between 1 ms and 2.5 ms. */
    h.buckets[histogram_bucket(1000)] = 10;
    h.buckets[histogram_bucket(2500)] = 10;
    assert_int_equal(histogram_count(&h), 20);
    assert_int_equal(histogram_quantile(&h, 0.25), 750);
    assert_int_equal(histogram_quantile(&h, 0.5), 1000);
    assert_int_equal(histogram_quantile(&h, 0.75), 1750);
    assert_int_equal(histogram_quantile(&h, 1), 2500);
    assert_int_equal(histogram_quantile(&h, 0), 500);
}

static void test_quantile_beyond_the_last_bound(void **state)
{
    struct histogram h = {{0}, 0};
    h.buckets[HISTOGRAM_BUCKETS - 1] = 1;
    assert_int_equal(histogram_quantile(&h, 0.99), 60 * USEC_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_ascend),
        cmocka_unit_test(test_bucket_is_what_a_scan_finds),
        cmocka_unit_test(test_bound_is_inclusive),
        cmocka_unit_test(test_quantile),
        cmocka_unit_test(test_quantile_beyond_the_last_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
