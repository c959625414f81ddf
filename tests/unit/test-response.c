/* What a response head may look like, and how much of what follows it is its body. */

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "upstream/response.h"
#include "util/strbuf.h"

static struct response_head head;
static const char *why;

/* Finds and parses, from a heap block of exactly its size, so that a sanitizer sees a byte read too far. The
 * slices in `head` are not valid afterwards. */
static int parse_bytes(const char *data, size_t size, bool to_head)
{
    char *copy = xcalloc(1, size);
    size_t line = 0, found = 0;

    memcpy(copy, data, size);
    why = NULL;
    int r = response_head_find(copy, size, &line, &found, &why);
    if (r == 0) {
        assert_in_range(found, 1, size);
        r = response_head_parse(copy, found, to_head, &head, &why);
    }
    assert_true((r == RESPONSE_MALFORMED) == (why != NULL));
    free(copy);
    return r;
}

static int parse(const char *text)
{
    return parse_bytes(text, strlen(text), false);
}

static void assert_framing(const char *text, enum response_framing framing, uint64_t length)
{
    if (parse(text))
        fail_msg("refused, as %s: %s", why ? why : "incomplete", text);
    assert_int_equal(head.framing, framing);
    assert_int_equal(head.response.content_length, length);
    assert_int_equal(head.response.has_body, framing >= RESPONSE_LENGTH && framing <= RESPONSE_UNTIL_CLOSE);
}

static void assert_slice(struct slice s, const char *text)
{
    assert_int_equal(s.size, strlen(text));
    assert_memory_equal(s.data, text, s.size);
}

static void test_a_plain_head(void **state)
{
    static const char text[] = "HTTP/1.1 404 Not  Found\r\nContent-Length: 12\r\nX-Empty:\r\n"
                               "x-y:\t a b \t\r\nSet-Cookie: a=\"\xc3\xa4\"\r\n\r\nbody";
    size_t line = 0, size;

    assert_int_equal(response_head_find(text, (sizeof(text) - 1), &line, &size, &why), 0);
    assert_int_equal(size, (sizeof(text) - 1) - 4);
    assert_int_equal(response_head_parse(text, size, false, &head, &why), 0);
    assert_int_equal(head.response.status, 404);
    assert_slice(head.response.reason, "Not  Found");
    assert_int_equal(head.response.n_headers, 4);
    assert_slice(head.response.headers[0].name, "Content-Length");
    assert_slice(head.response.headers[1].name, "X-Empty");
    assert_slice(head.response.headers[1].value, "");
    assert_slice(head.response.headers[2].name, "x-y");
    assert_slice(head.response.headers[2].value, "a b");
    assert_slice(head.response.headers[3].value, "a=\"\xc3\xa4\"");
    assert_int_equal(head.framing, RESPONSE_LENGTH);
    assert_int_equal(head.response.content_length, 12);
    assert_int_equal(head.response.declared_length, 12);
    assert_true(head.keep_alive);
}

