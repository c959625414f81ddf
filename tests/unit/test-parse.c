#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <inttypes.h>

#include "util/parse.h"
#include "util/suggest.h"

static void test_bool(void **state)
{
    static const char *const yes[] = {"1", "yes", "Y", "true", "T", "ON"}, *const no[] = {"0", "No",
                                                                                          "n", "false",
                                                                                          "f", "off"},
                             *const neither[] = {"", "2", "yess", " yes", "01", "tru"};
    bool b;

    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        b = false;
        assert_int_equal(parse_bool(yes[i], &b), 0);
        assert_true(b);
    }
    for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
        b = true;
        assert_int_equal(parse_bool(no[i], &b), 0);
        assert_false(b);
    }
    for (size_t i = 0; i < ARRAY_SIZE(neither); i++) {
        b = true;
        assert_int_equal(parse_bool(neither[i], &b), -EINVAL);
        assert_true(b);
    }
}

static void test_u64(void **state)
{
    uint64_t n = 7;

    assert_int_equal(parse_u64("0", 0, 10, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(parse_u64("18446744073709551615", 0, UINT64_MAX, &n), 0);
    assert_true(n == UINT64_MAX);
    assert_int_equal(parse_u64("007", 0, 10, &n), 0);
    assert_int_equal(n, 7);
    assert_int_equal(parse_u64("18446744073709551616", 0, UINT64_MAX, &n), -ERANGE);
    assert_int_equal(parse_u64("99999999999999999999999", 0, UINT64_MAX, &n), -ERANGE);
    assert_int_equal(parse_u64("11", 0, 10, &n), -ERANGE);
    assert_int_equal(parse_u64("1", 2, 10, &n), -ERANGE);
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x1", "1e3", "99999999999999999999999x"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(parse_u64(bad[i], 0, UINT64_MAX, &n), -EINVAL);
    assert_int_equal(n, 7);
}

static void test_duration(void **state)
{
    static const struct {
        const char *text;
        usec_t usec;
    } good[] = {
        {"0", 0},
        {"5", 5 * USEC_PER_SEC},
        {"5s", 5 * USEC_PER_SEC},
        {"5 s", 5 * USEC_PER_SEC},
        {"1.5s", 1500 * USEC_PER_MSEC},
        {"0.000001", 1},
        {"250ms", 250 * USEC_PER_MSEC},
        {"250msec", 250 * USEC_PER_MSEC},
        {"2m", 120 * USEC_PER_SEC},
        {"2min", 120 * USEC_PER_SEC},
        {"1min 30s", 90 * USEC_PER_SEC},
        {"1min30s", 90 * USEC_PER_SEC},
        {"2minutes 1second", 121 * USEC_PER_SEC},
        {"1h", 3600 * USEC_PER_SEC},
        {"2hr", 7200 * USEC_PER_SEC},
        {"1d", 86400 * USEC_PER_SEC},
        {"1w", 7 * 86400 * USEC_PER_SEC},
        {"1M", UINT64_C(2629800) * USEC_PER_SEC},
        {"1month", UINT64_C(2629800) * USEC_PER_SEC},
        {"1y", UINT64_C(31557600) * USEC_PER_SEC},
        {"7us", 7},
        {"7\xc2\xb5s", 7},
        {"7\xce\xbcs", 7},
        {"7usec", 7},
        {"0.333333333333333333333333min", 19999999},
        {"1 min 2", 62 * USEC_PER_SEC},
        {"infinity", USEC_INFINITY},
        {"18446744073709551614us", USEC_INFINITY - 1},
    };
    usec_t t;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        t = 42;
        assert_int_equal(parse_duration(good[i].text, &t), 0);
        if (t != good[i].usec)
            fail_msg("%s is %" PRIu64 " µs, not %" PRIu64, good[i].text, t, good[i].usec);
    }
    static const char *const bad[] = {"",   " ",     "s",     "-1s", "+1s", "1x",       "1.s",    ".5s",
                                      "5S", "1ms2x", "1 30s", "5s,", "in",  "Infinity", "1.5.5s", "0x5"};
    t = 42;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (parse_duration(bad[i], &t) != -EINVAL)
            fail_msg("\"%s\" was not refused", bad[i]);
    static const char *const large[] = {"18446744073709551615us", "18446744073709551616us",
                                        "999999999999y",          "584542y 584542y",
                                        "18446744073709.551615s", "18446744073709.9s"};
    for (size_t i = 0; i < ARRAY_SIZE(large); i++)
        if (parse_duration(large[i], &t) != -ERANGE)
            fail_msg("\"%s\" was not out of range", large[i]);
    assert_int_equal(t, 42);
}

static void test_size(void **state)
{
    uint64_t n = 42;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"100", 100},
        {"100B", 100},
        {"1K", 1024},
        {"64M", UINT64_C(64) << 20},
        {"3G", UINT64_C(3) << 30},
        {"16777215T", UINT64_C(16777215) << 40},
        {"infinity", UINT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(parse_size(good[i].text, &n), 0);
        assert_true(n == good[i].bytes);
    }
    n = 42;
    static const char *const bad[] = {"",     "K",  "1k",  "1KB", "1KiB",
                                      "1.5G", "-1", "1 K", "1E",  "99999999999999999999x"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (parse_size(bad[i], &n) != -EINVAL)
            fail_msg("\"%s\" was not refused", bad[i]);
    static const char *const large[] = {"16777216T", "18446744073709551615", "18446744073709551616",
                                        "99999999999999999999K"};
    for (size_t i = 0; i < ARRAY_SIZE(large); i++)
        if (parse_size(large[i], &n) != -ERANGE)
            fail_msg("\"%s\" was not out of range", large[i]);
    assert_int_equal(n, 42);
}

static void test_format(void **state)
{
    char buf[FORMAT_DURATION_MAX];

    assert_string_equal(format_duration(buf, 0), "0");
    assert_string_equal(format_duration(buf, USEC_INFINITY), "infinity");
    assert_string_equal(format_duration(buf, 90 * USEC_PER_SEC), "1min 30s");
    assert_string_equal(format_duration(buf, 250 * USEC_PER_MSEC), "250ms");
    assert_string_equal(format_duration(buf, 1), "1us");
    assert_string_equal(format_duration(buf, USEC_INFINITY - 1), "213503982d 8h 1min 49s 551ms 614us");
    assert_string_equal(format_size(buf, 0), "0");
    assert_string_equal(format_size(buf, 1000), "1000");
    assert_string_equal(format_size(buf, 64 << 20), "64M");
    assert_string_equal(format_size(buf, UINT64_C(5) << 50), "5120T");
    assert_string_equal(format_size(buf, UINT64_MAX), "infinity");

    /* What is written can be read, and means the same. */
    usec_t t = 1;
    for (unsigned i = 0; i < 64; i++, t = t * 3 + i) {
        usec_t again;
        assert_int_equal(parse_duration(format_duration(buf, t), &again), 0);
        assert_true(t == again);
        assert_int_equal(parse_size(format_size(buf, t), &again), 0);
        assert_true(t == again);
    }
}

static void test_utf8(void **state)
{
    static const char *const good[] = {"",
                                       "abc",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       ("a\xe2\x82\xac"
                                        "b")};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      ("\xc2"
                                       "a"),
                                      "\xe0\x9f\xbf",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "ab\xfe"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(utf8_is_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (utf8_is_valid(bad[i], strlen(bad[i])))
            fail_msg("case %zu was taken for UTF-8", i);
    /* A sequence that goes on behind the end is cut short, not read. */
    assert_false(utf8_is_valid("\xe2\x82\xac", 2));
}

static const char *nearest(const char *word)
{
    static const char *const known[] = {"Target", "Balance", "HealthPath", "PoolSize", "PoolIdleSec"};
    struct suggestion s;

    suggest_init(&s, word);
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        suggest_consider(&s, known[i]);
    return s.best;
}

static void test_suggest(void **state)
{
    char long_word[200];

    assert_string_equal(nearest("Targets"), "Target");
    assert_string_equal(nearest("tagret"), "Target");
    assert_string_equal(nearest("Poolsize"), "PoolSize");
    assert_string_equal(nearest("HelthPat"), "HealthPath");
    assert_null(nearest("Respond"));
    assert_null(nearest("x"));
    assert_null(nearest(""));
    memset(long_word, 'x', sizeof(long_word));
    long_word[sizeof(long_word) - 1] = '\0';
    assert_null(nearest(long_word));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bool),    cmocka_unit_test(test_u64),    cmocka_unit_test(test_duration),
        cmocka_unit_test(test_size),    cmocka_unit_test(test_format), cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_suggest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
