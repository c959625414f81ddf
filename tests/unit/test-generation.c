#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "lifecycle/generation.h"
#include "util/slice.h"

static char directory[] = "/tmp/test-generation.XXXXXX";
static int directory_fd = -1;

static int setup(void **state)
{
    if (!mkdtemp(directory))
        return -1;
    directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    unlinkat(directory_fd, "generation", 0);
    close(directory_fd);
    return rmdir(directory);
}

static void put(const char *name, struct slice contents)
{
    unlinkat(directory_fd, name, 0);
    _cleanup_close_ int fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_return_code(fd, errno);
    assert_int_equal(write(fd, contents.data, contents.size), contents.size);
}

static void assert_next(int expected_result, uint64_t expected)
{
    uint64_t number = 0;
    assert_int_equal(generation_next(directory, &number), expected_result);
    assert_true(number == expected);
}

static void test_counts(void **state)
{
    unlinkat(directory_fd, "generation", 0);
    assert_next(0, 1);
    assert_next(0, 2);
    assert_next(0, 3);
    assert_int_equal(faccessat(directory_fd, ".generation.new", F_OK, 0), -1);
}

static void test_accepts(void **state)
{
    put("generation", SLICE_LITERAL("41\n"));
    assert_next(0, 42);
    put("generation", SLICE_LITERAL("41"));
    assert_next(0, 42);
    put("generation", SLICE_LITERAL("18446744073709551614\n"));
    assert_next(0, UINT64_MAX);
    /* The last number has no successor: counting begins anew. */
    assert_next(-EBADMSG, 1);
}

static void test_hostile(void **state)
{
    const struct slice contents[] = {
        SLICE_LITERAL(""),
        SLICE_LITERAL("\n"),
        SLICE_LITERAL("-1\n"),
        SLICE_LITERAL("7 8\n"),
        SLICE_LITERAL("0x10\n"),
        SLICE_LITERAL("99999999999999999999\n"),
        SLICE_LITERAL("7\0\n"),
        SLICE_LITERAL("7\n\n"),
        SLICE_LITERAL("000000000000000000000000000000000000007\n"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(contents); i++) {
        put("generation", contents[i]);
        assert_next(-EBADMSG, 1);
        assert_next(0, 2); /* and it is mended */
    }
}

static void test_not_a_file(void **state)
{
    unlinkat(directory_fd, "generation", 0);
    put("elsewhere", SLICE_LITERAL("77\n"));
    assert_return_code(symlinkat("elsewhere", directory_fd, "generation"), errno);
    assert_next(-ELOOP, 1);
    assert_next(0, 2); /* the link was replaced, and not followed */
    unlinkat(directory_fd, "elsewhere", 0);

    unlinkat(directory_fd, "generation", 0);
    assert_return_code(mkfifoat(directory_fd, "generation", 0600), errno);
    assert_next(-EBADMSG, 1); /* nobody writes to it, and nobody waits for that */
}

static void test_left_behind(void **state)
{
    put("generation", SLICE_LITERAL("5\n"));
    put(".generation.new", SLICE_LITERAL("half"));
    assert_next(0, 6);
    assert_next(0, 7);
}

static void test_no_directory(void **state)
{
    uint64_t number = 0;
    assert_int_equal(generation_next("/nonexistent/holdfast", &number), -ENOENT);
    assert_int_equal(number, 1);
    assert_int_equal(generation_next("/dev/null", &number), -ENOTDIR);
    assert_int_equal(number, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),      cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_hostile),     cmocka_unit_test(test_not_a_file),
        cmocka_unit_test(test_left_behind), cmocka_unit_test(test_no_directory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
