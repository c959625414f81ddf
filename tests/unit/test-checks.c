#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "lifecycle/checks.h"

#define SECOND USEC_PER_SEC

/* A listening socket on a free port; ret gets its address. */
static int serve(struct address_config *ret)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(fd, errno);
    assert_return_code(bind(fd, (struct sockaddr *)&address, size), errno);
    assert_return_code(getsockname(fd, (struct sockaddr *)&address, &size), errno);
    assert_return_code(listen(fd, 8), errno);
    *ret = (struct address_config){.size = size};
    memcpy(&ret->sockaddr, &address, size);
    return fd;
}

/* A port where nobody listens. */
static void unserved(struct address_config *ret)
{
    close(serve(ret));
}

static void run(struct check_config *checks, size_t n, struct check_result *results, size_t expected_failures)
{
    const struct config config = {.checks = checks, .n_checks = n};
    assert_int_equal(checks_run(&config, results, NULL, NULL), expected_failures);
}

static struct check_config make(enum check_kind kind, usec_t timeout, bool required)
{
    static char name[] = "x", target[] = "target";
    return (struct check_config){
        .name = name, .kind = kind, .target = target, .timeout = timeout, .required = required};
}

static void test_none(void **state)
{
    run(NULL, 0, NULL, 0);
}

static void test_connect(void **state)
{
    struct check_config checks[] = {make(CHECK_CONNECT, SECOND, true), make(CHECK_CONNECT, SECOND / 4, true),
                                    make(CHECK_CONNECT, 0, false)};
    struct check_result results[3];
    const int fd = serve(&checks[0].address);
    unserved(&checks[1].address);
    unserved(&checks[2].address);
    const usec_t before = now_monotonic();
    run(checks, 3, results, 1);
    assert_true(now_monotonic() - before >= SECOND / 4);

    assert_true(results[0].passed);
    assert_null(results[0].reason);
    assert_int_equal(results[0].tries, 1);
    assert_false(results[1].passed);
    assert_string_equal(results[1].reason, "Connection refused");
    assert_in_range(results[1].tries, 2, 3);
    assert_in_range(results[1].duration, SECOND / 4, 10 * SECOND);
    assert_false(results[2].passed);
    assert_int_equal(results[2].tries, 1); /* even without time there is one try */
    checks_results_deinit(results, 3);
    close(fd);
}

/* Begins to listen when the first try has failed. */
static bool listen_late(void *userdata, size_t running)
{
    const int fd = *(int *)userdata;
    assert_int_equal(running, 1);
    assert_return_code(listen(fd, 8), errno);
    return true;
}

static void test_waits_for_a_late_one(void **state)
{
    struct check_config check = make(CHECK_CONNECT, 20 * SECOND, true);
    struct check_result result;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(bind(fd, (struct sockaddr *)&address, size), errno);
    assert_return_code(getsockname(fd, (struct sockaddr *)&address, &size), errno);
    check.address.size = size;
    memcpy(&check.address.sockaddr, &address, size);

    const struct config config = {.checks = &check, .n_checks = 1};
    assert_int_equal(checks_run(&config, &result, listen_late, &fd), 0);
    assert_true(result.passed);
    assert_int_equal(result.tries, 2);
    close(fd);
}

static bool give_up(void *userdata, size_t running)
{
    return false;
}

static void test_given_up(void **state)
{
    struct check_config check = make(CHECK_CONNECT, USEC_INFINITY, true);
    struct check_result result;
    unserved(&check.address);
    const struct config config = {.checks = &check, .n_checks = 1};
    assert_int_equal(checks_run(&config, &result, give_up, NULL), 1);
    assert_non_null(strstr(result.reason, "given up"));
    checks_results_deinit(&result, 1);
}

/* Answers each connection with the next of the texts (NULL: not at all, and holds it open). */
struct server {
    int fd;
    const char *const *answers;
    size_t n_answers;
    char request[512];
};

static void *answer(void *userdata)
{
    struct server *server = userdata;
    int held[8];
    size_t n_held = 0;
    for (size_t i = 0; i < server->n_answers; i++) {
        const int fd = accept(server->fd, NULL, NULL);
        const ssize_t n = recv(fd, server->request, sizeof(server->request) - 1, 0);
        server->request[n > 0 ? n : 0] = '\0';
        if (!server->answers[i]) {
            held[n_held++] = fd;
            continue;
        }
        send(fd, server->answers[i], strlen(server->answers[i]), MSG_NOSIGNAL);
        close(fd);
    }
    while (n_held > 0) {
        char byte;
        recv(held[--n_held], &byte, 1, 0); /* until the other side gives up */
        close(held[n_held]);
    }
    return NULL;
}

