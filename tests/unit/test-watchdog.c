#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lifecycle/watchdog.h"

static void test_off(void **state)
{
    struct watchdog w;
    size_t worker = 99;
    watchdog_init(&w, 0, 1, 1000);
    assert_int_equal(watchdog_due(&w), USEC_INFINITY);
    assert_int_equal(watchdog_check(&w, USEC_INFINITY - 1, (uint64_t[]){5}, &worker), WATCHDOG_NOT_DUE);
    watchdog_deinit(&w);
    watchdog_init(&w, USEC_INFINITY, 1, 1000);
    assert_int_equal(watchdog_due(&w), USEC_INFINITY);
    watchdog_deinit(&w);
}

static void test_fed_while_all_turn(void **state)
{
    struct watchdog w;
    size_t worker = 99;
    uint64_t turns[] = {10, 20};
    watchdog_init(&w, 8000, 2, 1000);
    assert_int_equal(watchdog_due(&w), 5000);
    assert_int_equal(watchdog_check(&w, 4999, turns, &worker), WATCHDOG_NOT_DUE);
    assert_int_equal(watchdog_check(&w, 5000, turns, &worker), WATCHDOG_FEED);
    assert_int_equal(watchdog_due(&w), 9000);
    turns[0]++;
    turns[1] += 1000;
    assert_int_equal(watchdog_check(&w, 9100, turns, &worker), WATCHDOG_FEED);
    assert_int_equal(watchdog_due(&w), 13100);
    assert_int_equal(worker, 99);
    watchdog_deinit(&w);
}

static void test_starved_by_one(void **state)
{
    struct watchdog w;
    size_t worker = 99;
    uint64_t turns[] = {1, 1, 1};
    watchdog_init(&w, 8000, 3, 0);
    assert_int_equal(watchdog_check(&w, 4000, turns, &worker), WATCHDOG_FEED);

    turns[0]++;
    assert_int_equal(watchdog_check(&w, 8000, turns, &worker), WATCHDOG_STARVE);
    assert_int_equal(worker, 1);
    assert_int_equal(w.stuck_since[1], 8000);
    /* It is looked at again well before systemd loses its patience, but not in a busy loop. */
    assert_in_range(watchdog_due(&w), 8001, 8999);

    /* The one recovers, the other does not; and that the first turned once since the ping still counts. */
    turns[1]++;
    assert_int_equal(watchdog_check(&w, 9000, turns, &worker), WATCHDOG_STARVE);
    assert_int_equal(worker, 2);
    assert_int_equal(w.stuck_since[1], 0);
    assert_int_equal(w.stuck_since[2], 8000);

    turns[2]++;
    assert_int_equal(watchdog_check(&w, 10000, turns, &worker), WATCHDOG_FEED);
    assert_int_equal(w.stuck_since[2], 0);
    assert_int_equal(watchdog_check(&w, 14000, turns, &worker), WATCHDOG_STARVE);
    assert_int_equal(worker, 0);
    watchdog_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_fed_while_all_turn),
        cmocka_unit_test(test_starved_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
