/* The deadline of a side that may be slow, by a clock of the test's own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http/pace.h"

#define S USEC_PER_SEC
#define BEGIN (1000 * S)

static const struct pace_limits limits = {.grace = 30 * S, .min_rate = 240};

static void assert_verdict(const struct pace *pace, usec_t at, enum pace_verdict expected)
{
    assert_int_equal(pace_judge(pace, &limits, BEGIN + at), expected);
}

static void test_silence_ends_it(void **state)
{
    struct pace pace;

    pace_begin(&pace, &limits, BEGIN);
    assert_verdict(&pace, 30 * S - 1, PACE_IN_TIME);
    assert_verdict(&pace, 30 * S, PACE_STALLED);
    pace_progress(&pace, &limits, 1000000, BEGIN + 20 * S);
    pace_progress(&pace, &limits, 0, BEGIN + 40 * S); /* nothing is nothing */
    assert_verdict(&pace, 50 * S - 1, PACE_IN_TIME);
    assert_verdict(&pace, 50 * S, PACE_STALLED);
}

static void test_trickle_ends_it(void **state)
{
    struct pace pace;

    pace_begin(&pace, &limits, BEGIN);
    pace_progress(&pace, &limits, 1, BEGIN + 29 * S); /* worth 1/240 s */
    assert_verdict(&pace, 30 * S, PACE_IN_TIME);
    assert_verdict(&pace, 30 * S + S / 240, PACE_SLOW);
}

/* However it is spread: what moves at half the rate is ended after twice the grace, what moves a little
 * faster than the rate never is. */
static void test_average_decides(void **state)
{
    static const usec_t steps[] = {S / 10, S, 7 * S, 25 * S};

    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        struct pace slow, quick;
        usec_t slow_end = 0;
        pace_begin(&slow, &limits, BEGIN);
        pace_begin(&quick, &limits, BEGIN);
        for (usec_t at = steps[i]; at < 3600 * S; at += steps[i]) {
            assert_verdict(&quick, at, PACE_IN_TIME);
            if (!slow_end && pace_judge(&slow, &limits, BEGIN + at) != PACE_IN_TIME)
                slow_end = at;
            pace_progress(&slow, &limits, 120 * steps[i] / S, BEGIN + at);
            pace_progress(&quick, &limits, 250 * steps[i] / S, BEGIN + at);
        }
        assert_in_range(slow_end, 30 * S, 60 * S + steps[i]);
    }
}

static void test_burst_is_no_credit(void **state)
{
    struct pace pace;

    pace_begin(&pace, &limits, BEGIN);
    pace_progress(&pace, &limits, UINT64_C(1) << 40, BEGIN + S);
    assert_verdict(&pace, 31 * S - 1, PACE_IN_TIME);
    pace_progress(&pace, &limits, 1, BEGIN + 30 * S);
    assert_verdict(&pace, 31 * S + S / 240, PACE_SLOW);
}

static void test_skipped_time_does_not_count(void **state)
{
    struct pace pace;

    pace_begin(&pace, &limits, BEGIN);
    pace_skip(&pace, 100 * S);
    assert_verdict(&pace, 130 * S - 1, PACE_IN_TIME);
    assert_verdict(&pace, 130 * S, PACE_STALLED);
}

static void test_without_limits(void **state)
{
    const struct pace_limits any_rate = {.grace = 30 * S},
                             no_hurry = {.grace = USEC_INFINITY, .min_rate = 240};
    struct pace pace;

    pace_begin(&pace, &any_rate, BEGIN);
    pace_progress(&pace, &any_rate, 1, BEGIN + 29 * S);
    assert_int_equal(pace_judge(&pace, &any_rate, BEGIN + 59 * S - 1), PACE_IN_TIME);
    assert_int_equal(pace_judge(&pace, &any_rate, BEGIN + 59 * S), PACE_STALLED);
    pace_progress(&pace, &limits, UINT64_MAX, BEGIN + 70 * S); /* nobody knows how many */
    assert_int_equal(pace.ends_at, BEGIN + 100 * S);

    pace_begin(&pace, &no_hurry, BEGIN);
    pace_progress(&pace, &no_hurry, 1, BEGIN + S);
    pace_skip(&pace, S);
    assert_int_equal(pace_judge(&pace, &no_hurry, BEGIN * 1000), PACE_IN_TIME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence_ends_it),
        cmocka_unit_test(test_trickle_ends_it),
        cmocka_unit_test(test_average_decides),
        cmocka_unit_test(test_burst_is_no_credit),
        cmocka_unit_test(test_skipped_time_does_not_count),
        cmocka_unit_test(test_without_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
