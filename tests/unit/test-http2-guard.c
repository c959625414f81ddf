/* Sequences of frames and the verdict on each; every sequence is also told byte by byte. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http/http2_guard.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define BEGIN PREFACE SETTINGS
#define LITERAL(s) (s), sizeof(s) - 1

static const struct http2_limits limits = {.block_size = 1000, .block_fields = 10};

struct told {
    unsigned passed, skipped;
    enum http2_stop stop;
    struct http2_guard guard;
};

/* Tells the guard all of it, `step` bytes more at a time, as a socket might bring them. */
static struct told tell(const char *data, size_t size, size_t step)
{
    struct told told = {0};
    size_t begin = 0;

    http2_guard_init(&told.guard, &limits, 1);
    for (size_t end = MIN(step, size);; end = MIN(end + step, size)) {
        struct http2_scan scan = {0};
        while (begin < end) {
            /* A copy, so that a sanitizer sees what is read behind the end. */
            _cleanup_free_ uint8_t *there = xcalloc(1, end - begin);
            memcpy(there, data + begin, end - begin);
            http2_guard_scan(&told.guard, there, end - begin, 1, &scan);
            if (scan.verdict == HTTP2_INCOMPLETE)
                break;
            if (scan.verdict == HTTP2_STOP) {
                told.stop = scan.stop;
                return told;
            }
            assert_true(scan.size > 0 && scan.size <= end - begin);
            told.passed += scan.verdict == HTTP2_PASS;
            told.skipped += scan.verdict == HTTP2_SKIP;
            begin += scan.size;
        }
        if (end == size)
            return told;
    }
}

struct sequence {
    const char *name;
    const char *data;
    size_t size;
    unsigned passed, skipped;
    enum http2_stop stop;
};

static const struct sequence sequences[] = {
    {"nothing", LITERAL(""), 0, 0, HTTP2_GO_ON},
    {"preface", LITERAL(PREFACE), 1, 0, HTTP2_GO_ON},
    {"settings", LITERAL(BEGIN), 2, 0, HTTP2_GO_ON},
    {"not the preface", LITERAL("PRI * HTTP/2.1"), 0, 0, HTTP2_BAD_PREFACE},
    {"HTTP/1", LITERAL("GET / HTTP/1.1\r\n\r\n"), 0, 0, HTTP2_BAD_PREFACE},
    {"no settings",
     LITERAL(PREFACE "\0\0\x08\6\0\0\0\0\0"
                     "12345678"),
     1, 0, HTTP2_NO_SETTINGS},
    {"settings that answer none", LITERAL(PREFACE "\0\0\0\4\1\0\0\0\0"), 1, 0, HTTP2_NO_SETTINGS},
    {"ping",
     LITERAL(BEGIN "\0\0\x08\6\0\0\0\0\0"
                   "12345678"),
     3, 0, HTTP2_GO_ON},
    {"unknown",
     LITERAL(BEGIN "\0\0\3\x42\xff\0\0\0\7"
                   "abc"
                   "\0\0\0\xff\0\0\0\0\0"),
     2, 2, HTTP2_GO_ON},
    {"request",
     LITERAL(BEGIN "\0\0\3\1\5\0\0\0\1"
                   "\x82\x84\x86"),
     3, 0, HTTP2_GO_ON},
    {"request, padded, with priority",
     LITERAL(BEGIN "\0\0\x0b\1\x2d\0\0\0\1"
                   "\2"
                   "\0\0\0\0\x10"
                   "\x82\x84\x86"
                   "\0\0"),
     3, 0, HTTP2_GO_ON},
    {"padding only",
     LITERAL(BEGIN "\0\0\3\1\xd\0\0\0\1"
                   "\2\0\0"),
     3, 0, HTTP2_GO_ON},
    {"too much padding",
     LITERAL(BEGIN "\0\0\3\1\xd\0\0\0\1"
                   "\3\0\0"),
     2, 0, HTTP2_BAD_FRAME},
    {"no room for the padding's size", LITERAL(BEGIN "\0\0\0\1\xd\0\0\0\1"), 2, 0, HTTP2_BAD_FRAME},
    {"no room for the priority",
     LITERAL(BEGIN "\0\0\4\1\x25\0\0\0\1"
                   "\0\0\0\0"),
     2, 0, HTTP2_BAD_FRAME},
    {"data with too much padding",
     LITERAL(BEGIN "\0\0\2\0\x8\0\0\0\1"
                   "\2x"),
     2, 0, HTTP2_BAD_FRAME},
    {"continuation",
     LITERAL(BEGIN "\0\0\1\1\1\0\0\0\1"
                   "\x82"
                   "\0\0\2\x9\4\0\0\0\1"
                   "\x84\x86"),
     4, 0, HTTP2_GO_ON},
    {"a field in two frames",
     LITERAL(BEGIN "\0\0\2\1\1\0\0\0\1"
                   "\0\1"
                   "\0\0\4\x9\4\0\0\0\1"
                   "a\2bc"),
     4, 0, HTTP2_GO_ON},
    {"a field that does not end",
     LITERAL(BEGIN "\0\0\2\1\5\0\0\0\1"
                   "\0\1"),
     2, 0, HTTP2_BAD_BLOCK},
    {"a name of no length",
     LITERAL(BEGIN "\0\0\3\1\5\0\0\0\1"
                   "\0\0\0"),
     2, 0, HTTP2_BAD_BLOCK},
    {"an index of five octets",
     LITERAL(BEGIN "\0\0\6\1\5\0\0\0\1"
                   "\xff\xff\xff\xff\xff\1"),
     2, 0, HTTP2_BAD_BLOCK},
    {"more fields than are accepted",
     LITERAL(BEGIN "\0\0\x0b\1\5\0\0\0\1"
                   "\x82\x82\x82\x82\x82\x82\x82\x82\x82\x82\x82"),
     2, 0, HTTP2_CROWDED_BLOCK},
    {"a ping within a block",
     LITERAL(BEGIN "\0\0\1\1\1\0\0\0\1"
                   "\x82"
                   "\0\0\x08\6\0\0\0\0\0"),
     3, 0, HTTP2_TORN_BLOCK},
    {"an unknown frame within a block",
     LITERAL(BEGIN "\0\0\1\1\1\0\0\0\1"
                   "\x82"
                   "\0\0\0\x42\0\0\0\0\0"),
     3, 0, HTTP2_TORN_BLOCK},
    {"a continuation of another stream",
     LITERAL(BEGIN "\0\0\1\1\1\0\0\0\1"
                   "\x82"
                   "\0\0\0\x9\4\0\0\0\3"),
     3, 0, HTTP2_TORN_BLOCK},
    {"a continuation of nothing", LITERAL(BEGIN "\0\0\0\x9\4\0\0\0\1"), 2, 0, HTTP2_TORN_BLOCK},
    {"a continuation that is too large",
     LITERAL(BEGIN "\0\0\1\1\1\0\0\0\1"
                   "\x82"
                   "\0\x3\xe8\x9\4\0\0\0\1"),
     3, 0, HTTP2_LARGE_BLOCK},
    {"a frame that is too large", LITERAL(BEGIN "\0\x40\1\0\0\0\0\0\1"), 2, 0, HTTP2_LARGE_FRAME},
    {"the largest frame, begun", LITERAL(BEGIN "\0\x40\0\0\0\0\0\0\1"), 2, 0, HTTP2_GO_ON},
};

