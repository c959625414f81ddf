/* The many spellings of a path, and the one that is routed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "router/path.h"

/* In a heap block of exactly its size, so that a sanitizer sees a byte read or written too far. */
static struct slice exact_copy(struct slice s)
{
    char *data = malloc(s.size ? s.size : 1);
    assert_non_null(data);
    memcpy(data, s.data, s.size);
    return slice_make(data, s.size);
}

static void check(struct slice raw, const char *expected)
{
    struct slice in = exact_copy(raw);
    char *out = malloc(raw.size ? raw.size : 1);
    size_t size = SIZE_MAX;
    enum path_result result = path_normalize(in, out, &size);
    if (!expected) {
        assert_int_equal(result, PATH_INVALID);
        assert_int_equal(size, SIZE_MAX);
    } else {
        assert_int_not_equal(result, PATH_INVALID);
        struct slice got = result == PATH_AS_IS ? in : slice_make(out, size);
        if (!slice_eq(got, slice_of(expected)))
            fail_msg("\"%.*s\" became \"%.*s\", not \"%s\"", (int)raw.size, raw.data, (int)got.size, got.data,
                     expected);

        struct slice once = exact_copy(got);
        char *again = malloc(once.size);
        size_t again_size = 0;
        result = path_normalize(once, again, &again_size);
        assert_int_not_equal(result, PATH_INVALID);
        if (result == PATH_NORMALIZED)
            assert_true(slice_eq(once, slice_make(again, again_size)));
        free(again);
        free((char *)once.data);
    }
    free(out);
    free((char *)in.data);
}

static void test_unchanged(void **state)
{
    static const char *const paths[] = {
        "/",       "/a",     "/a/b",       "/a/b/",  "//",         "/a//b",  "///",      "/a.b",
        "/a./b",   "/a..b",  "/a../b",     "/..a",   "/.a/b",      "/...",   "/a/.../b", "/.well-known/acme",
        "/a;b=c",  "/a=b&c", "/~user",     "/a:b@c", "/!$&'()*+,", "/a%2Fb", "/%25",     "/a%20b",
        "/%C3%A9", "/a\\b",  "/\"<>^`{|}", "/*",     "/a/%2F../b",
    };
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        check(slice_of(paths[i]), paths[i]);
}

static void test_untouched_is_as_is(void **state)
{
    char out[16];
    size_t size;
    assert_int_equal(path_normalize(SLICE_LITERAL("/a/b.c/"), out, &size), PATH_AS_IS);
    assert_int_equal(path_normalize(SLICE_LITERAL("/a/./b"), out, &size), PATH_NORMALIZED);
}

