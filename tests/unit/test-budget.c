#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "upstream/budget.h"

#define SEC USEC_PER_SEC
#define BEGIN (1000 * SEC)

/* How many retries there are to take now; takes them. */
static unsigned take_all(struct budget *budget, usec_t now)
{
    unsigned n = 0;
    while (budget_take(budget, now)) {
        n++;
        assert_true(n < 100000000);
    }
    assert_true(budget_next(budget, now) > now);
    return n;
}

static void request(struct budget *budget, unsigned n, usec_t now)
{
    while (n-- > 0)
        budget_request(budget, now);
}

static void test_minimum_is_there_from_the_start(void **state)
{
    struct budget budget;
    budget_init(&budget, 20, 10, 1, BEGIN);
    assert_int_equal(budget_next(&budget, BEGIN), BEGIN);
    assert_int_equal(take_all(&budget, BEGIN), 100);
}

static void test_workers_share_the_minimum_rounded_up(void **state)
{
    struct budget budget;
    const struct {
        unsigned minimum, n_workers, share;
    } cases[] = {{10, 1, 10}, {10, 3, 4}, {10, 10, 1}, {10, 64, 1}, {0, 4, 0}, {1000000, 7, 142858}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        budget_init(&budget, 20, cases[i].minimum, cases[i].n_workers, BEGIN);
        assert_int_equal(take_all(&budget, BEGIN), cases[i].share * 10);
    }
}

static void test_percent_of_requests(void **state)
{
    struct budget budget;
    budget_init(&budget, 20, 0, 1, BEGIN);
    assert_int_equal(take_all(&budget, BEGIN), 0);
    request(&budget, 4, BEGIN);
    assert_int_equal(take_all(&budget, BEGIN), 0);
    request(&budget, 1, BEGIN);
    assert_int_equal(budget_next(&budget, BEGIN), BEGIN);
    assert_int_equal(take_all(&budget, BEGIN), 1);
    request(&budget, 99, BEGIN);
    assert_int_equal(take_all(&budget, BEGIN), 19);
    budget_init(&budget, 100, 1, 1, BEGIN);
    request(&budget, 7, BEGIN);
    assert_int_equal(take_all(&budget, BEGIN), 17);
}

/* The current second and the nine before it. */
static void test_ten_seconds_are_remembered(void **state)
{
    struct budget budget;
    budget_init(&budget, 10, 0, 1, BEGIN);
    request(&budget, 100, BEGIN + SEC - 1);
    for (unsigned s = 1; s <= 9; s++) {
        assert_true(budget_take(&budget, BEGIN + s * SEC));
    }
    assert_int_equal(take_all(&budget, BEGIN + 10 * SEC - 1), 1);
    assert_int_equal(take_all(&budget, BEGIN + 10 * SEC), 0);
    /* The requests have gone, their retries go one by one and leave nothing behind that is less than none. */
    request(&budget, 50, BEGIN + 12 * SEC);
    assert_int_equal(take_all(&budget, BEGIN + 12 * SEC), 0); /* 8 of the old ones remain */
    assert_int_equal(take_all(&budget, BEGIN + 16 * SEC), 1);
    assert_int_equal(take_all(&budget, BEGIN + 17 * SEC), 1);
    assert_int_equal(take_all(&budget, BEGIN + 18 * SEC), 1);
}

static void test_what_was_taken_comes_back(void **state)
{
    struct budget budget;
    budget_init(&budget, 20, 1, 1, BEGIN);
    for (unsigned i = 0; i < 10; i++)
        assert_true(budget_take(&budget, BEGIN + i * SEC / 2));
    /* Two in each of five seconds. */
    assert_false(budget_take(&budget, BEGIN + 10 * SEC - 1));
    for (unsigned s = 10; s < 15; s++)
        assert_int_equal(take_all(&budget, BEGIN + s * SEC), 2);
    assert_int_equal(take_all(&budget, BEGIN + 19 * SEC), 0);
    assert_int_equal(take_all(&budget, BEGIN + 20 * SEC), 2);
}

