#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "journal/allowance.h"

static void test_so_many_a_second(void **state)
{
    struct allowance allowance = {0};
    const usec_t begin = 7 * USEC_PER_SEC;

    for (int i = 0; i < 3; i++)
        assert_true(allowance_take(&allowance, 3, begin));
    assert_false(allowance_take(&allowance, 3, begin + USEC_PER_SEC - 1));
    assert_true(allowance_take(&allowance, 3, begin + USEC_PER_SEC));
}

static void test_what_was_withheld_is_told_once(void **state)
{
    struct allowance allowance = {0};

    assert_true(allowance_take(&allowance, 1, 0));
    assert_int_equal(allowance_take_withheld(&allowance), 0);
    for (int i = 0; i < 1000; i++)
        assert_false(allowance_take(&allowance, 1, 10));
    assert_true(allowance_take(&allowance, 1, USEC_PER_SEC));
    assert_int_equal(allowance_take_withheld(&allowance), 1000);
    assert_int_equal(allowance_take_withheld(&allowance), 0);
}

static void test_none_at_all(void **state)
{
    struct allowance allowance = {0};
    assert_false(allowance_take(&allowance, 0, 0));
    assert_int_equal(allowance_take_withheld(&allowance), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_so_many_a_second),
        cmocka_unit_test(test_what_was_withheld_is_told_once),
        cmocka_unit_test(test_none_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
