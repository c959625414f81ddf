#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "lifecycle/flight.h"

/* The layout of the file, which other releases read. */
enum { AT_VERSION = 8, AT_WORKERS = 12, AT_GENERATION = 16, AT_BOOT = 40, AT_SLOTS = 128, SLOT_SIZE = 64 };

static char directory[] = "/tmp/test-flight.XXXXXX";
static int records = -1; /* its folder of records, once there is one */

static int setup(void **state)
{
    return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
    char path[64];
    close_and_forget(&records);
    snprintf(path, sizeof(path), "%s/generations", directory);
    return rmdir(path) < 0 || rmdir(directory) < 0 ? -1 : 0;
}

/* What was told. */
struct told {
    size_t n;
    struct flight_death deaths[8];
};

static void on_dead(void *userdata, const struct flight_death *death)
{
    struct told *told = userdata;
    assert_true(told->n < ARRAY_SIZE(told->deaths));
    told->deaths[told->n++] = *death;
}

static struct flight_death of(const struct told *told, uint64_t generation)
{
    for (size_t i = 0; i < told->n; i++)
        if (told->deaths[i].generation == generation)
            return told->deaths[i];
    fail_msg("generation %" PRIu64 " was not told", generation);
    return (struct flight_death){0};
}

static struct told find(void)
{
    struct told told = {0};
    flight_find_dead(directory, on_dead, &told);
    return told;
}

static bool is_there(const char *name)
{
    struct stat st;
    return fstatat(records, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static struct flight *begin(uint64_t generation, unsigned n_workers)
{
    struct flight *flight = NULL;
    assert_int_equal(flight_new(&flight, directory, generation, n_workers), 0);
    if (records < 0) {
        char path[64];
        snprintf(path, sizeof(path), "%s/generations", directory);
        records = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_return_code(records, errno);
    }
    return flight;
}

static void count(struct flight *flight, unsigned worker, size_t requests, size_t connections)
{
    flight_set_requests(flight_slot(flight, worker), requests);
    flight_set_connections(flight_slot(flight, worker), connections);
}

static void reap(pid_t pid, int signal_number)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signal_number);
}

/* A process that has so much in flight on its second worker, one request on its first, and is killed. */
static pid_t die(uint64_t generation, size_t requests, size_t connections)
{
    const pid_t pid = fork();
    assert_return_code(pid, errno);
    if (pid == 0) {
        struct flight *flight = begin(generation, 2);
        count(flight, 0, 1, 1);
        count(flight, 1, 500, 600); /* the last word counts */
        count(flight, 1, requests, connections);
        kill(getpid(), SIGKILL);
    }
    reap(pid, SIGKILL);
    return pid;
}

static void test_orderly_end(void **state)
{
    struct flight *flight = begin(5, 3);
    assert_true(is_there("5"));
    assert_false(is_there(".new"));
    count(flight, 2, 1, 1);
    assert_int_equal(find().n, 0);
    assert_true(is_there("5")); /* whoever looks leaves it to the living */
    assert_null(flight_free(flight));
    assert_false(is_there("5"));
    assert_int_equal(find().n, 0);

    /* With workers that still count. */
    flight = begin(6, 1);
    flight_end(flight);
    assert_false(is_there("6"));
    count(flight, 0, 7, 7);
    flight_end(flight);
    flight_free(flight);
    assert_int_equal(find().n, 0);
}

static void test_none(void **state)
{
    flight_end(NULL);
    assert_null(flight_free(NULL));
    assert_null(flight_slot(NULL, 3));
    count(NULL, 0, 1, 1);
}

static void test_slots(void **state)
{
    struct flight *flight = begin(1, 256);
    for (unsigned i = 0; i < 256; i++) {
        assert_int_equal((uintptr_t)flight_slot(flight, i) % 64, 0); /* a cache line for each */
        count(flight, i, i, i);
    }
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(atomic_load(&flight_slot(flight, i)->requests), i);
    flight_free(flight);
}

static void test_killed(void **state)
{
    const usec_t before = now_realtime();
    const pid_t pid = die(7, 2, 11);
    assert_true(is_there("7"));
    const struct told told = find();
    assert_int_equal(told.n, 1);
    const struct flight_death *death = &told.deaths[0];
    assert_int_equal(death->generation, 7);
    assert_true(death->readable);
    assert_false(death->rebooted);
    assert_int_equal(death->pid, pid);
    assert_int_equal(death->requests, 3);
    assert_int_equal(death->connections, 12);
    assert_in_range(death->started_realtime, before, now_realtime());
    assert_false(is_there("7"));
    assert_int_equal(find().n, 0); /* once */
}

