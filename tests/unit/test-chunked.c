/* Chunked bodies, whole and in pieces of any size. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "upstream/chunked.h"
#include "util/strbuf.h"

/* Decodes `size` bytes in pieces as `piece_size` says, each in a heap block of its own size, so that a
 * sanitizer sees an access beyond it. Adds what comes out to `out`. */
static int decode(const char *data, size_t size, size_t (*piece_size)(size_t left), struct strbuf *out,
                  size_t *ret_rest)
{
    struct chunked decoder = {0};
    int r = CHUNKED_MORE;

    for (size_t at = 0; at < size && r == CHUNKED_MORE;) {
        size_t n = piece_size(size - at), decoded = SIZE_MAX, rest = 0;
        char *piece = xcalloc(1, n);
        memcpy(piece, data + at, n);
        r = chunked_decode(&decoder, piece, n, &decoded, &rest);
        assert_in_range(decoded, 0, n);
        strbuf_add(out, piece, decoded);
        free(piece);
        at += n;
        if (r == 0)
            *ret_rest = size - at + rest;
    }
    return r;
}

static size_t all(size_t left)
{
    return left;
}

static size_t one(size_t left)
{
    return 1;
}

static size_t some(size_t left)
{
    return 1 + (size_t)rand() % MIN(left, (size_t)40);
}

static size_t (*const piece_sizes[])(size_t left) = {all, one, some, some, some, some};

static void assert_decodes(const char *text, const char *body, size_t rest)
{
    for (size_t i = 0; i < ARRAY_SIZE(piece_sizes); i++) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
        size_t got = SIZE_MAX;
        if (decode(text, strlen(text), piece_sizes[i], &out, &got) != 0)
            fail_msg("not decoded: %s", text);
        assert_string_equal(strbuf_string(&out), body);
        assert_int_equal(got, rest);
    }
}

static void assert_result(const char *text, size_t size, int result)
{
    for (size_t i = 0; i < ARRAY_SIZE(piece_sizes); i++) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
        size_t rest;
        int r = decode(text, size, piece_sizes[i], &out, &rest);
        if (r != result)
            fail_msg("%d and not %d: %s", r, result, text);
    }
}

static void test_bodies(void **state)
{
    assert_decodes("0\r\n\r\n", "", 0);
    assert_decodes("5\r\nhello\r\n0\r\n\r\n", "hello", 0);
    assert_decodes("5\r\nhello\r\n1\r\n,\r\n00006\r\n world\r\n0\r\n\r\n", "hello, world", 0);
    assert_decodes("A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", "01234567890123456789a", 0);
    assert_decodes("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0);
    assert_decodes("1;a\r\nx\r\n1 ; b=\"c;d\"\r\ny\r\n0;e\r\n\r\n", "xy", 0);
    assert_decodes("1  \r\nx\r\n0\r\n\r\n", "x", 0);
    assert_decodes("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", "x", 0);
    assert_decodes("0\r\n\r\nHTTP/1.1", "", 8);
    assert_decodes("1\r\nx\r\n0\r\n\r\n0", "x", 1);
}

static void test_malformed(void **state)
{
    static const char *const texts[] = {
        "\r\n",
        "x\r\n",
        " 1\r\nx\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\nx",
        ";a\r\n",
        "1\nx",
        "1\rx",
        "1\r\r\nx",
        "1\r\nxy",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nx\ry",
        "1 2\r\nx",
        "1\ta=b\r\nx",
        "1 \nx",
        "1;a\nb\r\nx",
        "1;\x01\r\nx",
        "1;\x7f\r\nx",
        "g\r\n",
        "8000000000000000\r\n",
        "ffffffffffffffff\r\n",
        "10000000000000000\r\n",
        "fffffffffffffffffffff\r\n",
        "0\r\n\n",
        "0\r\nA: b\n\r\n",
        "0\r\n A: b\r\n\r\n",
        "0\r\n: b\r\n\r\n",
        "0\r\nA\r\n\r\n",
        "0\r\nA b: c\r\n\r\n",
        "0\r\nA: \x01\r\n\r\n",
        "0\r\n\rx",
        "0\r\nA: b\rc\r\n\r\n",
        "0\n\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_result(texts[i], strlen(texts[i]), CHUNKED_MALFORMED);
    assert_result("1\0\r\nx", 5, CHUNKED_MALFORMED);
    assert_result("1;\0\r\nx", 6, CHUNKED_MALFORMED);
}

static void test_incomplete(void **state)
{
    static const char text[] = "5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n";

    for (size_t size = 1; size < strlen(text); size++)
        assert_result(text, size, CHUNKED_MORE);
    assert_result("7fffffffffffffff\r\nx", 19, CHUNKED_MORE);
}

static void test_bounds(void **state)
{
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    /* Extensions are bounded for each chunk, so that a body of many small ones may have many. */
    for (unsigned i = 0; i < 100; i++)
        strbuf_addf(&text, "1;%0*d\r\nx\r\n", (int)CHUNKED_LINE_MAX - 4, 0);
    assert_result(text.data, text.size, CHUNKED_MORE);
    strbuf_addf(&text, "1;%0*d\r\nx\r\n", (int)CHUNKED_LINE_MAX - 3, 0);
    assert_result(text.data, text.size, CHUNKED_MALFORMED);

    strbuf_clear(&text);
    strbuf_addf(&text, "%0*d\r\n", (int)CHUNKED_LINE_MAX, 1);
    assert_result(text.data, text.size, CHUNKED_MALFORMED);

    strbuf_clear(&text);
    strbuf_add_string(&text, "0\r\n");
    while (text.size < CHUNKED_TRAILER_MAX - 6)
        strbuf_add_string(&text, "A: b\r\n");
    assert_result(text.data, text.size, CHUNKED_MORE);
    for (unsigned i = 0; i < 3; i++)
        strbuf_add_string(&text, "A: b\r\n");
    assert_result(text.data, text.size, CHUNKED_MALFORMED);
}

/* Any body in chunks of any sizes, cut anywhere, comes out as it was. */
static void test_random_bodies(void **state)
{
    for (unsigned round = 0; round < 300; round++) {
        _cleanup_strbuf_ struct strbuf body = STRBUF_INIT, text = STRBUF_INIT;
        srand(round);
        for (unsigned chunks = (unsigned)rand() % 20; chunks > 0; chunks--) {
            size_t size = 1 + (size_t)rand() % (rand() % 4 ? 20 : 5000);
            strbuf_addf(&text, rand() % 2 ? "%zx\r\n" : "%zX;x=y\r\n", size);
            for (size_t i = 0; i < size; i++) {
                char c = (char)rand();
                strbuf_add_char(&body, c);
                strbuf_add_char(&text, c);
            }
            strbuf_add_string(&text, "\r\n");
        }
        strbuf_add_string(&text, rand() % 2 ? "0\r\n\r\n" : "000;a\r\nA: b\r\n\r\n");
        size_t whole = text.size, trailing = (size_t)rand() % 3;
        strbuf_add(&text, "xyz", trailing);

        for (size_t i = 0; i < ARRAY_SIZE(piece_sizes); i++) {
            _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
            size_t rest = SIZE_MAX;
            assert_int_equal(decode(text.data, text.size, piece_sizes[i], &out, &rest), 0);
            assert_int_equal(rest, trailing);
            assert_int_equal(out.size, body.size);
            if (body.size > 0)
                assert_memory_equal(out.data, body.data, body.size);
        }
        assert_result(text.data, whole - 1, CHUNKED_MORE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_incomplete),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_random_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
