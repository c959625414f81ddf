/* Conditional requests, ranges, dates, and what a client accepts: RFC 9110's rules as tables. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http/accept.h"
#include "http/conditional.h"
#include "http/date.h"

#define TAG "\"5d-2a\""
#define MODIFIED 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AT "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct conditional_target target = {
    .etag = SLICE_LITERAL(TAG),
    .last_modified = MODIFIED,
    .now = MODIFIED + 86400,
    .size = 1000,
};

static struct slice field(const char *value)
{
    return value ? slice_of(value) : slice_make(NULL, 0);
}

static void test_preconditions(void **state)
{
    enum {
        OK = CONDITIONAL_FULL,
        SAME = CONDITIONAL_NOT_MODIFIED,
        FAILED = CONDITIONAL_PRECONDITION_FAILED,
    };
    static const struct {
        const char *if_match, *if_unmodified_since, *if_none_match, *if_modified_since;
        int expected;
    } cases[] = {
        {NULL, NULL, NULL, NULL, OK},

        /* If-Match: strong comparison */
        {TAG, NULL, NULL, NULL, OK},
        {"*", NULL, NULL, NULL, OK},
        {" * ", NULL, NULL, NULL, OK},
        {"\"x\", " TAG, NULL, NULL, NULL, OK},
        {"\"x\",,\t" TAG " ,", NULL, NULL, NULL, OK},
        {"\"a,b\"," TAG, NULL, NULL, NULL, OK},
        {"\"x\"", NULL, NULL, NULL, FAILED},
        {"W/" TAG, NULL, NULL, NULL, FAILED},
        {"", NULL, NULL, NULL, FAILED},
        {"5d-2a", NULL, NULL, NULL, FAILED},
        {"\"5d-2a", NULL, NULL, NULL, FAILED},
        {"\"x\" " TAG, NULL, NULL, NULL, FAILED},

        /* If-Unmodified-Since, and only without If-Match */
        {NULL, AFTER, NULL, NULL, OK},
        {NULL, AT, NULL, NULL, OK},
        {NULL, BEFORE, NULL, NULL, FAILED},
        {NULL, "yesterday", NULL, NULL, OK},
        {NULL, "", NULL, NULL, OK},
        {TAG, BEFORE, NULL, NULL, OK},
        {"\"x\"", AFTER, NULL, NULL, FAILED},

        /* If-None-Match: weak comparison */
        {NULL, NULL, TAG, NULL, SAME},
        {NULL, NULL, "W/" TAG, NULL, SAME},
        {NULL, NULL, "*", NULL, SAME},
        {NULL, NULL, "\"x\", W/\"y\", W/" TAG, NULL, SAME},
        {NULL, NULL, "\"x\"", NULL, OK},
        {NULL, NULL, "", NULL, OK},
        {NULL, NULL, "garbage, " TAG, NULL, OK},
        {NULL, NULL, "\"*\"", NULL, OK},
        {NULL, NULL, "w/" TAG, NULL, OK},

        /* If-Modified-Since, and only without If-None-Match */
        {NULL, NULL, NULL, AT, SAME},
        {NULL, NULL, NULL, AFTER, SAME},
        {NULL, NULL, NULL, BEFORE, OK},
        {NULL, NULL, NULL, "Sunday, 06-Nov-94 08:49:37 GMT", SAME},
        {NULL, NULL, NULL, "Sun Nov  6 08:49:37 1994", SAME},
        {NULL, NULL, NULL, "784111777", OK},
        {NULL, NULL, "\"x\"", AFTER, OK},
        {NULL, NULL, TAG, BEFORE, SAME},

        /* the first two before the last two */
        {TAG, NULL, TAG, NULL, SAME},
        {"\"x\"", NULL, TAG, NULL, FAILED},
        {NULL, BEFORE, TAG, NULL, FAILED},
        {NULL, BEFORE, NULL, AT, FAILED},
        {NULL, AT, NULL, AT, SAME},
        {TAG, BEFORE, "\"x\"", AFTER, OK},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct conditional_fields fields = {
            .if_match = field(cases[i].if_match),
            .if_unmodified_since = field(cases[i].if_unmodified_since),
            .if_none_match = field(cases[i].if_none_match),
            .if_modified_since = field(cases[i].if_modified_since),
        };
        struct byte_ranges ranges;
        for (int is_get = 0; is_get < 2; is_get++) {
            int got = conditional_evaluate(&fields, &target, is_get, &ranges);
            if (got != cases[i].expected)
                fail_msg("case %zu: %d, expected %d", i, got, cases[i].expected);
        }
        /* A range changes nothing unless all is well, and is for GET only. */
        fields.range = SLICE_LITERAL("bytes=0-0");
        int expected = cases[i].expected == OK ? CONDITIONAL_PARTIAL : cases[i].expected;
        assert_int_equal(conditional_evaluate(&fields, &target, true, &ranges), expected);
        assert_int_equal(conditional_evaluate(&fields, &target, false, &ranges), cases[i].expected);
    }
}

