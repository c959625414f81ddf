/* Which upload comes too slowly. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http/http2_uploads.h"

static const struct pace_limits limits = {.grace = 10, .min_rate = USEC_PER_SEC}; /* a byte for each tick */

static uint32_t late(const struct http2_uploads *uploads, usec_t now)
{
    enum pace_verdict verdict;
    return http2_uploads_late(uploads, &limits, now, &verdict);
}

static void test_each_has_its_own_pace(void **state)
{
    struct http2_uploads uploads = {0};
    enum pace_verdict verdict;

    assert_int_equal(late(&uploads, USEC_INFINITY - 1), 0);
    for (uint32_t stream = 1; stream <= 199; stream += 2)
        http2_uploads_arrived(&uploads, stream, 0, &limits, 0);
    assert_int_equal(late(&uploads, 9), 0);
    for (uint32_t stream = 3; stream <= 199; stream += 2)
        http2_uploads_arrived(&uploads, stream, stream == 5 ? 2 : 9, &limits, 9);
    assert_int_equal(http2_uploads_late(&uploads, &limits, 10, &verdict), 1);
    assert_int_equal(verdict, PACE_STALLED);
    http2_uploads_ended(&uploads, 1);
    http2_uploads_ended(&uploads, 1);
    assert_int_equal(late(&uploads, 11), 0);
    assert_int_equal(http2_uploads_late(&uploads, &limits, 12, &verdict), 5);
    assert_int_equal(verdict, PACE_SLOW);
    http2_uploads_ended(&uploads, 5);
    assert_int_equal(late(&uploads, 18), 0);
    assert_int_equal(uploads.n, 98);
    for (uint32_t stream = 1; stream <= 199; stream += 2)
        http2_uploads_ended(&uploads, stream);
    assert_int_equal(uploads.n, 0);
    http2_uploads_deinit(&uploads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_has_its_own_pace)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
