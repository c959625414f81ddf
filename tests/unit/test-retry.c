/* When a request may be tried again: the table that decides whether something is executed twice. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "upstream/retry.h"

static enum retry decide(enum client_error error, bool sent, bool reused, bool repeatable)
{
    struct client_outcome outcome = {.error = error, .sent = sent, .reused = reused};
    return retry_decide(&outcome, repeatable, 1, 8);
}

static void test_not_sent_goes_elsewhere(void **state)
{
    for (int m = 0; m < 2; m++) {
        assert_int_equal(decide(CLIENT_CONNECT_FAILED, false, false, m), RETRY_ELSEWHERE);
        assert_int_equal(decide(CLIENT_CONNECT_TIMEOUT, false, false, m), RETRY_ELSEWHERE);
        assert_int_equal(decide(CLIENT_SEND_FAILED, false, true, m), RETRY_FRESH);
    }
}

static void test_sent_only_if_repeatable(void **state)
{
    assert_int_equal(decide(CLIENT_CLOSED_EARLY, true, true, true), RETRY_FRESH);
    assert_int_equal(decide(CLIENT_CLOSED_EARLY, true, false, true), RETRY_ELSEWHERE);
    assert_int_equal(decide(CLIENT_SEND_FAILED, true, true, true), RETRY_FRESH);
    assert_int_equal(decide(CLIENT_TRY_TIMEOUT, true, false, true), RETRY_ELSEWHERE);
    assert_int_equal(decide(CLIENT_CLOSED_EARLY, true, true, false), RETRY_NO);
    assert_int_equal(decide(CLIENT_CLOSED_EARLY, true, false, false), RETRY_NO);
    assert_int_equal(decide(CLIENT_SEND_FAILED, true, true, false), RETRY_NO);
    assert_int_equal(decide(CLIENT_TRY_TIMEOUT, true, false, false), RETRY_NO);
    assert_int_equal(decide(CLIENT_TRY_TIMEOUT, false, false, false), RETRY_ELSEWHERE);
}

static void test_only_what_was_sent_costs(void **state)
{
    assert_true(retry_costs(&(struct client_outcome){.error = CLIENT_CLOSED_EARLY, .sent = true}));
    assert_false(retry_costs(&(struct client_outcome){.error = CLIENT_CONNECT_FAILED}));
}

static void test_never(void **state)
{
    struct client_outcome outcome = {.error = CLIENT_CLOSED_EARLY, .sent = true, .response_began = true};
    assert_int_equal(retry_decide(&outcome, true, 1, 8), RETRY_NO);
    outcome = (struct client_outcome){.error = CLIENT_CONNECT_FAILED};
    assert_int_equal(retry_decide(&outcome, true, 7, 8), RETRY_ELSEWHERE);
    assert_int_equal(retry_decide(&outcome, true, 8, 8), RETRY_NO);
    assert_int_equal(decide(CLIENT_FIRST_BYTE_TIMEOUT, true, false, true), RETRY_NO);
    assert_int_equal(decide(CLIENT_BAD_RESPONSE, true, false, true), RETRY_NO);
    assert_int_equal(decide(CLIENT_OK, true, false, true), RETRY_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_sent_goes_elsewhere),
        cmocka_unit_test(test_sent_only_if_repeatable),
        cmocka_unit_test(test_only_what_was_sent_costs),
        cmocka_unit_test(test_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