static void test_if_range(void **state)
{
    static const struct {
        const char *if_range;
        bool is_partial;
    } cases[] = {
        {NULL, true},        {TAG, true},        {" " TAG " ", true},    {"\"x\"", false}, {"W/" TAG, false},
        {AT, true},          {AFTER, false},     {BEFORE, false},        {"", false},      {"*", false},
        {"nonsense", false}, {"\"5d-2a", false}, {TAG ", \"x\"", false}, {"Wed", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct conditional_fields fields = {.if_range = field(cases[i].if_range),
                                            .range = SLICE_LITERAL("bytes=0-9")};
        struct byte_ranges ranges;
        int got = conditional_evaluate(&fields, &target, true, &ranges);
        if (got != (cases[i].is_partial ? CONDITIONAL_PARTIAL : CONDITIONAL_FULL))
            fail_msg("case %zu: %d", i, got);
    }

    /* A file of this very second may be written once more without a change of its date. */
    struct conditional_target fresh = target;
    fresh.now = fresh.last_modified;
    struct conditional_fields fields = {.if_range = SLICE_LITERAL(AT), .range = SLICE_LITERAL("bytes=0-9")};
    struct byte_ranges ranges;
    assert_int_equal(conditional_evaluate(&fields, &fresh, true, &ranges), CONDITIONAL_FULL);
}

static void test_ranges(void **state)
{
    enum {
        FULL = CONDITIONAL_FULL,
        PARTIAL = CONDITIONAL_PARTIAL,
        BEYOND = CONDITIONAL_UNSATISFIABLE,
    };
    static const struct {
        const char *range;
        uint64_t size;
        int expected;
        const char *ranges; /* "first+size first+size" */
    } cases[] = {
        {"bytes=0-0", 1000, PARTIAL, "0+1"},
        {"bytes=0-499", 1000, PARTIAL, "0+500"},
        {"bytes=500-999", 1000, PARTIAL, "500+500"},
        {"bytes=500-5000", 1000, PARTIAL, "500+500"},
        {"bytes=999-", 1000, PARTIAL, "999+1"},
        {"bytes=0-", 1000, PARTIAL, "0+1000"},
        {"bytes=-1", 1000, PARTIAL, "999+1"},
        {"bytes=-500", 1000, PARTIAL, "500+500"},
        {"bytes=-5000", 1000, PARTIAL, "0+1000"},
        {"BYTES=0-0", 1000, PARTIAL, "0+1"},
        {" bytes=0-0 ", 1000, PARTIAL, "0+1"},
        {"bytes= 0-0 , 5-6 ,", 1000, PARTIAL, "0+1 5+2"},
        {"bytes=5-6,0-0", 1000, PARTIAL, "5+2 0+1"},
        {"bytes=0-0,-1", 1000, PARTIAL, "0+1 999+1"},
        {"bytes=0-0,1000-", 1000, PARTIAL, "0+1"},
        {"bytes=0-0,-0", 1000, PARTIAL, "0+1"},
        {"bytes=0-18446744073709551615", 1000, PARTIAL, "0+1000"},
        {"bytes=0-99999999999999999999999999", 1000, PARTIAL, "0+1000"},
        {"bytes=-99999999999999999999999999", 1000, PARTIAL, "0+1000"},
        {"bytes=1-1,1-1", 1000, PARTIAL, "1+1 1+1"},

        {"bytes=1000-", 1000, BEYOND},
        {"bytes=1000-1001", 1000, BEYOND},
        {"bytes=99999999999999999999999999-", 1000, BEYOND},
        {"bytes=-0", 1000, BEYOND},
        {"bytes=1000-,2000-", 1000, BEYOND},
        {"bytes=0-", 0, BEYOND},
        {"bytes=-1", 0, BEYOND},

        {"", 1000, FULL},
        {"bytes", 1000, FULL},
        {"bytes=", 1000, FULL},
        {"bytes=,", 1000, FULL},
        {"bytes=-", 1000, FULL},
        {"bytes=5", 1000, FULL},
        {"bytes=5-4", 1000, FULL},
        {"bytes=a-b", 1000, FULL},
        {"bytes=0-1x", 1000, FULL},
        {"bytes=0 - 1", 1000, FULL},
        {"bytes=+1-2", 1000, FULL},
        {"bytes=--1", 1000, FULL},
        {"bytes=0-0;5-6", 1000, FULL},
        {"bytes=0-0,x", 1000, FULL},
        {"bytes=0-0 5-6", 1000, FULL},
        {"bytes=0x0-1", 1000, FULL},
        {"lines=0-1", 1000, FULL},
        {"bytes:0-1", 1000, FULL},

        /* more than is sensible */
        {"bytes=0-,0-", 1000, FULL},
        {"bytes=0-499,400-999", 1000, FULL},
        {"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15", 1000, PARTIAL,
         "0+1 1+1 2+1 3+1 4+1 5+1 6+1 7+1 8+1 9+1 10+1 11+1 12+1 13+1 14+1 15+1"},
        {"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15,16-16", 1000,
         FULL},
        {"bytes=0-9223372036854775806,0-9223372036854775806,0-9223372036854775806", INT64_MAX, FULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct conditional_target sized = target;
        sized.size = cases[i].size;
        struct conditional_fields fields = {.range = slice_of(cases[i].range)};
        struct byte_ranges ranges;
        int got = conditional_evaluate(&fields, &sized, true, &ranges);
        if (got != cases[i].expected)
            fail_msg("\"%s\" of %llu: %d, expected %d", cases[i].range, (unsigned long long)cases[i].size,
                     got, cases[i].expected);
        if (got != PARTIAL)
            continue;
        char text[512] = "";
        size_t used = 0;
        for (size_t k = 0; k < ranges.n; k++) {
            assert_true(ranges.range[k].size > 0 &&
                        ranges.range[k].first + ranges.range[k].size <= sized.size);
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%llu+%llu", k ? " " : "",
                                     (unsigned long long)ranges.range[k].first,
                                     (unsigned long long)ranges.range[k].size);
        }
        assert_string_equal(text, cases[i].ranges);
    }
}

static void test_dates(void **state)
{
    static const struct {
        const char *text;
        time_t expected; /* -1: not a date */
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", MODIFIED},
        {"Sunday, 06-Nov-94 08:49:37 GMT", MODIFIED},
        {"Sun Nov  6 08:49:37 1994", MODIFIED},
        {"Sun Nov 06 08:49:37 1994", MODIFIED},
        {"Wed, 29 Feb 2040 00:00:00 GMT", 2214086400},
        {"Friday, 01-Jan-70 00:00:00 GMT", 3155760000}, /* 2070 is not more than 50 years from 2027 */
        {"Sunday, 01-Jan-78 00:00:00 GMT", 252460800},  /* 2078 is */
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
        {"", -1},
        {"Sun", -1},
        {"Sun,", -1},
        {"Sunday", -1},
        {"Son, 06 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
        {"Sun, 06 Nov 1994 08:49:37 +0000", -1},
        {"Sun, 06 nov 1994 08:49:37 GMT", -1},
        {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 31 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:60:37 GMT", -1},
        {"Sun, 06 Nov -994 08:49:37 GMT", -1},
        {"Sun, 06-Nov-94 08:49:37 GMT", -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        time_t got = -1;
        bool ok = http_date_parse(slice_of(cases[i].text), 1800000000, &got);
        if (ok != (cases[i].expected != -1) || got != cases[i].expected)
            fail_msg("\"%s\" became %lld, not %lld", cases[i].text, (long long)got,
                     (long long)cases[i].expected);
    }
    char text[HTTP_DATE_MAX];
    assert_int_equal(http_date_format(MODIFIED, text), strlen(AT));
    assert_string_equal(text, AT);
    for (time_t t = 0; t < 4000000000; t += 86400 * 13 + 3601) {
        time_t back;
        size_t size = http_date_format(t, text);
        assert_true(http_date_parse(slice_make(text, size), 1800000000, &back));
        assert_int_equal(back, t);
    }
}

static void test_codings(void **state)
{
    static const struct {
        const char *field;
        int gzip, br;
    } cases[] = {
        {"", -1, -1},
        {"gzip", 1000, -1},
        {"gzip, deflate, br", 1000, 1000},
        {"GZip;Q=0.5,BR", 500, 1000},
        {"gzip;q=0", 0, -1},
        {"gzip;q=0.000, *", 0, 1000},
        {"*;q=0.1", 100, 100},
        {"*;q=0, br", 0, 1000},
        {"br;q=1.000 , gzip ; q=0.25", 250, 1000},
        {"gzip;q=1.001", -1, -1},
        {"gzip;q=2, br;q=0.5555, gzip;q=.5", -1, -1},
        {"gzip;q=", -1, -1},
        {"gzipped, xbr", -1, -1},
        {",,gzip,,", 1000, -1},
        {"identity;q=\"a,gzip\"", -1, -1},
        {"\"gzip", -1, -1},
        {";q=1", -1, -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int gzip = accept_coding_quality(slice_of(cases[i].field), SLICE_LITERAL("gzip"));
        int br = accept_coding_quality(slice_of(cases[i].field), SLICE_LITERAL("br"));
        if (gzip != cases[i].gzip || br != cases[i].br)
            fail_msg("\"%s\": gzip %d, br %d", cases[i].field, gzip, br);
    }
}

static void test_media_types(void **state)
{
    static const struct {
        const char *field;
        int html, json;
    } cases[] = {
        {"", -1, -1},
        {"*/*", 1000, 1000},
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", 1000, 800},
        {"text/*;q=0.3, text/html;q=0.7, */*;q=0.5", 700, 500},
        {"text/html;q=0, text/*", 0, -1},
        {"TEXT/HTML", 1000, -1},
        {"text/html;level=1;q=0.4", 400, -1},
        {"application/*", -1, 1000},
        {"*", -1, -1},
        {"*/json", -1, -1},
        {"text/", -1, -1},
        {"/*", -1, -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int html = accept_media_quality(slice_of(cases[i].field), SLICE_LITERAL("text/html"));
        int json = accept_media_quality(slice_of(cases[i].field), SLICE_LITERAL("application/problem+json"));
        if (html != cases[i].html || json != cases[i].json)
            fail_msg("\"%s\": html %d, json %d", cases[i].field, html, json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_preconditions), cmocka_unit_test(test_if_range),
        cmocka_unit_test(test_ranges),        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_codings),       cmocka_unit_test(test_media_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
