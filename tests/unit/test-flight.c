/* What a generation had in flight, as the next one finds it. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lifecycle/flight.h"

static char directory[] = "/tmp/test-flight-XXXXXX";
static char command[128];

static struct flight_death found[8];
static size_t n_found;

static void on_dead(void *userdata, const struct flight_death *death)
{
    found[n_found++] = *death;
}

static size_t find(void)
{
    n_found = 0;
    flight_find_dead(directory, on_dead, NULL);
    return n_found;
}

static int setup(void **state)
{
    memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
    return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command);
}

/* A process that has so much in flight and is killed. */
static void die(uint64_t generation, const uint64_t requests[2])
{
    const pid_t pid = fork();
    if (pid == 0) {
        struct flight *flight;
        if (flight_new(&flight, directory, generation, 2) < 0)
            _exit(1);
        for (unsigned i = 0; i < 2; i++) {
            flight_set_requests(flight_slot(flight, i), requests[i]);
            flight_set_connections(flight_slot(flight, i), requests[i] + 10);
        }
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static void test_an_orderly_end_leaves_nothing(void **state)
{
    struct flight *flight;
    assert_int_equal(flight_new(&flight, directory, 7, 4), 0);
    flight_set_requests(flight_slot(flight, 3), 5);
    assert_int_equal(find(), 0); /* it lives */
    flight_free(flight);
    assert_int_equal(find(), 0);
    flight_free(NULL);
    flight_set_requests(NULL, 1); /* no slot, no harm */
    assert_null(flight_slot(NULL, 0));
}

static void test_deaths_are_told_once(void **state)
{
    die(7, (uint64_t[]){2, 3});
    die(8, (uint64_t[]){0, 0});
    struct flight *flight;
    assert_int_equal(flight_new(&flight, directory, 9, 1), 0); /* which lives */
    assert_int_equal(find(), 2);
    const struct flight_death *seven = found[0].generation == 7 ? &found[0] : &found[1];
    assert_true(seven->readable);
    assert_false(seven->rebooted);
    assert_int_equal(seven->requests, 5);
    assert_int_equal(seven->connections, 25);
    assert_int_equal(find(), 0);
    flight_free(flight);
}

static void put(const char *name, const char *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/generations/%s", directory, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_return_code(fd, errno);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
}

static void test_files_that_are_none(void **state)
{
    char path[128], other[128];
    snprintf(path, sizeof(path), "%s/generations", directory);
    assert_return_code(mkdir(path, 0700), errno);
    char header[256] = "HfFlight";
    put("1", "", 0);
    put("2", header, sizeof(header)); /* of version 0 */
    header[8] = 1;
    memset(header + 12, 0xff, 4); /* of billions of workers */
    put("3", header, sizeof(header));
    header[12] = 100, header[13] = header[14] = header[15] = 0; /* of more than there is room for */
    put("4", header, sizeof(header));
    put("not-a-number", header, sizeof(header));
    put("99999999999999999999999", header, sizeof(header));
    snprintf(other, sizeof(other), "%s/generations/5", directory);
    assert_return_code(symlink("/etc/passwd", other), errno);
    snprintf(other, sizeof(other), "%s/generations/6", directory);
    assert_return_code(mkfifo(other, 0600), errno);
    assert_int_equal(find(), 4);
    for (size_t i = 0; i < n_found; i++)
        assert_false(found[i].readable);
    assert_int_equal(find(), 0);
    assert_return_code(access("/etc/passwd", R_OK), errno); /* what a link names is not what is removed */
}

static void test_no_directory(void **state)
{
    struct flight *flight;
    assert_int_equal(flight_new(&flight, "/nonexistent/holdfast", 1, 1), -ENOENT);
    flight_find_dead("/nonexistent/holdfast", on_dead, NULL);
    char path[128];
    snprintf(path, sizeof(path), "%s/generations", directory);
    assert_return_code(symlink("/tmp", path), errno);
    assert_true(flight_new(&flight, directory, 1, 1) < 0); /* a link is not followed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_orderly_end_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deaths_are_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_files_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_directory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
