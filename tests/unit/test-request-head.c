/* The head of an HTTP/1 request, judged. Each row names the part of RFC 9112 or 9110 it stands on. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/request_head.h"
#include "util/strbuf.h"

#define H "Host: a.example\r\n"
#define GET "GET / HTTP/1.1\r\n"

static const struct head_limits limits = {.size = 16384, .fields = 100};

static const struct {
    const char *head; /* without the empty line */
    enum head_error error;
    const char *why;
} cases[] = {
    {GET H, HEAD_OK, "the plainest request"},
    {"GET / HTTP/1.0\r\n", HEAD_OK, "9112 3.2: HTTP/1.0 needs no Host"},
    {"GET / HTTP/1.9\r\n" H, HEAD_OK, "9110 2.5: a higher minor version is read as ours"},
    {"get / HTTP/1.1\r\n" H, HEAD_OK, "9110 9.1: any token is a method"},
    {"GET  / HTTP/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "9112 3: one space"},
    {"GET /a b HTTP/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "9112 3.2: no blank in a target"},
    {"GET / HTTP/1.1 \r\n" H, HEAD_BAD_REQUEST_LINE, "9112 3: nothing behind the version"},
    {"GET / HTTP/1.1\rX" H, HEAD_BAD_REQUEST_LINE, "9112 2.2: a bare CR"},
    {"GET /\r\n" H, HEAD_BAD_REQUEST_LINE, "9112 3: HTTP/0.9 is over"},
    {"GET / http/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "9112 2.3: the name is case-sensitive"},
    {"GET / HTTP/2.0\r\n" H, HEAD_BAD_VERSION, "9110 15.6.6"},
    {"GET / HTTP/1.10\r\n" H, HEAD_BAD_REQUEST_LINE, "9112 2.3: one digit each"},
    {"G(T / HTTP/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "9110 5.6.2: not a token"},
    {"GET /\x01 HTTP/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "3986: no control bytes"},
    {"GET /\xc3\xa4 HTTP/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "3986: beyond ASCII is escaped"},
    {"GET /a#b HTTP/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "9112 3.2: no fragment"},
    {"GET /a?b#c HTTP/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "9112 3.2: no fragment"},
    {"ABCDEFGHIJKLMNOPQRSTUVWXYZ-ABCDEF / HTTP/1.1\r\n" H, HEAD_METHOD_TOO_LONG, "9112 3: 501"},
    {"CONNECT a.example:80 HTTP/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "9110 9.3.6: this is no forward proxy"},
    {"CONNECT / HTTP/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "9112 3.2.3: only authority-form"},
    {"GET http://b.example:x/ HTTP/1.1\r\n" H, HEAD_BAD_HOST, "3986 3.2.3: digits"},
    {"GET http://b.example/x HTTP/1.1\r\n" H, HEAD_OK, "9112 3.2.2: absolute-form is accepted"},
    {"GET http:///x HTTP/1.1\r\n" H, HEAD_BAD_HOST, "9110 4.2.1: an empty host is invalid"},
    {"GET http://u@b.example/ HTTP/1.1\r\n" H, HEAD_BAD_HOST, "9110 4.2.4: no userinfo"},
    {"GET ftp://b.example/ HTTP/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "another scheme"},
    {"GET a.example:80 HTTP/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "9112 3.2.3: authority-form is CONNECT's"},
    {"OPTIONS * HTTP/1.1\r\n" H, HEAD_OK, "9112 3.2.4"},
    {"GET * HTTP/1.1\r\n" H, HEAD_BAD_REQUEST_LINE, "9112 3.2.4: only OPTIONS"},
    {GET, HEAD_MISSING_HOST, "9112 3.2"},
    {GET H H, HEAD_DUPLICATE_HOST, "9112 3.2"},
    {GET "Host: a.example\r\nhost: b.example\r\n", HEAD_DUPLICATE_HOST, "9112 3.2, whatever the case"},
    {GET "Host: a b\r\n", HEAD_BAD_HOST, "9112 3.2"},
    {GET "Host: a/b\r\n", HEAD_BAD_HOST, "9112 3.2"},
    {GET "Host: u@a\r\n", HEAD_BAD_HOST, "9110 4.2.4: no userinfo"},
    {GET "Host: a:80\r\n", HEAD_OK, "9110 7.2"},
    {GET "Host: a:\r\n", HEAD_OK, "3986 3.2.3: a port may be empty"},
    {GET "Host: a:b\r\n", HEAD_BAD_HOST, "3986 3.2.3: digits"},
    {GET "Host: a:80:90\r\n", HEAD_BAD_HOST, "9110 7.2: one port"},
    {GET "Host: :80\r\n", HEAD_BAD_HOST, "9110 4.2.1: an empty host is invalid"},
    {GET "Host: a%41\r\n", HEAD_OK, "3986 3.2.2"},
    {GET "Host: a%4\r\n", HEAD_BAD_HOST, "3986 2.1"},
    {GET "Host: %\r\n", HEAD_BAD_HOST, "3986 2.1"},
    {GET "Host: [::1]\r\n", HEAD_OK, "3986 3.2.2"},
    {GET "Host: [::1]:80\r\n", HEAD_OK, "3986 3.2.2"},
    {GET "Host: [::1\r\n", HEAD_BAD_HOST, "3986 3.2.2"},
    {GET "Host: [\r\n", HEAD_BAD_HOST, "3986 3.2.2"},
    {GET "Host: []\r\n", HEAD_BAD_HOST, "3986 3.2.2"},
    {GET "Host: [a.example]\r\n", HEAD_BAD_HOST, "3986 3.2.2"},
    {GET "Host: [::1]a\r\n", HEAD_BAD_HOST, "3986 3.2.2"},
    {GET "Host: ::1\r\n", HEAD_BAD_HOST, "3986 3.2.2"},
    {GET "Host:\r\n", HEAD_OK, "9112 3.2: may be empty"},
    {GET "Host : a.example\r\n", HEAD_BAD_FIELD, "9112 5.1: no blank before the colon"},
    {GET H "X\r\n", HEAD_BAD_FIELD, "9112 5: a field has a colon"},
    {GET H ": x\r\n", HEAD_BAD_FIELD, "9110 5.1: a name is a token"},
    {GET H "X: a\x0b\r\n", HEAD_BAD_FIELD, "9110 5.5: no control bytes"},
    {GET H "X: a\r\n b\r\n", HEAD_FOLDED_LINE, "9112 5.2"},
    {GET H "X: a\rY: b\r\n", HEAD_BAD_FIELD, "9112 2.2: a bare CR"},
    {GET H "X: \t a\xff \t\r\n", HEAD_OK, "9110 5.5: blanks around, obs-text within"},
    {GET H "Content-Length: 5\r\n", HEAD_OK, ""},
    {GET H "Content-Length: 5\r\nContent-Length: 5\r\n", HEAD_DUPLICATE_CONTENT_LENGTH, "9112 6.3"},
    {GET H "Content-Length: 5, 5\r\n", HEAD_BAD_CONTENT_LENGTH, "9112 6.3: a list may be refused"},
    {GET H "Content-Length: +5\r\n", HEAD_BAD_CONTENT_LENGTH, "9110 8.6: digits only"},
    {GET H "Content-Length: 5x\r\n", HEAD_BAD_CONTENT_LENGTH, "9110 8.6"},
    {GET H "Content-Length: -1\r\n", HEAD_BAD_CONTENT_LENGTH, "9110 8.6"},
    {GET H "Content-Length:\r\n", HEAD_BAD_CONTENT_LENGTH, "9110 8.6"},
    {GET H "Content-Length: 99999999999999999999\r\n", HEAD_BAD_CONTENT_LENGTH, "9110 8.6: overflow"},
    {GET H "Transfer-Encoding: chunked\r\n", HEAD_OK, ""},
    {GET H "Transfer-Encoding: Chunked\r\n", HEAD_OK, "9112 7: codings have no case"},
    {GET H "Transfer-Encoding: gzip, chunked\r\n", HEAD_UNKNOWN_TRANSFER_CODING,
     "9112 6.1: 501 for what is not known"},
    {GET H "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", HEAD_UNKNOWN_TRANSFER_CODING,
     "9112 6.1, on two lines"},
    {GET H "Transfer-Encoding: gzip\r\n", HEAD_BAD_TRANSFER_ENCODING,
     "9112 6.3: 400 when chunked is not last"},
    {GET H "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", HEAD_BAD_TRANSFER_ENCODING,
     "9112 6.3, on two lines"},
    {GET H "Transfer-Encoding: chunked, chunked\r\n", HEAD_BAD_TRANSFER_ENCODING, "9112 6.1: once"},
    {GET H "Transfer-Encoding: gzip, chunked, chunked\r\n", HEAD_BAD_TRANSFER_ENCODING, "9112 6.1: once"},
    {GET H "Transfer-Encoding: chunked,\r\n", HEAD_BAD_TRANSFER_ENCODING,
     "others may read an empty element otherwise"},
    {GET H "Transfer-Encoding: , chunked\r\n", HEAD_BAD_TRANSFER_ENCODING, "the same, in front"},
    {GET H "Transfer-Encoding:\r\n", HEAD_BAD_TRANSFER_ENCODING, "9112 6.3"},
    {GET H "Transfer-Encoding: chunked, identity\r\n", HEAD_BAD_TRANSFER_ENCODING,
     "9112 6.1: chunked is last"},
    {GET H "Transfer-Encoding: xchunked\r\n", HEAD_BAD_TRANSFER_ENCODING, ""},
    {GET H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", HEAD_BAD_TRANSFER_ENCODING,
     "9112 7: once"},
    {GET H "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", HEAD_LENGTH_AND_ENCODING, "9112 6.1"},
    {GET H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", HEAD_LENGTH_AND_ENCODING, "9112 6.1"},
    {GET H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", HEAD_LENGTH_AND_ENCODING, "9112 6.1"},
    {"POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n", HEAD_BAD_TRANSFER_ENCODING,
     "9112 6.1: not in HTTP/1.0"},
    {"GET http://b.example?x HTTP/1.1\r\n" H, HEAD_OK, "3986 3.3: a path may be empty"},
    {GET H "Connection: close, Cookie\r\n", HEAD_BAD_CONNECTION, "9110 7.6.1"},
    {GET H "Connection: authorization\r\n", HEAD_BAD_CONNECTION, "9110 7.6.1"},
    {GET H "Connection: x-own, te\r\n", HEAD_OK, "9110 7.6.1"},
    {GET H "Expect: 100-continue\r\n", HEAD_OK, ""},
    {GET H "Expect: tea\r\n", HEAD_BAD_EXPECTATION, "9110 10.1.1"},
    {"GET / HTTP/1.0\r\nExpect: tea\r\n", HEAD_OK, "9110 10.1.1: ignored from HTTP/1.0"},
};

static void test_cases(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct request_head head;
        struct strbuf text = STRBUF_INIT;
        strbuf_addf(&text, "%s\r\n", cases[i].head);
        size_t offset = 0, start = 0, end = 0;
        assert_int_equal(request_head_scan(text.data, text.size, &limits, &offset, &start, &end),
                         HEAD_COMPLETE);
        assert_int_equal(end, text.size);
        enum head_error error = request_head_parse(text.data, text.size, &limits, &head);
        if (error != cases[i].error)
            print_error("%s(%s): got %d\n", cases[i].head, cases[i].why, error);
        assert_int_equal(error, cases[i].error);
        strbuf_deinit(&text);
    }
}

static void test_lines_of_http2(void **state)
{
    static const struct {
        const char *method, *path, *authority;
        enum head_error error;
    } lines[] = {
        {"GET", "/a?b", "a.example:80", HEAD_OK},
        {"get", "/", "", HEAD_OK},
        {"", "/", "a", HEAD_BAD_REQUEST_LINE},
        {"GET /x", "/", "a", HEAD_BAD_REQUEST_LINE},
        {"CONNECT", "/", "a", HEAD_BAD_REQUEST_LINE},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ-ABCDEF", "/", "a", HEAD_METHOD_TOO_LONG},
        {"GET", "", "a", HEAD_BAD_REQUEST_LINE},
        {"GET", "/a?b HTTP/1.1", "a", HEAD_BAD_REQUEST_LINE},
        {"GET", "/a?b#c", "a", HEAD_BAD_REQUEST_LINE},
        {"GET", "/a?b\x01", "a", HEAD_BAD_REQUEST_LINE},
        {"GET", "/", "a b", HEAD_BAD_HOST},
        {"GET", "/", "u@a", HEAD_BAD_HOST},
        {"GET", "/", "a\";b=\"c", HEAD_BAD_HOST},
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        assert_int_equal(request_head_judge_line(slice_of(lines[i].method), slice_of(lines[i].path),
                                                 slice_of(lines[i].authority)),
                         lines[i].error);
}

static struct request_head parsed(const char *text)
{
    struct request_head head;
    assert_int_equal(request_head_parse(text, strlen(text), &limits, &head), HEAD_OK);
    return head;
}

static void test_meaning(void **state)
{
    struct request_head head =
        parsed("POST /a?b HTTP/1.1\r\nHost: x:80\r\nContent-Length: 12\r\nConnection: close\r\n\r\n");
    assert_true(slice_eq(head.method, slice_of("POST")));
    assert_true(slice_eq(head.path, slice_of("/a?b")));
    assert_true(slice_eq(head.authority, slice_of("x:80")));
    assert_int_equal(head.content_length, 12);
    assert_int_equal(head.n_fields, 3);
    assert_false(head.keep_alive);
    assert_true(parsed(GET H "\r\n").keep_alive);
    assert_false(parsed("GET / HTTP/1.0\r\n\r\n").keep_alive);
    assert_true(parsed("GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n").keep_alive);
    head = parsed("GET http://b.example/x?y HTTP/1.1\r\n" H "\r\n");
    assert_true(slice_eq(head.authority, slice_of("b.example"))); /* 9112 3.2.2: overrides Host */
    assert_true(slice_eq(head.path, slice_of("/x?y")));
    head = parsed(GET H "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_true(head.connection_has_upgrade);
    assert_true(slice_eq(head.upgrade, slice_of("websocket")));
    head = parsed("GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_int_equal(head.upgrade.size, 0); /* 9110 7.8: ignored from HTTP/1.0 */
    head = parsed(GET H "Connection: Upgrade\r\nUpgrade: x, H2C\r\n\r\n");
    assert_int_equal(head.upgrade.size, 0); /* 9113 3.1: there is no such upgrade any more */
    assert_true(parsed("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n").chunked);
    assert_false(parsed("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n").chunked);
}

static void test_scan_byte_by_byte(void **state)
{
    const char *text = "\r\n\r\n" GET H "\r\nGET";
    size_t whole = strlen(text) - 3, offset = 0, start = 0, end = 0;
    for (size_t n = 0; n < whole; n++)
        assert_int_equal(request_head_scan(text, n, &limits, &offset, &start, &end), HEAD_INCOMPLETE);
    assert_int_equal(request_head_scan(text, whole, &limits, &offset, &start, &end), HEAD_COMPLETE);
    assert_int_equal(start, 4);
    assert_int_equal(end, whole);
}

static enum head_scan scan(const char *text, size_t size)
{
    size_t offset = 0, start = 0, end = 0;
    return request_head_scan(text, size, &limits, &offset, &start, &end);
}

static void test_scan_refuses(void **state)
{
    assert_int_equal(scan("GET / HTTP/1.1\n", 15), HEAD_MALFORMED);
    assert_int_equal(scan("GET / HTTP/1.1\r\nHost: x\n\n", 25), HEAD_MALFORMED);
    assert_int_equal(scan("\n", 1), HEAD_MALFORMED);
    assert_int_equal(scan("\r\n\r\n\r\n\r\n\r\n", 10),
                     HEAD_MALFORMED); /* a stream of nothing but empty lines */
    char *large = xcalloc(1, limits.size + 2);
    memset(large, 'a', limits.size + 1);
    assert_int_equal(scan(large, limits.size), HEAD_INCOMPLETE);
    assert_int_equal(scan(large, limits.size + 1), HEAD_LINE_TOO_LONG);
    memcpy(large, GET, strlen(GET));
    assert_int_equal(scan(large, limits.size), HEAD_INCOMPLETE);
    assert_int_equal(scan(large, limits.size + 1), HEAD_TOO_LARGE);
    memcpy(large + limits.size - 4, "\r\n\r\n", 4);
    assert_int_equal(scan(large, limits.size), HEAD_COMPLETE);
    memcpy(large + limits.size - 4, "a\r\n\r\n", 5);
    assert_int_equal(scan(large, limits.size + 1), HEAD_TOO_LARGE);
    free(large);
}

static void test_too_many_fields(void **state)
{
    struct strbuf text = STRBUF_INIT;
    struct request_head head;
    strbuf_add_string(&text, GET H);
    for (int i = 1; i < (int)limits.fields; i++)
        strbuf_add_string(&text, "A: b\r\n");
    size_t full = text.size;
    strbuf_add_string(&text, "\r\n");
    assert_int_equal(request_head_parse(text.data, text.size, &limits, &head), HEAD_OK);
    text.size = full;
    strbuf_add_string(&text, "A: b\r\n\r\n");
    assert_int_equal(request_head_parse(text.data, text.size, &limits, &head), HEAD_TOO_MANY_FIELDS);
    strbuf_deinit(&text);
}

static void test_every_error_has_words(void **state)
{
    for (enum head_error e = HEAD_OK; e < _HEAD_ERROR_MAX; e++) {
        assert_non_null(head_error_text(e));
        assert_true(head_error_status(e) >= 400);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_lines_of_http2),
        cmocka_unit_test(test_meaning),
        cmocka_unit_test(test_scan_byte_by_byte),
        cmocka_unit_test(test_scan_refuses),
        cmocka_unit_test(test_too_many_fields),
        cmocka_unit_test(test_every_error_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
