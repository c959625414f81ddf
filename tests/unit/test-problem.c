/* The texts of error responses. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <jansson.h>

#include "http/problem.h"

#define HOSTILE "<script>alert(\"x\\y\")</script> & \n\r\t\x01 \xc3\xa9"

static void test_json(void **state)
{
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    problem_format_json(&out, 404, HOSTILE, slice_of("id-\"1"));
    json_t *json = json_loadb(out.data, out.size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "type")), "about:blank");
    assert_string_equal(json_string_value(json_object_get(json, "title")), "Not Found");
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 404);
    assert_string_equal(json_string_value(json_object_get(json, "detail")), HOSTILE);
    assert_string_equal(json_string_value(json_object_get(json, "request_id")), "id-\"1");
    json_decref(json);

    strbuf_clear(&out);
    problem_format_json(&out, 503, NULL, slice_make(NULL, 0));
    json = json_loadb(out.data, out.size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    assert_int_equal(json_object_size(json), 3);
    json_decref(json);
}

static void test_html(void **state)
{
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    problem_format_html(&out, 502, HOSTILE, slice_of("<id>"));
    assert_non_null(strstr(out.data, "<h1>502 Bad Gateway</h1>"));
    assert_non_null(strstr(out.data, "&lt;script&gt;"));
    assert_non_null(strstr(out.data, "Request &lt;id&gt;"));
    assert_null(strstr(out.data, "<script"));
    assert_null(strstr(out.data, " & "));
}

static void test_text(void **state)
{
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    problem_format_text(&out, 429, "Later.", slice_of("id"));
    assert_string_equal(out.data, "429 Too Many Requests\nLater.\nRequest id\n");
    strbuf_clear(&out);
    problem_format_text(&out, 599, NULL, slice_make(NULL, 0));
    assert_string_equal(out.data, "599 Server Error\n");
}

static void test_reasons(void **state)
{
    for (int status = -1; status <= 1000; status++) {
        const char *reason = problem_reason(status);
        assert_non_null(reason);
        assert_true(*reason);
    }
    assert_string_equal(problem_reason(200), "OK");
    assert_string_equal(problem_reason(299), "Success");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_html),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
