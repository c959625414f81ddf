/* The heap of deadlines against a plain array that is searched. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "util/deadline.h"

#define N 50

static void test_moves(void **state)
{
    struct deadlines heap = {0};
    struct deadline a = DEADLINE_INIT, b = DEADLINE_INIT;

    assert_int_equal(deadlines_next(&heap), USEC_INFINITY);
    deadlines_set(&heap, &a, USEC_INFINITY);
    assert_int_equal(deadlines_next(&heap), USEC_INFINITY);
    deadlines_set(&heap, &a, 10);
    deadlines_set(&heap, &b, 20);
    assert_int_equal(deadlines_next(&heap), 10);
    assert_null(deadlines_pop(&heap, 9));
    assert_ptr_equal(deadlines_pop(&heap, 10), &a);
    assert_int_equal(a.at, USEC_INFINITY);

    /* Earlier at once, later when it comes up. */
    deadlines_set(&heap, &b, 5);
    assert_int_equal(deadlines_next(&heap), 5);
    deadlines_set(&heap, &b, 30);
    assert_null(deadlines_pop(&heap, 29));
    assert_int_equal(deadlines_next(&heap), 30);
    deadlines_set(&heap, &b, USEC_INFINITY);
    assert_null(deadlines_pop(&heap, 100));
    assert_int_equal(deadlines_next(&heap), USEC_INFINITY);
    deadlines_remove(&heap, &b);
    deadlines_deinit(&heap);
}

static void test_random_moves(void **state)
{
    struct deadline deadlines[N];
    usec_t expected[N], now = 0;
    struct deadlines heap = {0};

    srand(1);
    for (size_t i = 0; i < N; i++) {
        deadlines[i] = (struct deadline)DEADLINE_INIT;
        expected[i] = USEC_INFINITY;
    }
    for (unsigned step = 0; step < 100000; step++) {
        size_t i = (size_t)rand() % N;
        switch (rand() % 8) {
        case 0:
            deadlines_remove(&heap, &deadlines[i]);
            expected[i] = USEC_INFINITY;
            break;
        case 1:
            deadlines_set(&heap, &deadlines[i], USEC_INFINITY);
            expected[i] = USEC_INFINITY;
            break;
        case 2:
            now += (usec_t)rand() % 20;
            for (struct deadline *due; (due = deadlines_pop(&heap, now));) {
                size_t which = (size_t)(due - deadlines);
                assert_in_range(expected[which], 0, now);
                expected[which] = USEC_INFINITY;
            }
            for (size_t k = 0; k < N; k++)
                assert_true(expected[k] > now);
            break;
        default:
            expected[i] = now + 1 + (usec_t)rand() % 100;
            deadlines_set(&heap, &deadlines[i], expected[i]);
        }
        usec_t next = deadlines_next(&heap);
        for (size_t k = 0; k < N; k++)
            assert_true(next <= expected[k]);
    }
    for (size_t i = 0; i < N; i++)
        deadlines_remove(&heap, &deadlines[i]);
    deadlines_deinit(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_random_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