static struct check_result check_http(const char *const *answers, size_t n_answers, usec_t timeout,
                                      char request[512])
{
    static char host[] = "app.example", path[] = "/healthz?deep=1";
    struct check_config check = make(CHECK_HTTP, timeout, true);
    check.http_host = host;
    check.http_path = path;
    struct server server = {.answers = answers, .n_answers = n_answers};
    server.fd = serve(&check.address);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer, &server), 0);
    struct check_result result;
    const struct config config = {.checks = &check, .n_checks = 1};
    checks_run(&config, &result, NULL, NULL);
    shutdown(server.fd, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(server.fd);
    result.check = NULL;
    if (request)
        memcpy(request, server.request, sizeof(server.request));
    return result;
}

static void test_http(void **state)
{
    char request[512];
    struct check_result r =
        check_http((const char *const[]){"HTTP/1.1 204 No Content\r\n\r\n"}, 1, 5 * SECOND, request);
    assert_true(r.passed);
    const char *expected = "GET /healthz?deep=1 HTTP/1.1\r\nHost: app.example\r\n";
    assert_memory_equal(request, expected, strlen(expected));
    assert_non_null(strstr(request, "\r\nConnection: close\r\n"));

    /* Until it is well. */
    const char *const recovering[] = {"HTTP/1.1 503 Not Yet\r\n\r\n", "HTTP/1.1 301 Moved\r\n\r\n"};
    r = check_http(recovering, 2, 5 * SECOND, NULL);
    assert_true(r.passed);
    assert_int_equal(r.tries, 2);
}

static void assert_http_fails(const char *response, const char *reason)
{
    struct check_result r = check_http(&response, 1, 300 * USEC_PER_MSEC, NULL);
    assert_false(r.passed);
    assert_string_equal(r.reason, reason);
    checks_results_deinit(&r, 1);
}

static void test_http_failures(void **state)
{
    assert_http_fails("HTTP/1.1 404 Not Found\r\n\r\n", "status 404");
    assert_http_fails("HTTP/1.0 500\r\n\r\n", "status 500");
    assert_http_fails("SSH-2.0-OpenSSH_9.2p1\r\n", "what answers does not speak HTTP/1");
    assert_http_fails("HTTP/1.1 2xx OK\r\n\r\n", "what answers does not speak HTTP/1");
    assert_http_fails("HTTP/1.1", "the connection was closed without a response");
    assert_http_fails(NULL, "no response within 300ms");
}

static void test_path(void **state)
{
    static char here[] = "/proc/self/status", nowhere[] = "/nonexistent/x", program[] = "/bin/sh";
    struct check_config checks[] = {make(CHECK_PATH, 0, true), make(CHECK_PATH, 0, true),
                                    make(CHECK_PATH, 0, true), make(CHECK_PATH, 0, true)};
    struct check_result results[4];
    checks[0].target = here;
    checks[0].path_mode = R_OK;
    checks[1].target = nowhere;
    checks[1].path_mode = F_OK;
    checks[2].target = program;
    checks[2].path_mode = R_OK | X_OK;
    checks[3].target = here;
    checks[3].path_mode = X_OK;
    run(checks, 4, results, 2);
    assert_true(results[0].passed);
    assert_string_equal(results[1].reason, "No such file or directory");
    assert_true(results[2].passed);
    assert_string_equal(results[3].reason, "Permission denied");
    checks_results_deinit(results, 4);
}

/* A host name, which the C library looks up: this one is in every /etc/hosts. */
static void test_name(void **state)
{
    struct check_config check = make(CHECK_CONNECT, 20 * SECOND, true);
    struct check_result result;
    struct address_config address;
    const int fd = serve(&address);
    char text[32];
    snprintf(text, sizeof(text), "localhost:%u", ntohs(((struct sockaddr_in *)&address.sockaddr)->sin_port));
    check.address = (struct address_config){.text = text};
    run(&check, 1, &result, 0);
    assert_true(result.passed);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_waits_for_a_late_one),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_http_failures),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
