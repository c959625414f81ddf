/* Which upload has waited longest. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http/http2_uploads.h"

static uint32_t oldest(const struct http2_uploads *uploads)
{
    const struct http2_upload *upload = http2_uploads_oldest(uploads);
    return upload ? upload->stream : 0;
}

static usec_t since(const struct http2_uploads *uploads)
{
    const struct http2_upload *upload = http2_uploads_oldest(uploads);
    return upload ? upload->arrived_at : USEC_INFINITY;
}

static void test_order(void **state)
{
    struct http2_uploads uploads = {0};

    assert_int_equal(oldest(&uploads), 0);
    for (uint32_t stream = 1; stream <= 199; stream += 2)
        http2_uploads_arrived(&uploads, stream, stream);
    assert_int_equal(oldest(&uploads), 1);
    http2_uploads_arrived(&uploads, 1, 300);
    assert_int_equal(oldest(&uploads), 3);
    http2_uploads_ended(&uploads, 3);
    http2_uploads_ended(&uploads, 3);
    http2_uploads_ended(&uploads, 4);
    assert_int_equal(oldest(&uploads), 5);
    assert_int_equal(since(&uploads), 5);
    for (uint32_t stream = 5; stream <= 199; stream += 2)
        http2_uploads_ended(&uploads, stream);
    assert_int_equal(oldest(&uploads), 1);
    assert_int_equal(since(&uploads), 300);
    http2_uploads_ended(&uploads, 1);
    assert_int_equal(oldest(&uploads), 0);
    http2_uploads_deinit(&uploads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