static void test_malformed_heads(void **state)
{
    static const char *const texts[] = {
        /* status line */
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.x 200 OK\r\n\r\n",
        "HTTP/1.1200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1\t200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1 -20 OK\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2",
        "\x16\x03\x01",
        "I",
        /* lines */
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nA: b\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 200 OK\r\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n\r\n",
        "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
        /* fields */
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA\t: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA(b): c\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\xc3\xa4: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \x7f\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n",
        /* lengths */
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1,\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
        /* codings */
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        /* a head without a body is no place to hide an ambiguity in */
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nContent-Length: 5\r\n\r\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (parse(texts[i]) != RESPONSE_MALFORMED)
            fail_msg("accepted: %s", texts[i]);

    static const char nul[] = "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n";
    assert_int_equal(parse_bytes(nul, (sizeof(nul) - 1), false), RESPONSE_MALFORMED);
    static const char nul_in_name[] = "HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n";
    assert_int_equal(parse_bytes(nul_in_name, (sizeof(nul_in_name) - 1), false), RESPONSE_MALFORMED);
}

static void test_framing(void **state)
{
    assert_framing("HTTP/1.1 200 OK\r\n\r\n", RESPONSE_UNTIL_CLOSE, UINT64_MAX);
    assert_framing("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", RESPONSE_NO_BODY, 0);
    assert_framing("HTTP/1.1 200 OK\r\ncontent-LENGTH:7\r\n\r\n", RESPONSE_LENGTH, 7);
    assert_framing("HTTP/1.1 200 OK\r\nContent-Length: 007\r\n\r\n", RESPONSE_LENGTH, 7);
    assert_framing("HTTP/1.1 200 OK\r\nContent-Length: 7, 7\r\nContent-Length: 7\r\n\r\n", RESPONSE_LENGTH,
                   7);
    assert_framing("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", RESPONSE_LENGTH,
                   INT64_MAX);
    assert_framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", RESPONSE_CHUNKED, UINT64_MAX);
    assert_framing("HTTP/1.1 204 No Content\r\n\r\n", RESPONSE_NO_BODY, 0);
    assert_framing("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", RESPONSE_NO_BODY, 0);
    assert_framing("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", RESPONSE_NO_BODY, 0);
    assert_int_equal(head.response.declared_length, 5);
    assert_framing("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", RESPONSE_NO_BODY, 0);
    assert_framing("HTTP/1.1 101 Switching Protocols\r\n\r\n", RESPONSE_SWITCHED, 0);
    assert_framing("HTTP/1.1 103 Early Hints\r\n\r\n", RESPONSE_NO_BODY, 0);

    static const char to_head[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_int_equal(parse_bytes(to_head, (sizeof(to_head) - 1), true), 0);
    assert_int_equal(head.framing, RESPONSE_NO_BODY);
    assert_int_equal(head.response.content_length, 0);
    assert_int_equal(head.response.declared_length, 5);
    assert_true(head.keep_alive);
}

/* Lenient on purpose: many servers leave out the space before an empty reason. */
static void test_reasons(void **state)
{
    static const char *const texts[] = {"HTTP/1.1 200\r\n\r\n", "HTTP/1.1 200 \r\n\r\n"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_int_equal(parse(texts[i]), 0);
        assert_int_equal(head.response.status, 200);
        assert_int_equal(head.response.reason.size, 0);
    }
    assert_int_equal(parse("HTTP/1.7 599 \xc3\xa4\r\nContent-Length: 0\r\n\r\n"), 0);
    assert_true(head.keep_alive);
}

static void test_keep_alive(void **state)
{
    static const struct {
        const char *fields;
        unsigned minor;
        bool keep_alive;
        unsigned timeout;
    } cases[] = {
        {"", 1, true, UINT_MAX},
        {"", 0, false, UINT_MAX},
        {"Connection: close\r\n", 1, false, UINT_MAX},
        {"Connection: CLOSE\r\n", 1, false, UINT_MAX},
        {"Connection: x, Close ,y\r\n", 1, false, UINT_MAX},
        {"Connection: closed\r\n", 1, true, UINT_MAX},
        {"Connection: keep-alive\r\nConnection: close\r\n", 1, false, UINT_MAX},
        {"Connection: Keep-Alive\r\n", 0, true, UINT_MAX},
        {"Connection: Keep-Alive, close\r\n", 0, false, UINT_MAX},
        {"Keep-Alive: timeout=5\r\n", 1, true, 5},
        {"Keep-Alive: max=100, Timeout=75\r\n", 1, true, 75},
        {"Keep-Alive: timeout=\r\n", 1, true, UINT_MAX},
        {"Keep-Alive: timeout=x\r\n", 1, true, UINT_MAX},
        {"Keep-Alive: timeout=99999999999999999999\r\n", 1, true, 1000000},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
        strbuf_addf(&text, "HTTP/1.%u 200 OK\r\nContent-Length: 0\r\n%s\r\n", cases[i].minor,
                    cases[i].fields);
        assert_int_equal(parse(text.data), 0);
        if (head.keep_alive != cases[i].keep_alive || head.keep_alive_timeout != cases[i].timeout)
            fail_msg("HTTP/1.%u, %s", cases[i].minor, cases[i].fields);
    }
    /* Whose body ends with the connection cannot keep it; whose body must not be, may send one all the same.
     */
    assert_int_equal(parse("HTTP/1.1 200 OK\r\n\r\n"), 0);
    assert_false(head.keep_alive);
    assert_int_equal(parse("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), 0);
    assert_false(head.keep_alive);
    assert_int_equal(parse("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), 0);
    assert_true(head.keep_alive);
}

static void test_bounds(void **state)
{
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    strbuf_add_string(&text, "HTTP/1.1 200 OK\r\n");
    for (unsigned i = 0; i < RESPONSE_HEADERS_MAX; i++)
        strbuf_addf(&text, "F%u: v\r\n", i);
    size_t size = text.size;
    strbuf_add_string(&text, "\r\n");
    assert_int_equal(parse(text.data), 0);
    assert_int_equal(head.response.n_headers, RESPONSE_HEADERS_MAX);
    text.size = size;
    strbuf_add_string(&text, "G: v\r\n\r\n");
    assert_int_equal(parse(text.data), RESPONSE_MALFORMED);

    /* The largest head, and one byte more. */
    for (unsigned extra = 0; extra < 2; extra++) {
        strbuf_clear(&text);
        strbuf_add_string(&text, "HTTP/1.1 200 OK\r\nA: ");
        while (text.size < RESPONSE_HEAD_MAX - 4 + extra)
            strbuf_add_char(&text, 'v');
        strbuf_add_string(&text, "\r\n\r\n");
        assert_int_equal(parse(text.data), extra == 0 ? 0 : RESPONSE_MALFORMED);
    }
    /* One that does not end. */
    text.size = RESPONSE_HEAD_MAX - 4;
    assert_int_equal(parse_bytes(text.data, text.size, false), RESPONSE_INCOMPLETE);
    memset(text.data + 20, 'v', text.size - 20);
    assert_int_equal(parse_bytes(text.data, RESPONSE_HEAD_MAX, false), RESPONSE_MALFORMED);
}

/* However a head is cut into pieces, the answer is that for the whole. */
static void test_byte_by_byte(void **state)
{
    static const struct {
        const char *text;
        int result;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\n", 0}, {"HTTP/1.1 200\r\n\r\n", 0},
        {"HTTP/1.1 200 OK\r\nA: b\n\r\n", RESPONSE_MALFORMED},       {"HTTP/3", RESPONSE_MALFORMED},
        {"HTTP/1.1 200 OK\r\nA: b\r\n", RESPONSE_INCOMPLETE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t line = 0, found = 0, n = strlen(cases[i].text), at = 0;
        int r = RESPONSE_INCOMPLETE;
        while (at < n && r == RESPONSE_INCOMPLETE) {
            at++;
            char *copy = xcalloc(1, at);
            memcpy(copy, cases[i].text, at);
            r = response_head_find(copy, at, &line, &found, &why);
            free(copy);
        }
        assert_int_equal(r, cases[i].result);
        if (r == 0) {
            assert_int_equal(at, n);
            assert_int_equal(found, n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_head), cmocka_unit_test(test_malformed_heads),
        cmocka_unit_test(test_framing),      cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_keep_alive),   cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
