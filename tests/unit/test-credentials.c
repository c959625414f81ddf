#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "util/credentials.h"

static void test_of_ourselves(void **state)
{
    int fds[2];
    gid_t groups[1024];
    struct credentials credentials;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(credentials_of_peer(fds[0], &credentials), 0);
    assert_int_equal(credentials.pid, getpid());
    assert_int_equal(credentials.uid, geteuid());
    assert_int_equal(credentials.gid, getegid());
    const int n = getgroups(ARRAY_SIZE(groups), groups);
    assert_int_equal(credentials.n_groups, n);
    for (int i = 0; i < n; i++)
        assert_true(groups[i] == CREDENTIALS_NOBODY || credentials_in_group(&credentials, groups[i]));
    credentials_deinit(&credentials);
    close(fds[0]);
    close(fds[1]);
}

static void test_of_what_is_no_unix_socket(void **state)
{
    struct credentials credentials;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd < 0 || credentials_of_peer(fd, &credentials) < 0);
    assert_true(credentials_of_peer(-1, &credentials) < 0);
    assert_int_equal(credentials.pid, 0);
    credentials_deinit(&credentials);
    if (fd >= 0)
        close(fd);
}

static void test_users_and_groups(void **state)
{
    gid_t groups[] = {20, CREDENTIALS_NOBODY, 30};
    struct credentials somebody = {.pid = 1, .uid = 7, .gid = 10, .groups = groups, .n_groups = 3};
    assert_true(credentials_is_user(&somebody, 7));
    assert_false(credentials_is_user(&somebody, 0));
    assert_true(credentials_in_group(&somebody, 10));
    assert_true(credentials_in_group(&somebody, 20));
    assert_true(credentials_in_group(&somebody, 30));
    assert_false(credentials_in_group(&somebody, 0));

    /* Who has no number here is nobody in particular. */
    assert_false(credentials_in_group(&somebody, CREDENTIALS_NOBODY));
    somebody.uid = CREDENTIALS_NOBODY;
    assert_false(credentials_is_user(&somebody, CREDENTIALS_NOBODY));

    struct credentials unknown = {.uid = 7, .gid = 10};
    assert_false(credentials_is_user(&unknown, 7));
    assert_false(credentials_in_group(&unknown, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_ourselves),
        cmocka_unit_test(test_of_what_is_no_unix_socket),
        cmocka_unit_test(test_users_and_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