static void test_several(void **state)
{
    struct flight *draining = begin(20, 2), *leading = begin(23, 2);
    die(21, 0, 4);
    die(22, 9, 9);
    const struct told told = find();
    assert_int_equal(told.n, 2);
    assert_int_equal(of(&told, 21).requests, 1);
    assert_int_equal(of(&told, 21).connections, 5);
    assert_int_equal(of(&told, 22).requests, 10);
    assert_int_equal(of(&told, 22).connections, 10);
    assert_true(is_there("20") && is_there("23"));
    flight_free(draining);
    flight_free(leading);
}

/* A program that the process has started lives on. */
static void test_lock_is_not_inherited(void **state)
{
    int executed[2], input[2];
    assert_return_code(pipe2(executed, O_CLOEXEC), errno);
    assert_return_code(pipe2(input, O_CLOEXEC), errno);
    const pid_t pid = fork();
    assert_return_code(pid, errno);
    if (pid == 0) {
        begin(30, 1);
        if (fork() == 0) {
            dup2(input[0], STDIN_FILENO);
            execl("/bin/cat", "cat", NULL);
            _exit(127);
        }
        close(executed[1]);
        char byte;
        (void)!read(executed[0], &byte, 1); /* the end of it: the program runs */
        kill(getpid(), SIGKILL);
    }
    close(executed[1]);
    reap(pid, SIGKILL);
    assert_int_equal(find().n, 1);
    close(executed[0]);
    close(input[0]);
    close(input[1]); /* which ends the program */
}

/* A number that is given twice: the living one keeps its record. */
static void test_number_is_taken(void **state)
{
    struct flight *living = begin(40, 1), *second = NULL;
    assert_int_equal(flight_new(&second, directory, 40, 1), -EEXIST);
    assert_null(second);
    assert_true(is_there("40"));
    assert_false(is_there(".new"));
    assert_int_equal(find().n, 0);
    flight_free(living);
    assert_return_code(mkdirat(records, "41", 0700), errno);
    assert_int_equal(flight_new(&second, directory, 41, 1), -EEXIST);
    assert_return_code(unlinkat(records, "41", AT_REMOVEDIR), errno);
}

static void test_left_behind(void **state)
{
    assert_return_code(mkfifoat(records, ".new", 0600), errno);
    flight_free(begin(50, 1));
    assert_false(is_there(".new"));
}

static void test_reboot(void **state)
{
    setenv("HOLDFAST_BOOT_ID", "0123456789abcdef0123456789abcdef", 1);
    die(60, 1, 1);
    setenv("HOLDFAST_BOOT_ID", "01234567-89ab-cdef-0123-456789abcdef", 1); /* the same */
    struct told told = find();
    assert_int_equal(told.n, 1);
    assert_false(told.deaths[0].rebooted);
    die(61, 1, 1);
    setenv("HOLDFAST_BOOT_ID", "0123456789abcdef0123456789abcdee", 1);
    told = find();
    assert_int_equal(told.n, 1);
    assert_true(told.deaths[0].readable && told.deaths[0].rebooted);
    assert_int_equal(told.deaths[0].requests, 2);
    /* Not known, on one side: not told. */
    die(62, 1, 1);
    _cleanup_close_ int fd = openat(records, "62", O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, (char[16]){0}, 16, AT_BOOT), 16);
    told = find();
    assert_int_equal(told.n, 1);
    assert_true(told.deaths[0].readable && !told.deaths[0].rebooted);
    unsetenv("HOLDFAST_BOOT_ID");
}

static void overwrite(int fd, off_t at, const void *bytes, size_t size)
{
    assert_int_equal(pwrite(fd, bytes, size, at), size);
}

static void test_damaged(void **state)
{
    const uint32_t number32[] = {0, 1, 3, 2000, UINT32_MAX};
    const uint64_t huge = (uint64_t)UINT32_MAX + 1, other = 71;
    for (int damage = 0; damage < 14; damage++) {
        die(70, 1, 1);
        _cleanup_close_ int fd = openat(records, "70", O_RDWR | O_CLOEXEC);
        assert_return_code(fd, errno);
        switch (damage) {
        case 0:
            assert_return_code(ftruncate(fd, 0), errno);
            break;
        case 1:
            assert_return_code(ftruncate(fd, 20), errno);
            break;
        case 2:
            assert_return_code(ftruncate(fd, AT_SLOTS + SLOT_SIZE), errno);
            break;
        case 3:
            assert_return_code(ftruncate(fd, AT_SLOTS + 2 * SLOT_SIZE - 1), errno);
            break;
        case 4:
            assert_return_code(ftruncate(fd, (off_t)1 << 40), errno); /* a hole, larger than all memory */
            break;
        case 5:
            overwrite(fd, 0, "Hfflight", 8);
            break;
        case 6:
            overwrite(fd, AT_VERSION, &(uint32_t){2}, 4);
            break;
        case 7:
        case 8:
        case 9:
        case 10:
        case 11:
            overwrite(fd, AT_WORKERS, &number32[damage - 7], 4);
            break;
        case 12:
            overwrite(fd, AT_GENERATION, &other, 8);
            break;
        case 13:
            overwrite(fd, AT_SLOTS + SLOT_SIZE, &huge, 8);
            break;
        }
        const struct told told = find();
        assert_int_equal(told.n, 1);
        assert_int_equal(told.deaths[0].generation, 70);
        assert_false(told.deaths[0].readable);
        assert_true(told.deaths[0].requests == 0 && told.deaths[0].connections == 0);
        assert_false(is_there("70"));
    }
}

