/* Timers by a clock of the test's own: it is always 1000 s at first. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http/timer.h"

#define BEGIN (1000 * USEC_PER_SEC)

struct ringing {
    struct timer timer;
    unsigned n;
    usec_t again; /* starts itself anew, of this length; USEC_INFINITY: it does not */
};

static void on_ring(struct timer *timer)
{
    struct ringing *ringing = container_of(timer, struct ringing, timer);
    ringing->n++;
    assert_false(timer_is_running(timer));
    if (ringing->again != USEC_INFINITY)
        timer_start(timer->timers, timer, ringing->again);
}

#define RINGING                                           \
    {                                                     \
        .timer.callback = on_ring, .again = USEC_INFINITY \
    }

static void test_rings_once_when_due(void **state)
{
    struct timers timers = {.now = BEGIN};
    struct ringing a = RINGING, b = RINGING;

    assert_int_equal(timers_next(&timers), USEC_INFINITY);
    timer_start(&timers, &a.timer, 20);
    timer_start(&timers, &b.timer, 10);
    assert_int_equal(timers_next(&timers), BEGIN + 10);
    assert_int_equal(timers_run(&timers, BEGIN + 9), 0);
    assert_int_equal(timers_run(&timers, BEGIN + 10), 1);
    assert_int_equal(b.n, 1);
    assert_int_equal(timers_next(&timers), BEGIN + 20);
    assert_int_equal(timers_run(&timers, BEGIN + 1000), 1);
    assert_int_equal(timers_run(&timers, BEGIN + 2000), 0);
    assert_int_equal(a.n, 1);
    timers_deinit(&timers);
}

static void test_restart_moves(void **state)
{
    struct timers timers = {.now = BEGIN};
    struct ringing a = RINGING;

    timer_start(&timers, &a.timer, 10);
    timers.now = BEGIN + 5;
    timer_start(&timers, &a.timer, 10);
    assert_int_equal(timers_run(&timers, BEGIN + 14), 0);
    assert_int_equal(timers_run(&timers, BEGIN + 15), 1);
    timer_start(&timers, &a.timer, 100);
    timer_start(&timers, &a.timer, 1);
    assert_int_equal(timers_run(&timers, BEGIN + 16), 1);
    timers_deinit(&timers);
}

static void test_suspended_and_stopped(void **state)
{
    struct timers timers = {.now = BEGIN};
    struct ringing a = RINGING, b = RINGING, never = RINGING;

    timer_suspend(&never.timer);
    timer_stop(&never.timer);
    timer_start(&timers, &never.timer, USEC_INFINITY);
    assert_false(timer_is_running(&never.timer));
    timer_start(&timers, &a.timer, 10);
    timer_start(&timers, &b.timer, 10);
    assert_true(timer_is_running(&a.timer));
    timer_suspend(&a.timer);
    assert_false(timer_is_running(&a.timer));
    timer_stop(&b.timer);
    assert_int_equal(timers_run(&timers, BEGIN + 20), 0);
    timer_start(&timers, &a.timer, 0);
    assert_int_equal(timers_run(&timers, BEGIN + 20), 1);
    timer_start(&timers, &a.timer, USEC_PER_SEC);
    timer_start(&timers, &a.timer, USEC_INFINITY);
    assert_false(timer_is_running(&a.timer));
    timer_stop(&a.timer);
    timers_deinit(&timers); /* asserts that none is left */
}

/* However it is restarted, one run ends. */
static void test_restart_in_callback(void **state)
{
    struct timers timers = {.now = BEGIN};
    struct ringing a = RINGING, b = RINGING;

    a.again = 0;
    b.again = 5;
    timer_start(&timers, &a.timer, 0);
    timer_start(&timers, &b.timer, 5);
    assert_int_equal(timers_run(&timers, BEGIN), 2); /* itself twice: there were two */
    assert_int_equal(timers_next(&timers), BEGIN);
    timer_stop(&a.timer);
    assert_int_equal(timers_run(&timers, BEGIN + 5), 1);
    assert_int_equal(timers_next(&timers), BEGIN + 10);
    timer_stop(&b.timer);
    timers_deinit(&timers);
}

struct heaped {
    struct timer timer;
    unsigned *freed;
};

static void on_last(struct timer *timer)
{
    struct heaped *heaped = container_of(timer, struct heaped, timer);
    (*heaped->freed)++;
    free(heaped);
}

static void test_callback_may_free(void **state)
{
    struct timers timers = {.now = BEGIN};
    unsigned freed = 0;

    for (usec_t i = 0; i < 100; i++) {
        struct heaped *heaped = xcalloc(1, sizeof(*heaped));
        *heaped = (struct heaped){.timer.callback = on_last, .freed = &freed};
        timer_start(&timers, &heaped->timer, i * 7 % 10);
    }
    assert_int_equal(timers_run(&timers, BEGIN + 4), 50);
    assert_int_equal(timers_run(&timers, BEGIN + 9), 50);
    assert_int_equal(freed, 100);
    timers_deinit(&timers);
}

static void test_long_lengths(void **state)
{
    struct timers timers = {.now = BEGIN};
    struct ringing a = RINGING;

    timer_start(&timers, &a.timer, USEC_INFINITY - 1); /* would overflow */
    assert_int_equal(timers_run(&timers, BEGIN * 1000), 0);
    timer_stop(&a.timer);
    timers_deinit(&timers);
}

static void test_reads_the_clock_once(void **state)
{
    struct timers timers = {0};
    const usec_t before = now_monotonic();
    const usec_t now = timers_now(&timers);

    assert_in_range(now, before, now_monotonic());
    while (now_monotonic() == now)
        ;
    assert_int_equal(timers_now(&timers), now);
    timers_run(&timers, now + 7);
    assert_int_equal(timers_now(&timers), now + 7);
    timers_deinit(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rings_once_when_due),   cmocka_unit_test(test_restart_moves),
        cmocka_unit_test(test_suspended_and_stopped), cmocka_unit_test(test_restart_in_callback),
        cmocka_unit_test(test_callback_may_free),     cmocka_unit_test(test_long_lengths),
        cmocka_unit_test(test_reads_the_clock_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
