#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "lifecycle/descriptors.h"

/* A socket bound to a free port of the loopback interface, listening or not. */
static int tcp_socket(int family, int type, bool listening)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_in address4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(family, type | SOCK_CLOEXEC, 0);
    assert_return_code(fd, errno);
    if (family == AF_INET6)
        assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(address)), errno);
    else
        assert_return_code(bind(fd, (struct sockaddr *)&address4, sizeof(address4)), errno);
    if (listening)
        assert_return_code(listen(fd, 5), errno);
    return fd;
}

static int unix_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(fd, errno);
    assert_return_code(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), errno);
    assert_return_code(listen(fd, 5), errno);
    return fd;
}

/* Runs `body` in a process that was started with these descriptors, as systemd would; its exit status is 0
 * when the body finds all as it should be. */
static int run_with(const int *fds, int n, const char *names, int (*body)(void))
{
    const pid_t pid = fork();
    assert_return_code(pid, errno);
    if (pid == 0) {
        int moved[8];
        for (int i = 0; i < n; i++)
            moved[i] = fcntl(fds[i], F_DUPFD, 100);
        for (int i = 0; i < n; i++)
            dup2(moved[i], 3 + i);
        char text[16];
        snprintf(text, sizeof(text), "%d", getpid());
        setenv("LISTEN_PID", text, true);
        snprintf(text, sizeof(text), "%d", n);
        setenv("LISTEN_FDS", text, true);
        if (names)
            setenv("LISTEN_FDNAMES", names, true);
        _exit(body());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int take_three(void)
{
    struct descriptors d = {0};
    if (descriptors_take(&d) != 0 || d.n_items != 3)
        return 1;
    const char *const names[] = {"http", "http", "admin"};
    const char *const addresses[] = {"127.0.0.1:", "[::1]:", "unix:@"};
    for (size_t i = 0; i < d.n_items; i++) {
        if (d.items[i].fd != 3 + (int)i || !streq(d.items[i].name, names[i]))
            return 2;
        if (strncmp(d.items[i].address, addresses[i], strlen(addresses[i])) != 0)
            return 3;
        if (!(fcntl(d.items[i].fd, F_GETFL) & O_NONBLOCK) || !(fcntl(d.items[i].fd, F_GETFD) & FD_CLOEXEC))
            return 4;
    }
    if (getenv("LISTEN_FDS") || getenv("LISTEN_PID") || getenv("LISTEN_FDNAMES"))
        return 5;
    descriptors_deinit(&d);
    if (fcntl(3, F_GETFD) < 0) /* the list is gone, the sockets are not */
        return 6;
    return descriptors_take(&d) == -ENOENT ? 0 : 7;
}

static int take_unnamed(void)
{
    struct descriptors d = {0};
    if (descriptors_take(&d) != 0 || d.n_items != 1)
        return 1;
    const bool is_unknown = streq(d.items[0].name, "unknown");
    descriptors_deinit(&d);
    return is_unknown ? 0 : 2;
}

static void test_take(void **state)
{
    const int fds[] = {tcp_socket(AF_INET, SOCK_STREAM, true), tcp_socket(AF_INET6, SOCK_STREAM, true),
                       unix_socket()};
    assert_int_equal(run_with(fds, 3, "http:http:admin", take_three), 0);
    assert_int_equal(run_with(fds, 1, NULL, take_unnamed), 0);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
}

static void test_none(void **state)
{
    struct descriptors d = {0};
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    assert_int_equal(descriptors_take(&d), -ENOENT);
    /* Meant for another process. */
    setenv("LISTEN_FDS", "1", true);
    setenv("LISTEN_PID", "1", true);
    assert_int_equal(descriptors_take(&d), -ENOENT);
}

/* Holds descriptors to listeners; the caller frees what was reported, a line each. */
static char *check(struct descriptor *items, size_t n_items, struct listener_config *listeners,
                   size_t n_listeners, int expected)
{
    const struct descriptors d = {items, n_items};
    const struct config config = {.listeners = listeners, .n_listeners = n_listeners};
    struct config_report report = CONFIG_REPORT_INIT;
    assert_int_equal(descriptors_check(&d, &config, &report), expected);
    struct strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < report.n_problems; i++) {
        config_problem_format(&report.problems[i], &out);
        strbuf_add_char(&out, '\n');
    }
    config_report_deinit(&report);
    return strbuf_steal(&out);
}

static char http_name[] = "http", https_name[] = "https", admin_name[] = "admin", address[] = "127.0.0.1:80";

static void test_names(void **state)
{
    const int fd = tcp_socket(AF_INET, SOCK_STREAM, true);
    struct listener_config http = {.name = http_name}, https = {.name = https_name, .place = {"h.conf", 7}};
    struct descriptor items[] = {{fd, http_name, address}, {fd, http_name, address}};

    _cleanup_free_ char *good = check(items, 2, &http, 1, 0);
    assert_string_equal(good, "");

    /* The one has no section, the other no socket: both are told, each with what there is on the other side.
     */
    _cleanup_free_ char *crossed = check(items, 1, &https, 1, -EBADMSG);
    assert_non_null(strstr(crossed,
                           "the socket 127.0.0.1:80 is named \"http\" by its socket unit, but there is "
                           "no section [Listener http] (there is: [Listener https])"));
    assert_non_null(strstr(crossed, "h.conf:7: [Listener https]: no socket is named \"https\""));
    assert_non_null(strstr(crossed, "sockets passed: \"http\" (127.0.0.1:80)"));

    struct listener_config admin = {.name = admin_name};
    _cleanup_free_ char *reserved = check(NULL, 0, &admin, 1, -EBADMSG);
    assert_non_null(strstr(reserved, "\"admin\" is the name of the admin socket"));
    close(fd);
}

static void on_stored(void *userdata, const struct descriptor *descriptor, const char *reason)
{
    strbuf_addf(userdata, "%s %s\n", descriptor->name, reason);
}

static struct descriptor descriptor_of(int fd, const char *name)
{
    return (struct descriptor){fd, xstrdup(name), xstrdup(address)};
}

static void test_stored(void **state)
{
    int pair[2];
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), errno);
    struct listener_config http = {.name = http_name};
    const struct config config = {.listeners = &http, .n_listeners = 1};
    struct descriptors d = {.items = xcalloc(8, sizeof(*d.items)), .n_items = 7};
    d.items[0] = descriptor_of(tcp_socket(AF_INET, SOCK_STREAM, true), "stored");
    d.items[1] = descriptor_of(tcp_socket(AF_INET, SOCK_STREAM, true), "http");
    d.items[2] = descriptor_of(tcp_socket(AF_INET, SOCK_STREAM, true), "holdfast-later");
    d.items[3] = descriptor_of(pair[0], "https");
    d.items[4] = descriptor_of(tcp_socket(AF_INET, SOCK_STREAM, true), "https");
    d.items[5] = descriptor_of(tcp_socket(AF_INET, SOCK_DGRAM, false), "http");
    d.items[6] = descriptor_of(open("/", O_PATH | O_CLOEXEC), "admin");
    const int first = d.items[0].fd;

    _cleanup_strbuf_ struct strbuf told = STRBUF_INIT;
    descriptors_drop_stored(&d, &config, on_stored, &told);
    assert_string_equal(strbuf_string(&told),
                        "stored was stored for a process that is not this one\n"
                        "holdfast-later was stored for a process that is not this one\n"
                        "https is a socket that does not listen (Accept=yes in its socket unit?)\n");
    assert_int_equal(fcntl(first, F_GETFD), -1);
    /* What bears the name of a socket unit that there is, or listens, is still checked. */
    assert_int_equal(d.n_items, 4);
    assert_string_equal(d.items[1].name, "https");
    for (size_t i = 0; i < d.n_items; i++)
        close(d.items[i].fd);
    close(pair[1]);
    descriptors_deinit(&d);
}

