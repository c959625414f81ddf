#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "lifecycle/drain.h"

#define SEC USEC_PER_SEC
#define MSEC USEC_PER_MSEC

static void test_budget(void **state)
{
    /* What is configured counts. */
    assert_int_equal(drain_budget(3 * SEC, 90 * SEC), 3 * SEC);
    assert_int_equal(drain_budget(300 * SEC, 90 * SEC), 300 * SEC);
    assert_int_equal(drain_budget(0, 90 * SEC), 0);
    /* Otherwise a tenth less than systemd grants, between half a second and five. */
    assert_int_equal(drain_budget(USEC_INFINITY, 30 * SEC), 27 * SEC);
    assert_int_equal(drain_budget(USEC_INFINITY, 2 * SEC), 1500 * MSEC);
    assert_int_equal(drain_budget(USEC_INFINITY, 3600 * SEC), 3595 * SEC);
    assert_int_equal(drain_budget(USEC_INFINITY, 100 * MSEC), 0);
    assert_int_equal(drain_budget(USEC_INFINITY, USEC_INFINITY), USEC_INFINITY);
}

/* Walks through a drain in which nothing ends, up to `until`; returns how often each was asked for. */
struct counts {
    unsigned extend, progress, cut, done, steps;
    usec_t cut_at, done_at;
    usec_t covered; /* until when the last extension lets us live */
    bool gap;       /* an extension came after the one before had run out */
};

static struct counts walk(struct drain *drain, usec_t now, usec_t until, usec_t timeout_stop)
{
    struct counts c = {.covered = usec_add(now, timeout_stop)};
    while (now <= until && c.done == 0) {
        struct drain_actions actions;
        const usec_t next = drain_step(drain, now, false, &actions);
        c.steps++;
        if (actions.extend) {
            c.extend++;
            c.gap = c.gap || now > c.covered;
            c.covered = MAX(c.covered, usec_add(now, drain->extend_by));
        }
        c.progress += actions.log_progress;
        c.cut += actions.cut;
        c.done += actions.done;
        if (actions.cut)
            c.cut_at = now;
        if (actions.done)
            c.done_at = now;
        assert_true(next > now);
        now = next;
    }
    return c;
}

static void test_to_the_deadline(void **state)
{
    struct drain drain;
    const usec_t begin = 1000 * SEC;
    drain_begin(&drain, begin, 10 * SEC, 20 * SEC);
    const struct counts c = walk(&drain, begin, begin + 60 * SEC, 20 * SEC);
    assert_int_equal(c.extend, 0);
    assert_int_equal(c.progress, 9);
    assert_int_equal(c.cut, 1);
    assert_int_equal(c.cut_at, begin + 10 * SEC);
    assert_int_equal(c.done, 1);
    assert_in_range(c.done_at, c.cut_at, c.cut_at + SEC);
    assert_true(c.steps < 20);
}

static void test_auto_leaves_before_systemd_kills(void **state)
{
    const usec_t timeouts[] = {700 * MSEC, 1 * SEC, 2 * SEC, 5 * SEC, 30 * SEC, 90 * SEC, 3600 * SEC};
    for (size_t i = 0; i < ARRAY_SIZE(timeouts); i++) {
        struct drain drain;
        drain_begin(&drain, 1, drain_budget(USEC_INFINITY, timeouts[i]), timeouts[i]);
        const struct counts c = walk(&drain, 1, USEC_INFINITY - 1, timeouts[i]);
        assert_int_equal(c.extend, 0);
        assert_int_equal(c.done, 1);
        assert_true(c.done_at < 1 + timeouts[i]);
    }
}

static void test_longer_than_the_timeout(void **state)
{
    struct drain drain;
    drain_begin(&drain, 1, 60 * SEC, 7 * SEC);
    const struct counts c = walk(&drain, 1, 1 + 100 * SEC, 7 * SEC);
    assert_true(c.extend >= 12);
    assert_false(c.gap);
    assert_int_equal(c.cut_at, 1 + 60 * SEC);
    assert_true(c.done_at < c.covered);
    /* If we hang at the end, systemd does not wait much longer than was asked for. */
    assert_true(c.covered <= 1 + 60 * SEC + 5 * SEC);
}

static void test_without_end(void **state)
{
    struct drain drain;
    drain_begin(&drain, 1, USEC_INFINITY, USEC_INFINITY);
    struct counts c = walk(&drain, 1, 3600 * SEC, USEC_INFINITY);
    assert_int_equal(c.cut, 0);
    assert_int_equal(c.extend, 0);
    drain_begin(&drain, 1, USEC_INFINITY, 10 * SEC);
    c = walk(&drain, 1, 3600 * SEC, 10 * SEC);
    assert_int_equal(c.cut, 0);
    assert_false(c.gap);
    assert_true(c.extend > 600);
}

static void test_empty_ends_it(void **state)
{
    struct drain drain;
    struct drain_actions actions;
    drain_begin(&drain, 100, 10 * SEC, 20 * SEC);
    assert_false((drain_step(&drain, 100, false, &actions), actions.done));
    drain_step(&drain, 200, true, &actions);
    assert_true(actions.done);
    assert_false(actions.cut);
    assert_int_equal(drain.phase, DRAIN_DONE);

    /* After the cut too, and without being asked to cut again. */
    drain_begin(&drain, 100, 1 * SEC, 20 * SEC);
    drain_step(&drain, 100 + 2 * SEC, false, &actions);
    assert_true(actions.cut);
    drain_step(&drain, 101 + 2 * SEC, false, &actions);
    assert_false(actions.cut || actions.done);
    drain_step(&drain, 102 + 2 * SEC, true, &actions);
    assert_true(actions.done);
    assert_false(actions.cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_to_the_deadline),
        cmocka_unit_test(test_auto_leaves_before_systemd_kills),
        cmocka_unit_test(test_longer_than_the_timeout),
        cmocka_unit_test(test_without_end),
        cmocka_unit_test(test_empty_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
