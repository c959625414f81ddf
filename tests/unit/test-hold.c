/* The queue of requests that wait: none overtakes, none waits too long, and they go out at a bounded rate. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "upstream/hold.h"

#define MS USEC_PER_MSEC

static void test_in_order(void **state)
{
    struct hold_entry entries[3] = {{.since = 30}, {.since = 10}, {.since = 20}};
    struct hold_queue queue;
    hold_init(&queue, USEC_PER_SEC, 1000);

    for (size_t i = 0; i < 3; i++)
        hold_add(&queue, &entries[i], false);
    const usec_t now = 500 * MS;
    assert_ptr_equal(hold_next(&queue, now), &entries[1]);
    assert_ptr_equal(hold_next(&queue, now), &entries[2]);
    hold_add(&queue, &entries[2], true); /* it could not go after all */
    assert_ptr_equal(hold_next(&queue, now), &entries[2]);
    assert_ptr_equal(hold_next(&queue, now), &entries[0]);
    assert_null(hold_next(&queue, now));
    assert_int_equal(hold_next_at(&queue), USEC_INFINITY);
}

static void test_equal_times_keep_their_order(void **state)
{
    struct hold_entry entries[5] = {0};
    struct hold_queue queue;
    hold_init(&queue, USEC_PER_SEC, 1000);
    for (size_t i = 0; i < 5; i++)
        hold_add(&queue, &entries[i], false);
    assert_ptr_equal(hold_next(&queue, USEC_PER_SEC), &entries[0]);
    hold_add(&queue, &entries[0], true); /* it could not go after all, and is the first again */
    for (size_t i = 0; i < 5; i++)
        assert_ptr_equal(hold_next(&queue, USEC_PER_SEC), &entries[i]);
}

static void test_rate(void **state)
{
    struct hold_entry entries[1000] = {0};
    struct hold_queue queue;
    unsigned out = 0;
    const usec_t start = 100 * USEC_PER_SEC;
    hold_init(&queue, USEC_INFINITY, 100);

    for (size_t i = 0; i < 1000; i++)
        hold_add(&queue, &entries[i], false);
    while (hold_next(&queue, start))
        out++;
    assert_in_range(out, 1, 6); /* what 50 ms allow */
    for (usec_t now = start; now <= start + USEC_PER_SEC; now += MS)
        while (hold_next(&queue, now))
            out++;
    assert_in_range(out, 100, 106);

    /* Each that arrives behind others lets one more go. */
    const usec_t now = start + USEC_PER_SEC;
    const unsigned before = out;
    for (size_t i = 0; i < 50; i++)
        hold_allow_one(&queue);
    while (hold_next(&queue, now))
        out++;
    assert_in_range(out - before, 5, 51);
    assert_true(hold_next_at(&queue) > now);
}

static void test_patience(void **state)
{
    struct hold_entry entries[2] = {{.since = 100}, {.since = 300}};
    struct hold_queue queue;
    hold_init(&queue, 1000, 1);
    hold_add(&queue, &entries[0], false);
    hold_add(&queue, &entries[1], false);
    assert_null(hold_expired(&queue, 1099));
    assert_ptr_equal(hold_expired(&queue, 1100), &entries[0]);
    assert_false(entries[0].queued);
    assert_null(hold_expired(&queue, 1100));
    assert_ptr_equal(hold_expired(&queue, 5000), &entries[1]);
    assert_null(hold_expired(&queue, 5000));
    assert_int_equal(queue.n, 0);
}

static void test_taken_out(void **state)
{
    struct hold_entry entry = {0};
    struct hold_queue queue;
    hold_init(&queue, 1000, 1);
    hold_remove(&queue, &entry);
    hold_add(&queue, &entry, false);
    assert_int_equal(queue.n, 1);
    hold_remove(&queue, &entry);
    hold_remove(&queue, &entry);
    assert_int_equal(queue.n, 0);
    assert_null(hold_next(&queue, USEC_PER_SEC));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),  cmocka_unit_test(test_equal_times_keep_their_order),
        cmocka_unit_test(test_rate),      cmocka_unit_test(test_patience),
        cmocka_unit_test(test_taken_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