static void test_admin(void **state)
{
    const int unix_fd = unix_socket(), tcp_fd = tcp_socket(AF_INET, SOCK_STREAM, true);
    struct descriptor item = {unix_fd, admin_name, address};
    _cleanup_free_ char *good = check(&item, 1, NULL, 0, 0);
    assert_string_equal(good, "");
    item.fd = tcp_fd;
    _cleanup_free_ char *doubtful = check(&item, 1, NULL, 0, 0);
    assert_non_null(strstr(doubtful, "warning: "));
    close(unix_fd);
    close(tcp_fd);
}

static void assert_refused(int fd, const char *reason)
{
    struct listener_config http = {.name = http_name};
    struct descriptor item = {fd, http_name, address};
    _cleanup_free_ char *text = check(&item, 1, &http, 1, -EBADMSG);
    assert_non_null(strstr(text, reason));
    close(fd);
}

static void test_kinds(void **state)
{
    int pair[2];
    assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), errno);
    assert_refused(pair[0], "is not a stream socket");
    close(pair[1]);
    assert_refused(tcp_socket(AF_INET, SOCK_STREAM, false), "does not listen");
    assert_refused(tcp_socket(AF_INET, SOCK_DGRAM, false), "is not a stream socket");
    assert_refused(open("/dev/null", O_RDWR | O_CLOEXEC), "is not a socket");
    const int closed = open("/dev/null", O_RDWR | O_CLOEXEC);
    close(closed);
    assert_refused(closed, "is not open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take),  cmocka_unit_test(test_none),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_admin), cmocka_unit_test(test_kinds), cmocka_unit_test(test_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
