/* Token buckets: held to one that counts its tokens, as anybody would write it down. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "util/rate.h"

/* Tokens, in 1/period of one: exact, for each microsecond brings `count` of them. */
struct naive {
    unsigned __int128 tokens;
    usec_t at;
};

static void naive_advance(const struct rate *rate, struct naive *naive, usec_t now)
{
    const unsigned __int128 full = (unsigned __int128)rate->burst * rate->period;
    naive->tokens = MIN(naive->tokens + (unsigned __int128)(now - naive->at) * rate->count, full);
    naive->at = now;
}

static bool naive_take(const struct rate *rate, struct naive *naive, usec_t now)
{
    naive_advance(rate, naive, now);
    if (naive->tokens < rate->period)
        return false;
    naive->tokens -= rate->period;
    return true;
}

static uint64_t state = 88172645463325252;

static uint64_t draw(void) /* xorshift64 */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static const struct rate rates[] = {
    {1, 1, USEC_PER_SEC},
    {1, 1, RATE_PERIOD_MAX},
    {3, 1, USEC_PER_SEC},
    {3, 7, USEC_PER_SEC},
    {7, 100, 60 * USEC_PER_SEC},
    {100, 200, USEC_PER_SEC},
    {999983, 1000, 3600 * USEC_PER_SEC},
    {RATE_COUNT_MAX, 1, USEC_PER_SEC},
    {RATE_COUNT_MAX, RATE_COUNT_MAX, 1},
    {RATE_COUNT_MAX, RATE_COUNT_MAX, RATE_PERIOD_MAX},
    {1, RATE_COUNT_MAX, RATE_PERIOD_MAX},
    {1, 1, 1},
};

static void compare(const struct rate *rate, usec_t now)
{
    struct bucket bucket = {0};
    struct naive naive = {(unsigned __int128)rate->burst * rate->period, now};
    const usec_t step = MAX(rate->period / rate->count, (usec_t)1);

    for (int i = 0; i < 20000; i++) {
        struct rate_verdict verdict;
        /* Mostly about as often as is allowed, now and then a burst or a long pause. */
        const uint64_t kind = draw() % 100;
        now += kind < 50 ? draw() % (2 * step + 1) : kind < 95 ? 0 : kind < 99 ? draw() % (100 * step) : step;
        rate_take(rate, &bucket, now, &verdict);
        assert_int_equal(verdict.allowed, naive_take(rate, &naive, now));
        assert_int_equal(verdict.remaining, (uint32_t)(naive.tokens / rate->period));
        assert_int_equal(verdict.retry_after > 0, !verdict.allowed);

        const unsigned __int128 missing = (unsigned __int128)rate->burst * rate->period - naive.tokens;
        assert_int_equal(verdict.full_after, (uint64_t)((missing + rate->count - 1) / rate->count));
        assert_int_equal(rate_full_after(rate, &bucket, now), verdict.full_after);
        if (!verdict.allowed) {
            /* Not a microsecond too early, nor too late. */
            struct bucket copy = bucket;
            struct rate_verdict later;
            rate_take(rate, &copy, now + verdict.retry_after - 1, &later);
            assert_false(later.allowed);
            rate_take(rate, &copy, now + verdict.retry_after, &later);
            assert_true(later.allowed);
        }
    }
}

static void test_as_a_bucket_that_counts(void **unused)
{
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        compare(&rates[i], 0);
        compare(&rates[i], 1000 * USEC_PER_SEC);
        compare(&rates[i], UINT64_C(1) << 62);
    }
    for (int i = 0; i < 200; i++) {
        const struct rate rate = {
            .count = 1 + (uint32_t)(draw() % RATE_COUNT_MAX),
            .burst = 1 + (uint32_t)(draw() % (1u << (draw() % 20))),
            .period = 1 + draw() % RATE_PERIOD_MAX,
        };
        compare(&rate, draw() >> 2);
    }
}

/* Three in a second do not divide a second into whole microseconds. */
static void test_no_drift(void **unused)
{
    const struct rate rate = {3, 1, USEC_PER_SEC};
    struct bucket bucket = {0};
    struct rate_verdict verdict;
    usec_t now = 12345;
    uint64_t allowed = 0;

    const usec_t end = now + 1000000 * USEC_PER_SEC;
    while (now < end) {
        rate_take(&rate, &bucket, now, &verdict);
        allowed += verdict.allowed;
        now += verdict.allowed ? 1 : verdict.retry_after;
    }
    /* Each waits for whole microseconds: at most one of them is lost each time. */
    assert_in_range(allowed, 2999990, 3000001);
}

