/* When a request may be tried again: the table that decides whether something is executed twice. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "upstream/retry.h"

static enum retry decide(enum client_error error, bool sent, bool reused, enum method method)
{
    struct client_outcome outcome = {.error = error, .sent = sent, .reused = reused};
    return retry_decide(&outcome, method, 1, 8);
}

static void test_not_sent_goes_elsewhere(void **state)
{
    for (enum method m = 0; m < _METHOD_MAX; m++) {
        assert_int_equal(decide(CLIENT_CONNECT_FAILED, false, false, m), RETRY_ELSEWHERE);
        assert_int_equal(decide(CLIENT_CONNECT_TIMEOUT, false, false, m), RETRY_ELSEWHERE);
        assert_int_equal(decide(CLIENT_SEND_FAILED, false, true, m), RETRY_FRESH);
    }
}

static void test_sent_only_if_idempotent(void **state)
{
    for (enum method m = 0; m < _METHOD_MAX; m++) {
        bool idempotent = method_is_idempotent(m);
        assert_int_equal(decide(CLIENT_CLOSED_EARLY, true, true, m), idempotent ? RETRY_FRESH : RETRY_NO);
        assert_int_equal(decide(CLIENT_CLOSED_EARLY, true, false, m),
                         idempotent ? RETRY_ELSEWHERE : RETRY_NO);
        assert_int_equal(decide(CLIENT_SEND_FAILED, true, true, m), idempotent ? RETRY_FRESH : RETRY_NO);
    }
    assert_int_equal(decide(CLIENT_CLOSED_EARLY, true, true, METHOD_POST), RETRY_NO);
    assert_int_equal(decide(CLIENT_CLOSED_EARLY, true, true, METHOD_GET), RETRY_FRESH);
}

static void test_never(void **state)
{
    struct client_outcome outcome = {.error = CLIENT_CLOSED_EARLY, .sent = true, .response_began = true};
    assert_int_equal(retry_decide(&outcome, METHOD_GET, 1, 8), RETRY_NO);
    outcome = (struct client_outcome){.error = CLIENT_CONNECT_FAILED};
    assert_int_equal(retry_decide(&outcome, METHOD_GET, 7, 8), RETRY_ELSEWHERE);
    assert_int_equal(retry_decide(&outcome, METHOD_GET, 8, 8), RETRY_NO);
    assert_int_equal(decide(CLIENT_FIRST_BYTE_TIMEOUT, true, false, METHOD_GET), RETRY_NO);
    assert_int_equal(decide(CLIENT_BAD_RESPONSE, true, false, METHOD_GET), RETRY_NO);
    assert_int_equal(decide(CLIENT_OK, true, false, METHOD_GET), RETRY_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_sent_goes_elsewhere),
        cmocka_unit_test(test_sent_only_if_idempotent),
        cmocka_unit_test(test_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