static void test_dot_segments(void **state)
{
    static const struct {
        const char *raw, *expected;
    } cases[] = {
        {"/.", "/"},
        {"/./", "/"},
        {"/a/.", "/a/"},
        {"/a/./", "/a/"},
        {"/a/./b", "/a/b"},
        {"/./a", "/a"},
        {"/a/..", "/"},
        {"/a/../", "/"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a/"},
        {"/a/b/../..", "/"},
        {"/a/b/../../c", "/c"},
        {"/a/b/c/./../../g", "/a/g"}, /* RFC 3986 5.2.4 */
        {"/a/.././b/../c", "/c"},
        {"/a//..", "/a/"},
        {"/a//../b", "/a/b"},
        {"//..", "/"},
        {"//../a", "/a"},
        {"/a/..//b", "//b"},
        {"/././././a", "/a"},
        {"/a/%2e", "/a/"},
        {"/a/%2E/b", "/a/b"},
        {"/a/%2e%2e/b", "/b"},
        {"/a/.%2e/b", "/b"},
        {"/a/%2E./b", "/b"},
        {"/a/%2E%2e", "/"},
        {"/a/..;/b", "/a/..;/b"},
        {"/a/..%2Fb", "/a/..%2Fb"},
        {"/a/..%5cb", "/a/..%5Cb"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check(slice_of(cases[i].raw), cases[i].expected);
}

static void test_above_the_root(void **state)
{
    static const char *const paths[] = {
        "/..",   "/../",    "/../a",   "/a/../..", "/a/../../b",
        "/./..", "/%2e%2e", "/%2E./a", "//../..",  "/a/../%2e%2e/a",
    };
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        check(slice_of(paths[i]), NULL);
}

static void test_escapes(void **state)
{
    static const struct {
        const char *raw, *expected;
    } cases[] = {
        {"/%61", "/a"},
        {"/%41%5a%7A%30%39", "/AZz09"},
        {"/%2D%2e%5F%7e", "/-._~"},
        {"/%7Euser", "/~user"},
        {"/a%2fb", "/a%2Fb"},
        {"/%c3%a9", "/%C3%A9"},
        {"/%2561", "/%2561"}, /* decoded once, not twice */
        {"/%252e%252e/a", "/%252e%252e/a"},
        {"/%3F%23%5b", "/%3F%23%5B"},
        {"/a%0a", "/a%0A"}, /* escaped it harms nobody: path_decode() and the app see it */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check(slice_of(cases[i].raw), cases[i].expected);
}

static void test_invalid(void **state)
{
    static const struct slice paths[] = {
        SLICE_LITERAL(""),           SLICE_LITERAL("a"),
        SLICE_LITERAL("*"),          SLICE_LITERAL("http://host/"),
        SLICE_LITERAL("%2Fa"),       SLICE_LITERAL("/%"),
        SLICE_LITERAL("/%2"),        SLICE_LITERAL("/%2g"),
        SLICE_LITERAL("/%g2"),       SLICE_LITERAL("/%%20"),
        SLICE_LITERAL("/% 2"),       SLICE_LITERAL("/%u0041"),
        SLICE_LITERAL("/%00"),       SLICE_LITERAL("/a%00.html"),
        SLICE_LITERAL("/a\0b"),      SLICE_LITERAL("/a b"),
        SLICE_LITERAL("/a\tb"),      SLICE_LITERAL("/a\r\nHost: x"),
        SLICE_LITERAL("/a\x7f"),     SLICE_LITERAL("/a#b"),
        SLICE_LITERAL("/a?b"),       SLICE_LITERAL("/caf\xc3\xa9"),
        SLICE_LITERAL("/\xc0\xaf"), /* an overlong '/' */
        SLICE_LITERAL("/a/../\x01"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        check(paths[i], NULL);
}

/* Every string over the bytes that matter, up to a length: the result has no dot segment left, is stable, and
 * never longer than what came in (the block's size sees to that under a sanitizer). */
static void test_exhaustively(void **state)
{
    static const char alphabet[] = "/.%2eE0a";
    enum { LENGTH = 6, LETTERS = sizeof(alphabet) - 1 };
    size_t n = 1;
    for (int i = 0; i < LENGTH; i++)
        n *= LETTERS;
    for (size_t k = 0; k < n; k++) {
        char raw[LENGTH + 1] = "/", out[LENGTH + 1], again[LENGTH + 1];
        size_t rest = k, size, again_size;
        for (int i = 1; i <= LENGTH; i++, rest /= LETTERS)
            raw[i] = alphabet[rest % LETTERS];
        enum path_result result = path_normalize(slice_make(raw, sizeof(raw)), out, &size);
        if (result != PATH_NORMALIZED)
            continue;
        assert_true(size >= 1 && size <= sizeof(raw) && out[0] == '/');
        for (const char *s = out, *end = out + size; s < end;) {
            s++;
            const char *slash = memchr(s, '/', (size_t)(end - s));
            struct slice segment = {s, (size_t)((slash ? slash : end) - s)};
            assert_false(slice_eq(segment, SLICE_LITERAL(".")) || slice_eq(segment, SLICE_LITERAL("..")));
            s += segment.size;
        }
        result = path_normalize(slice_make(out, size), again, &again_size);
        assert_int_not_equal(result, PATH_INVALID);
        assert_true(result == PATH_AS_IS || slice_eq(slice_make(out, size), slice_make(again, again_size)));
    }
}

static void test_decode(void **state)
{
    static const struct {
        const char *path, *expected;
    } cases[] = {
        {"", ""},       {"/a/b", "/a/b"},    {"/a%20b", "/a b"}, {"/%C3%A9", "/\xc3\xa9"},
        {"/%25", "/%"}, {"/%2561", "/%61"},  {"/%0A", "/\n"},    {"/%ff", "/\xff"},
        {"/%2F", NULL}, {"/%2f..%2f", NULL}, {"/%00", NULL},     {"/%", NULL},
        {"/%4", NULL},  {"/%zz", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct slice in = exact_copy(slice_of(cases[i].path));
        char *out = malloc(in.size ? in.size : 1);
        size_t size = 0;
        bool ok = path_decode(in, out, &size);
        assert_int_equal(ok, cases[i].expected != NULL);
        if (ok)
            assert_true(slice_eq(slice_make(out, size), slice_of(cases[i].expected)));
        free(out);
        free((char *)in.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unchanged),    cmocka_unit_test(test_untouched_is_as_is),
        cmocka_unit_test(test_dot_segments), cmocka_unit_test(test_above_the_root),
        cmocka_unit_test(test_escapes),      cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_exhaustively), cmocka_unit_test(test_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