static void test_when_to_ask_again(void **state)
{
    struct budget budget;
    /* Where requests bring nothing, exactly. */
    budget_init(&budget, 0, 1, 1, BEGIN);
    assert_int_equal(take_all(&budget, BEGIN + 3 * SEC + 5), 10);
    assert_int_equal(budget_next(&budget, BEGIN + 3 * SEC + 5), BEGIN + 13 * SEC);
    assert_int_equal(budget_next(&budget, BEGIN + 9 * SEC), BEGIN + 13 * SEC);
    assert_false(budget_take(&budget, BEGIN + 13 * SEC - 1));
    assert_int_equal(budget_next(&budget, BEGIN + 13 * SEC), BEGIN + 13 * SEC);
    assert_true(budget_take(&budget, BEGIN + 13 * SEC));
    /* Where they may, within a second. */
    budget_init(&budget, 20, 1, 1, BEGIN);
    assert_int_equal(take_all(&budget, BEGIN + 5), 10);
    assert_int_equal(budget_next(&budget, BEGIN + 5), BEGIN + SEC);
    assert_int_equal(budget_next(&budget, BEGIN + SEC), BEGIN + 2 * SEC);
    /* Never. */
    budget_init(&budget, 0, 0, 1, BEGIN);
    assert_false(budget_take(&budget, BEGIN));
    assert_int_equal(budget_next(&budget, BEGIN), USEC_INFINITY);
}

static void test_jumps(void **state)
{
    struct budget budget;
    budget_init(&budget, 20, 1, 1, 0);
    request(&budget, 1000, 0);
    assert_int_equal(take_all(&budget, 0), 210);
    assert_int_equal(take_all(&budget, UINT64_C(1) << 62), 10);
    assert_int_equal(take_all(&budget, (UINT64_C(1) << 62) + SEC), 0);
    /* A clock of another thread that is behind. */
    budget_request(&budget, (UINT64_C(1) << 62) - 5 * SEC);
    assert_false(budget_take(&budget, (UINT64_C(1) << 62) - 5 * SEC));
    assert_true(budget_take(&budget, USEC_INFINITY - 1));
    take_all(&budget, USEC_INFINITY - 1);
    assert_int_equal(budget_next(&budget, USEC_INFINITY - 1), USEC_INFINITY);
}

/* Against a list of all that happened. */
static void test_never_more_than_the_share(void **state)
{
    static usec_t requests[20000], retries[20000];
    size_t n_requests = 0, n_retries = 0;
    unsigned seed = 7;
    struct budget budget;
    budget_init(&budget, 20, 2, 1, BEGIN);
    for (usec_t now = BEGIN; now < BEGIN + 120 * SEC; now += SEC / 50) {
        seed = seed * 1103515245 + 12345;
        if (seed >> 16 & 1) {
            budget_request(&budget, now);
            requests[n_requests++] = now;
        }
        size_t recent_requests = 0, recent_retries = 0;
        const usec_t from = (now / SEC - 9) * SEC;
        for (size_t i = 0; i < n_requests; i++)
            recent_requests += requests[i] >= from;
        for (size_t i = 0; i < n_retries; i++)
            recent_retries += retries[i] >= from;
        const bool expected = recent_retries < recent_requests * 20 / 100 + 20;
        assert_int_equal(budget_next(&budget, now) == now, expected);
        assert_int_equal(budget_take(&budget, now), expected);
        if (expected)
            retries[n_retries++] = now;
    }
    assert_true(n_retries > 700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_minimum_is_there_from_the_start),
        cmocka_unit_test(test_workers_share_the_minimum_rounded_up),
        cmocka_unit_test(test_percent_of_requests),
        cmocka_unit_test(test_ten_seconds_are_remembered),
        cmocka_unit_test(test_what_was_taken_comes_back),
        cmocka_unit_test(test_when_to_ask_again),
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_never_more_than_the_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
