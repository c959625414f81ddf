#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "gateway/wanted.h"
#include "util/slice.h"

static char directory[] = "/tmp/test-wanted.XXXXXX";
static int directory_fd = -1;

static int setup(void **state)
{
    if (!mkdtemp(directory))
        return -1;
    directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory_fd < 0 ? -1 : 0;
}

static void clear(void)
{
    unlinkat(directory_fd, WANTED_FILE, 0);
    unlinkat(directory_fd, WANTED_FILE, AT_REMOVEDIR);
    unlinkat(directory_fd, "." WANTED_FILE ".new", 0);
    unlinkat(directory_fd, "other", 0);
}

static int teardown(void **state)
{
    clear();
    close(directory_fd);
    return rmdir(directory);
}

static void put(struct slice contents)
{
    clear();
    _cleanup_close_ int fd = openat(directory_fd, WANTED_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_return_code(fd, errno);
    assert_int_equal(write(fd, contents.data, contents.size), contents.size);
}

/* The document must be read, and be as large. */
static void assert_read(size_t members)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    json_t *document = NULL;
    assert_int_equal(wanted_read(directory, &document, &error), 0);
    assert_true(json_is_object(document));
    assert_int_equal(json_object_size(document), members);
    assert_int_equal(error.size, 0);
    json_decref(document);
}

static void assert_refused(int expected, const char *why)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    json_t *document = NULL;
    assert_int_equal(wanted_read(directory, &document, &error), expected);
    assert_null(document);
    assert_non_null(strstr(error.data, "/" WANTED_FILE));
    if (!strstr(error.data, why))
        fail_msg("%s lacks %s", error.data, why);
}

static void test_round_trip(void **state)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    json_t *document = json_pack("{s{sb}s{s{s{ss}}}}", "orders", "paused", 1, "users", "targets",
                                 "unix:/run/\xc3\xa4 \".sock", "wanted", "drain");
    json_t *other = NULL;
    clear();
    assert_read(0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(wanted_write(directory, document, &error), 0);
        assert_int_equal(faccessat(directory_fd, "." WANTED_FILE ".new", F_OK, 0), -1);
        assert_int_equal(wanted_read(directory, &other, &error), 0);
        assert_true(json_equal(document, other));
        json_decref(other);
    }
    json_decref(document);
}