static void test_sequences(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(sequences); i++) {
        const struct sequence *one = &sequences[i];
        for (size_t step = 1; step <= MAX(one->size, (size_t)1); step++) {
            const struct told told = tell(one->data, one->size, step);
            if (told.passed != one->passed || told.skipped != one->skipped || told.stop != one->stop)
                fail_msg("%s, by %zu: %u passed, %u skipped, %s", one->name, step, told.passed, told.skipped,
                         http2_stop_text(told.stop));
        }
    }
}

/* ---- budgets */

static enum http2_stop feed(struct http2_guard *guard, const char *frame, size_t size, unsigned n, usec_t now)
{
    for (unsigned i = 0; i < n; i++) {
        struct http2_scan scan;
        http2_guard_scan(guard, (const uint8_t *)frame, size, now, &scan);
        assert_int_not_equal(scan.verdict, HTTP2_INCOMPLETE);
        if (scan.verdict == HTTP2_STOP)
            return scan.stop;
    }
    return HTTP2_GO_ON;
}

static struct http2_guard begun(void)
{
    return tell(LITERAL(BEGIN), sizeof(BEGIN) - 1).guard;
}

#define PING               \
    "\0\0\x08\6\0\0\0\0\0" \
    "12345678"

static const struct {
    const char *name, *frame;
    size_t size;
    bool costs;
} frames[] = {
    {"PING", LITERAL(PING), true},
    {"SETTINGS", LITERAL(SETTINGS), true},
    {"PRIORITY",
     LITERAL("\0\0\5\2\0\0\0\0\1"
             "\0\0\0\0\1"),
     true},
    {"RST_STREAM",
     LITERAL("\0\0\4\3\0\0\0\0\1"
             "\0\0\0\1"),
     true},
    {"WINDOW_UPDATE",
     LITERAL("\0\0\4\x8\0\0\0\0\1"
             "\0\0\0\1"),
     true},
    {"unknown", LITERAL("\0\0\0\x42\0\0\0\0\1"), true},
    {"empty DATA", LITERAL("\0\0\0\0\0\0\0\0\1"), true},
    {"DATA of padding",
     LITERAL("\0\0\2\0\x8\0\0\0\1"
             "\1\0"),
     true},
    {"empty DATA that ends", LITERAL("\0\0\0\0\1\0\0\0\1"), false},
    {"DATA",
     LITERAL("\0\0\1\0\0\0\0\0\1"
             "x"),
     false},
    {"HEADERS",
     LITERAL("\0\0\1\1\5\0\0\0\1"
             "\x82"),
     false},
};

