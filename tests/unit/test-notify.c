#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <cmocka.h>

#include "lifecycle/notify.h"
#include "util/strbuf.h"

/* The service manager's end of $NOTIFY_SOCKET. */
static int manager = -1;

static int setup(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(sa_family_t);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (manager < 0 ||
        bind(manager, (struct sockaddr *)&address, size) < 0) /* an abstract name of its choice */
        return -1;
    size = sizeof(address);
    if (getsockname(manager, (struct sockaddr *)&address, &size) < 0)
        return -1;
    char name[sizeof(address.sun_path) + 1] = "";
    memcpy(name, address.sun_path, size - offsetof(struct sockaddr_un, sun_path));
    name[0] = '@';
    setenv("NOTIFY_SOCKET", name, true);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return 0;
}

static int teardown(void **state)
{
    close_and_forget(&manager);
    return 0;
}

static void assert_said(const char *expected)
{
    char message[1024];
    const ssize_t n = recv(manager, message, sizeof(message) - 1, 0);
    if (!expected) {
        assert_int_equal(n, -1);
        return;
    }
    assert_true(n >= 0);
    message[n] = '\0';
    assert_string_equal(message, expected);
}

static void test_messages(void **state)
{
    struct notify *notify = notify_new();
    notify_ready(notify, 1);
    assert_said("READY=1");
    notify_watchdog(notify);
    assert_said("WATCHDOG=1");
    notify_extend_timeout(notify, 15000000);
    assert_said("EXTEND_TIMEOUT_USEC=15000000");
    notify_stopping(notify, 2);
    assert_said("STOPPING=1");
    notify_ready(notify, 3); /* not after that */
    assert_said(NULL);
    assert_null(notify_free(notify));
    assert_null(notify_free(NULL));
}

static void test_status_rate(void **state)
{
    const usec_t t = 100 * USEC_PER_SEC;
    struct notify *notify = notify_new();
    assert_int_equal(notify_due(notify, t), USEC_INFINITY);
    assert_int_equal(notify_status(notify, t, "serving %d", 1), USEC_INFINITY);
    assert_said("STATUS=serving 1");

    /* Within the second only the newest is kept. */
    assert_int_equal(notify_status(notify, t + 10, "serving 2"), t + USEC_PER_SEC);
    assert_int_equal(notify_status(notify, t + 20, "serving 3"), t + USEC_PER_SEC);
    assert_said(NULL);
    assert_int_equal(notify_due(notify, t + USEC_PER_SEC - 1), t + USEC_PER_SEC);
    assert_said(NULL);
    assert_int_equal(notify_due(notify, t + USEC_PER_SEC), USEC_INFINITY);
    assert_said("STATUS=serving 3");

    /* What has not changed is not said again. */
    assert_int_equal(notify_status(notify, t + 5 * USEC_PER_SEC, "serving 3"), USEC_INFINITY);
    assert_said(NULL);

    /* One status is one line, whatever is in it. */
    notify_status(notify, t + 9 * USEC_PER_SEC, "a\nREADY=1");
    assert_said("STATUS=a READY=1");

    /* READY and STOPPING bring along what waits. */
    notify_status(notify, t + 9 * USEC_PER_SEC + 1, "draining");
    assert_said(NULL);
    notify_stopping(notify, t + 9 * USEC_PER_SEC + 2);
    assert_said("STOPPING=1");
    assert_said("STATUS=draining");
    notify_free(notify);
}

static void test_silence(void **state)
{
    struct notify *notify = notify_new();
    notify_silence(notify, true);
    notify_ready(notify, 1);
    notify_status(notify, 1, "x");
    notify_watchdog(notify);
    notify_extend_timeout(notify, 1);
    notify_stopping(notify, 2);
    assert_said(NULL);
    notify_free(notify);
}

static void test_store(void **state)
{
    struct notify *notify = notify_new();
    /* Removing is a message without an answer; the name may be as long as systemd lets it be. */
    char name[256], expected[300];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    snprintf(expected, sizeof(expected), "FDSTOREREMOVE=1\nFDNAME=%s", name);
    notify_unstore(notify, name);
    assert_said(expected);

    notify_silence(notify, true);
    assert_int_equal(notify_store(notify, "name", manager), -ENOTSUP);
    assert_said(NULL);
    notify_silence(notify, false);
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(notify_store(notify, "name", manager), -ENOTSUP);
    notify_free(notify);
}

static void assert_interval(const char *pid, const char *usec, usec_t expected)
{
    setenv("WATCHDOG_USEC", usec, true);
    setenv("WATCHDOG_PID", pid, true);
    struct notify *notify = notify_new();
    assert_int_equal(notify_watchdog_interval(notify), expected);
    notify_free(notify);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void test_watchdog_interval(void **state)
{
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", getpid());
    assert_interval(pid, "30000000", 30000000);
    assert_interval("1", "30000000", 0); /* meant for another process */
    assert_interval(pid, "nonsense", 0);
    struct notify *notify = notify_new();
    assert_int_equal(notify_watchdog_interval(notify), 0);
    notify_free(notify);
}

static void test_no_manager(void **state)
{
    unsetenv("NOTIFY_SOCKET");
    struct notify *notify = notify_new();
    notify_ready(notify, 1);
    notify_status(notify, 1, "x");
    notify_free(notify);
    setenv("NOTIFY_SOCKET", "/nonexistent/notify", true);
    notify = notify_new();
    notify_ready(notify, 1);
    notify_free(notify);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages), cmocka_unit_test(test_status_rate),
        cmocka_unit_test(test_silence),  cmocka_unit_test(test_watchdog_interval),
        cmocka_unit_test(test_store),    cmocka_unit_test(test_no_manager),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