static void test_files_that_are_none_of_ours(void **state)
{
    put(SLICE_LITERAL("{}"));
    assert_read(0);
    put(SLICE_LITERAL("{\"a\": 3, \"b\": [null]}"));
    assert_read(2);

    static const struct {
        struct slice contents;
        const char *why;
    } cases[] = {
        {SLICE_LITERAL(""), "is no JSON: line 1"},
        {SLICE_LITERAL("{\n\"a\": "), "is no JSON: line 2"},
        {SLICE_LITERAL("{} {}"), "is no JSON"},
        {SLICE_LITERAL("[]"), "is no JSON object"},
        {SLICE_LITERAL("3"), "is no JSON"},
        {SLICE_LITERAL("{\"a\": 1, \"a\": 2}"), "is no JSON"},
        {SLICE_LITERAL("{\"a\": \"\xff\"}"), "is no JSON"},
        {SLICE_LITERAL("{\"a\": \"\\u0000\"}"), "is no JSON"},
        {SLICE_LITERAL("\0\0\0"), "is no JSON"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        put(cases[i].contents);
        assert_refused(-EBADMSG, cases[i].why);
    }
}

static void test_size(void **state)
{
    char *data = xcalloc(WANTED_SIZE_MAX + 1, 1);
    memset(data, ' ', WANTED_SIZE_MAX + 1);
    data[0] = '{';
    data[1] = '}';
    put(slice_make(data, WANTED_SIZE_MAX));
    assert_read(0);
    put(slice_make(data, WANTED_SIZE_MAX + 1));
    assert_refused(-EFBIG, "larger than 4 MB");
    memset(data, '[', WANTED_SIZE_MAX);
    put(slice_make(data, WANTED_SIZE_MAX));
    assert_refused(-EBADMSG, "is no JSON");
    free(data);

    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    json_t *document = json_object();
    char *large = xcalloc(WANTED_SIZE_MAX + 1, 1);
    memset(large, 'x', WANTED_SIZE_MAX);
    json_object_set_new(document, "a", json_string(large));
    put(SLICE_LITERAL("{\"still\": 1}"));
    assert_int_equal(wanted_write(directory, document, &error), -EFBIG);
    assert_read(1);
    json_decref(document);
    free(large);
}

static void test_no_regular_file(void **state)
{
    clear();
    assert_return_code(mkfifoat(directory_fd, WANTED_FILE, 0644), errno);
    assert_refused(-EBADMSG, "not a regular file");
    clear();
    assert_return_code(mkdirat(directory_fd, WANTED_FILE, 0755), errno);
    assert_refused(-EBADMSG, "not a regular file");
    clear();
    assert_return_code(symlinkat("/dev/zero", directory_fd, WANTED_FILE), errno);
    assert_refused(-ELOOP, "not a regular file");
}

static void test_no_directory(void **state)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    json_t *document = NULL, *empty = json_object();
    assert_int_equal(wanted_read("/nonexistent", &document, &error), 0);
    assert_int_equal(json_object_size(document), 0);
    assert_int_equal(wanted_write("/nonexistent", empty, &error), -ENOENT);
    assert_string_equal(error.data,
                        "/nonexistent/upstreams.json cannot be written: No such file or directory");
    json_decref(document);
    json_decref(empty);
}

/* Where a directory stands in the way of the rename. */
static void test_a_write_that_fails_leaves_nothing(void **state)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    json_t *empty = json_object();
    clear();
    assert_return_code(mkdirat(directory_fd, WANTED_FILE, 0755), errno);
    assert_true(wanted_write(directory, empty, &error) < 0);
    assert_true(error.size > 0);
    assert_int_equal(faccessat(directory_fd, "." WANTED_FILE ".new", F_OK, 0), -1);
    json_decref(empty);
}

static void count(void *userdata)
{
    ++*(unsigned *)userdata;
}

static void run(struct loop *loop)
{
    for (int i = 0; i < 3; i++)
        assert_return_code(loop_run_once(loop, USEC_PER_MSEC), 0);
}

static void test_watch(void **state)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    json_t *empty = json_object();
    struct wanted_watch *watch = NULL;
    struct loop *loop;
    unsigned n = 0;
    clear();
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(wanted_watch(&watch, loop, "/nonexistent", count, &n), -ENOENT);
    assert_int_equal(wanted_watch(&watch, loop, directory, count, &n), 0);
    run(loop);
    assert_int_equal(n, 0);

    assert_int_equal(wanted_write(directory, empty, &error), 0);
    run(loop);
    assert_int_equal(n, 1);

    /* Its neighbours are of no interest. */
    assert_return_code(renameat(directory_fd, WANTED_FILE, directory_fd, "other"), errno);
    run(loop);
    assert_int_equal(n, 1);
    assert_return_code(renameat(directory_fd, "other", directory_fd, WANTED_FILE), errno);
    run(loop);
    assert_int_equal(n, 2);

    watch = wanted_unwatch(watch);
    assert_null(watch);
    assert_int_equal(wanted_write(directory, empty, &error), 0);
    run(loop);
    assert_int_equal(n, 2);
    loop_free(loop);
    json_decref(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_files_that_are_none_of_ours),
        cmocka_unit_test(test_size),         cmocka_unit_test(test_no_regular_file),
        cmocka_unit_test(test_no_directory), cmocka_unit_test(test_a_write_that_fails_leaves_nothing),
        cmocka_unit_test(test_watch),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