static void test_what_costs(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
        struct http2_guard guard = begun();
        const enum http2_stop stop = feed(&guard, frames[i].frame, frames[i].size, 100000, 1);
        if (stop != (frames[i].costs ? HTTP2_FLOODED : HTTP2_GO_ON))
            fail_msg("%s: %s", frames[i].name, http2_stop_text(stop) ? http2_stop_text(stop) : "stopped");
    }
}

static void test_pings_of_honest_clients(void **state)
{
    struct http2_guard guard = begun();
    for (usec_t now = 1; now < 3600 * USEC_PER_SEC;
         now += USEC_PER_SEC / 100) /* a hundred in a second, for an hour */
        assert_int_equal(feed(&guard, LITERAL(PING), 1, now), HTTP2_GO_ON);
}

static void test_traffic_earns_control_frames(void **state)
{
    struct http2_guard guard = begun();
    for (unsigned i = 0; i < 100000; i++) {
        http2_guard_earn(&guard, 1, 0);
        assert_int_equal(feed(&guard, LITERAL(PING), 8, 1), HTTP2_GO_ON);
    }
    for (unsigned i = 0; i < 100000; i++) {
        http2_guard_earn(&guard, 0, 512);
        assert_int_equal(feed(&guard, LITERAL(PING), 2, 1), HTTP2_GO_ON);
    }
    for (unsigned i = 0; i < 256000; i++) /* small ones add up */
        http2_guard_earn(&guard, 0, 1);
    assert_int_equal(feed(&guard, LITERAL(PING), 1000, 1), HTTP2_GO_ON);
    http2_guard_earn(&guard, UINT64_MAX, UINT64_MAX); /* but not beyond the burst */
    assert_int_equal(feed(&guard, LITERAL(PING), 1000, 1), HTTP2_GO_ON);
    assert_int_equal(feed(&guard, LITERAL(PING), 1, 1), HTTP2_FLOODED);
}

static unsigned resets_until_stopped(struct http2_guard *guard, usec_t now)
{
    unsigned n = 0;
    while (http2_guard_ended_early(guard, now) == HTTP2_GO_ON)
        n++;
    return n;
}

static void test_streams_that_end_early(void **state)
{
    struct http2_guard guard = begun();

    assert_int_equal(resets_until_stopped(&guard, 1), 200);
    assert_int_equal(http2_guard_ended_early(&guard, 1), HTTP2_UNSTEADY);
    assert_int_equal(resets_until_stopped(&guard, 1 + 10 * USEC_PER_SEC), 20);
    assert_int_equal(resets_until_stopped(&guard, 1), 0); /* a clock that goes back brings nothing */
    http2_guard_earn(&guard, 7, 1 << 20);
    assert_int_equal(resets_until_stopped(&guard, 1 + 10 * USEC_PER_SEC), 7);
    assert_int_equal(resets_until_stopped(&guard, USEC_INFINITY - 1), 200);
}

static void test_a_hundred_cancels_in_a_minute(void **state)
{
    struct http2_guard guard = begun();
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(http2_guard_ended_early(&guard, 1 + i * (60 * USEC_PER_SEC / 100)), HTTP2_GO_ON);
}

static void test_frames_of_a_block_are_limited(void **state)
{
    struct http2_guard guard = begun();
    assert_int_equal(feed(&guard,
                          LITERAL("\0\0\1\1\1\0\0\0\1"
                                  "\x82"),
                          1, 1),
                     HTTP2_GO_ON);
    assert_int_equal(feed(&guard, LITERAL("\0\0\0\x9\0\0\0\0\1"), 12, 1), HTTP2_GO_ON);
    assert_int_equal(feed(&guard, LITERAL("\0\0\0\x9\0\0\0\0\1"), 2, 1), HTTP2_SCATTERED_BLOCK);
}

static void test_limits_follow_the_head(void **state)
{
    struct http2_limits some = http2_limits(16384, 100);
    assert_int_equal(some.block_size, 32768);
    assert_int_equal(some.block_fields, 400);
    some = http2_limits(1 << 20, 1000);
    assert_int_equal(some.block_size, 400000); /* what h2o can take */
}

static void test_reasons(void **state)
{
    for (enum http2_stop stop = HTTP2_GO_ON + 1; stop < _HTTP2_STOP_MAX; stop++) {
        assert_int_not_equal(http2_stop_error(stop), HTTP2_NO_ERROR);
        assert_true(http2_stop_fault(stop) < _CLIENT_FAULT_MAX);
        assert_true(!http2_stop_text(stop) || http2_stop_text(stop)[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_what_costs),
        cmocka_unit_test(test_pings_of_honest_clients),
        cmocka_unit_test(test_traffic_earns_control_frames),
        cmocka_unit_test(test_streams_that_end_early),
        cmocka_unit_test(test_a_hundred_cancels_in_a_minute),
        cmocka_unit_test(test_frames_of_a_block_are_limited),
        cmocka_unit_test(test_limits_follow_the_head),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