static void test_no_files(void **state)
{
    char target[64];
    snprintf(target, sizeof(target), "%s/target", directory);
    struct flight *living = begin(80, 1);
    assert_return_code(linkat(records, "80", AT_FDCWD, target, 0), errno);
    flight_free(living); /* so that what the link leads to is a good record */
    assert_return_code(symlinkat(target, records, "80"), errno);
    assert_return_code(symlinkat("/nonexistent", records, "81"), errno);
    assert_return_code(mkfifoat(records, "82", 0600), errno);
    assert_return_code(mkdirat(records, "83", 0700), errno);
    const int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/generations/84", directory);
    assert_return_code(bind(sock, (struct sockaddr *)&address, sizeof(address)), errno);
    close(sock);

    assert_int_equal(find().n, 0);
    assert_true(!is_there("80") && !is_there("81") && !is_there("82") && !is_there("84"));
    assert_true(is_there("83")); /* what might be in it is not ours to remove */
    assert_return_code(unlinkat(records, "83", AT_REMOVEDIR), errno);
    assert_return_code(unlink(target), errno); /* it was not followed */
}

static void test_other_names(void **state)
{
    const char *const names[] = {
        "0",  "-1", "7 ", "0x7",       "18446744073709551616", "99999999999999999999999",
        "7~", ".7", "7.", "lost+found"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        close(openat(records, names[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(find().n, 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_true(is_there(names[i]));
        unlinkat(records, names[i], 0);
    }
    /* The highest number is one. */
    close(openat(records, "18446744073709551615", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const struct told told = find();
    assert_int_equal(told.n, 1);
    assert_true(told.deaths[0].generation == UINT64_MAX && !told.deaths[0].readable);
}

/* Another user's, as of a process that was once started by hand: it may live. */
static void test_not_readable(void **state)
{
    enum { NOBODY = 65534 };
    const bool is_root = geteuid() == 0;
    die(90, 1, 1);
    if (is_root) {
        assert_return_code(chown(directory, NOBODY, NOBODY), errno);
        assert_return_code(fchown(records, NOBODY, NOBODY), errno);
        assert_return_code(seteuid(NOBODY), errno);
    } else {
        assert_return_code(fchmodat(records, "90", 0, 0), errno);
    }
    const struct told told = find();
    if (is_root)
        assert_return_code(seteuid(0), errno);
    else
        assert_return_code(fchmodat(records, "90", 0600, 0), errno);
    assert_int_equal(told.n, 0);
    assert_true(is_there("90"));
    assert_int_equal(find().n, 1);
}

static void test_no_directory(void **state)
{
    struct flight *flight = NULL;
    struct told told = {0};
    assert_int_equal(flight_new(&flight, "/nonexistent/holdfast", 1, 1), -ENOENT);
    assert_int_equal(flight_new(&flight, "/dev/null", 1, 1), -ENOTDIR);
    assert_int_equal(flight_new(&flight, directory, 1, 5000), -EINVAL);
    flight_find_dead("/nonexistent/holdfast", on_dead, &told);
    flight_find_dead("/dev/null", on_dead, &told);
    assert_int_equal(told.n, 0);
    assert_null(flight);
}

/* What is in the place of the folder of records is not followed. */
static void test_folder_is_a_link(void **state)
{
    char other[] = "/tmp/test-flight-other.XXXXXX", path[64];
    struct flight *flight = NULL;
    struct told told = {0};
    assert_non_null(mkdtemp(other));
    snprintf(path, sizeof(path), "%s/generations", other);
    assert_return_code(symlink("/tmp", path), errno);
    assert_int_not_equal(flight_new(&flight, other, 1, 1), 0);
    flight_find_dead(other, on_dead, &told);
    assert_int_equal(told.n, 0);
    unlink(path);
    rmdir(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orderly_end),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_lock_is_not_inherited),
        cmocka_unit_test(test_number_is_taken),
        cmocka_unit_test(test_left_behind),
        cmocka_unit_test(test_reboot),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_no_files),
        cmocka_unit_test(test_other_names),
        cmocka_unit_test(test_not_readable),
        cmocka_unit_test(test_no_directory),
        cmocka_unit_test(test_folder_is_a_link),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