static void test_a_burst_then_the_rate(void **unused)
{
    const struct rate rate = {10, 5, USEC_PER_SEC};
    struct bucket bucket = {0};
    struct rate_verdict verdict;
    const usec_t now = USEC_PER_SEC;

    for (unsigned i = 0; i < 5; i++) {
        rate_take(&rate, &bucket, now, &verdict);
        assert_true(verdict.allowed);
        assert_int_equal(verdict.remaining, 4 - i);
        assert_int_equal(verdict.full_after, (i + 1) * 100000);
    }
    rate_take(&rate, &bucket, now, &verdict);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.retry_after, 100000);
    assert_int_equal(rate_fill_time(&rate), 500000);
    /* Being refused costs nothing. */
    for (unsigned i = 0; i < 1000; i++)
        rate_take(&rate, &bucket, now + 99999, &verdict);
    rate_take(&rate, &bucket, now + 100000, &verdict);
    assert_true(verdict.allowed);
}

static void test_giving_back(void **unused)
{
    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        const struct rate *rate = &rates[i];
        struct bucket bucket = {0};
        struct rate_verdict verdict;
        usec_t now = 1000;
        /* Whatever is taken and given back, in whatever order, leaves no trace. */
        for (int j = 0; j < 1000; j++) {
            const usec_t before = rate_full_after(rate, &bucket, now);
            rate_take(rate, &bucket, now, &verdict);
            if (verdict.allowed) {
                rate_give_back(rate, &bucket, now);
                assert_int_equal(rate_full_after(rate, &bucket, now), before);
                rate_take(rate, &bucket, now, &verdict);
            }
        }
        /* A bucket that has become full meanwhile does not overflow. */
        now += rate_fill_time(rate);
        assert_int_equal(rate_full_after(rate, &bucket, now), 0);
        rate_give_back(rate, &bucket, now);
        rate_take(rate, &bucket, now, &verdict);
        assert_true(verdict.allowed);
        assert_int_equal(verdict.remaining, rate->burst - 1);
    }
}

static void test_draining(void **unused)
{
    const struct rate rate = {10, 5, USEC_PER_SEC};
    struct bucket bucket = {0};
    struct rate_verdict verdict;

    rate_drain(&rate, &bucket, 200000, 1000);
    assert_int_equal(rate_full_after(&rate, &bucket, 1000), 200000);
    rate_take(&rate, &bucket, 1000, &verdict);
    assert_int_equal(verdict.remaining, 2);
    rate_drain(&rate, &bucket, 100000, 1000); /* they add up */
    assert_int_equal(rate_full_after(&rate, &bucket, 1000), 400000);
    rate_drain(&rate, &bucket, USEC_INFINITY, 1000); /* to nothing, and no further */
    assert_int_equal(rate_full_after(&rate, &bucket, 1000), 500000);
    rate_take(&rate, &bucket, 1000, &verdict);
    assert_false(verdict.allowed);
    assert_int_equal(verdict.retry_after, 100000);
}

/* States that no bucket of this rate can have, and clocks at their ends: bounded, and no way out of limits.
 */
static void test_extremes(void **unused)
{
    const uint64_t values[] = {0, 1, 2, UINT32_MAX, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};

    for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
        for (size_t j = 0; j < ARRAY_SIZE(values); j++)
            for (size_t k = 0; k < ARRAY_SIZE(values); k++)
                for (uint32_t fraction = 0; fraction < 2; fraction++) {
                    struct bucket bucket = {values[j], fraction * UINT32_MAX};
                    struct rate_verdict verdict;
                    rate_take(&rates[i], &bucket, values[k], &verdict);
                    assert_true(verdict.full_after <= rate_fill_time(&rates[i]));
                    assert_true(verdict.retry_after <= rates[i].period);
                    assert_true(verdict.remaining < rates[i].burst);
                    rate_drain(&rates[i], &bucket, values[j], values[k]);
                    rate_give_back(&rates[i], &bucket, values[k]);
                    assert_true(rate_full_after(&rates[i], &bucket, values[k]) <= rate_fill_time(&rates[i]));
                }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_a_bucket_that_counts),
        cmocka_unit_test(test_no_drift),
        cmocka_unit_test(test_a_burst_then_the_rate),
        cmocka_unit_test(test_giving_back),
        cmocka_unit_test(test_draining),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
