/* Packets between generations, and what goes beside them. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lifecycle/blob.h"
#include "lifecycle/channel.h"

static int ends[2];

static int setup(void **state)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int teardown(void **state)
{
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static size_t open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    size_t n = 0;
    while (readdir(directory))
        n++;
    closedir(directory);
    return n;
}

static void send_raw(const char *data, size_t size, const int *fds, size_t n)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 253)];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {(void *)(uintptr_t)data, size};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n > 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        *c = (struct cmsghdr){CMSG_LEN(sizeof(int) * n), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
    }
    assert_int_equal(sendmsg(ends[0], &header, MSG_NOSIGNAL), (ssize_t)size);
}

static void test_messages(void **state)
{
    struct channel_message message;
    assert_int_equal(channel_receive(ends[1], &message), -EAGAIN);
    json_t *body = channel_message_new("progress");
    json_object_set_new(body, "requests", json_integer(7));
    json_object_set_new(body, "name", json_string("x"));
    assert_int_equal(channel_send(ends[0], body, (int[]){0, 1}, 2, CHANNEL_PATIENCE), 0);
    assert_int_equal(channel_receive(ends[1], &message), 0);
    assert_string_equal(message.type, "progress");
    assert_int_equal(message.n_fds, 2);
    assert_true(fcntl(message.fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(channel_u64(&message, "requests", 1), 7);
    assert_int_equal(channel_u64(&message, "name", 1), 1);
    assert_int_equal(channel_u64(&message, "missing", 2), 2);
    assert_string_equal(channel_string(&message, "name", "y"), "x");
    assert_string_equal(channel_string(&message, "requests", "y"), "y");
    channel_message_deinit(&message);

    close(ends[0]);
    assert_int_equal(channel_receive(ends[1], &message), -ECONNRESET);
    ends[0] = dup(ends[1]); /* for the teardown */
}

static void test_garbage_is_no_message(void **state)
{
    _cleanup_free_ char *large = xcalloc(1, 150000);
    memset(large, 'x', 150000);
    const struct {
        const char *data;
        size_t size;
    } packets[] = {{"{", 1},       {"[]", 2},   {"7", 1},     {"{\"type\": 7}", 11},        {"\xff\xfe", 2},
                   {"\0\0\0", 3},  {"null", 4}, {"{} {}", 5}, {"{\"a\": 1, \"a\": 2}", 16}, {large, 60000},
                   {large, 150000}};
    const size_t before = open_descriptors();
    const int fds[250] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(packets); i++) {
        struct channel_message message;
        send_raw(packets[i].data, packets[i].size, fds, i % 2 ? 250 : 0);
        assert_int_equal(channel_receive(ends[1], &message), 0);
        assert_string_equal(message.type, "");
        assert_int_equal(channel_u64(&message, "x", 5), 5);
        channel_message_deinit(&message);
        assert_int_equal(open_descriptors(), before); /* none is left open */
    }
}

static void test_more_descriptors_than_are_taken(void **state)
{
    const size_t before = open_descriptors();
    const int fds[253] = {0};
    struct channel_message message;
    send_raw("{\"type\": \"connections\"}", 23, fds, 253);
    assert_int_equal(channel_receive(ends[1], &message), 0);
    assert_int_equal(message.n_fds, CHANNEL_MAX_FDS);
    channel_message_deinit(&message);
    assert_int_equal(open_descriptors(), before);
}

static void test_one_who_does_not_listen(void **state)
{
    /* Full: gives up in time, and at once without patience. */
    int r = 0;
    for (int i = 0; r == 0 && i < 100000; i++)
        r = channel_send(ends[0], channel_message_new("x"), NULL, 0, 0);
    assert_int_equal(r, -ETIMEDOUT);
    const usec_t began = now_monotonic();
    assert_int_equal(channel_send(ends[0], channel_message_new("x"), NULL, 0, 20 * USEC_PER_MSEC),
                     -ETIMEDOUT);
    assert_true(now_monotonic() - began >= 20 * USEC_PER_MSEC);
    /* Gone. */
    close(ends[1]);
    assert_int_equal(channel_send(ends[0], channel_message_new("x"), NULL, 0, USEC_PER_SEC), -EPIPE);
    ends[1] = dup(ends[0]);
    /* Too large to be sent at all. */
    json_t *body = channel_message_new("x");
    _cleanup_free_ char *text = xcalloc(1, CHANNEL_MAX_SIZE + 1);
    memset(text, 'x', CHANNEL_MAX_SIZE);
    json_object_set_new(body, "text", json_string(text));
    assert_int_equal(channel_send(ends[0], body, NULL, 0, 0), -EMSGSIZE);
}

static void test_last_words_behind_a_reset(void **state)
{
    struct channel_message message;
    assert_int_equal(channel_send(ends[1], channel_message_new("unread"), NULL, 0, 0), 0);
    assert_int_equal(channel_send(ends[0], channel_message_new("last"), NULL, 0, 0), 0);
    close(ends[0]); /* with a message unread */
    assert_int_equal(channel_receive(ends[1], &message), 0);
    assert_string_equal(message.type, "last");
    channel_message_deinit(&message);
    assert_int_equal(channel_receive(ends[1], &message), -ECONNRESET);
    ends[0] = dup(ends[1]);
}

static void assert_no_blob(int fd, int error)
{
    json_t *document;
    assert_int_equal(blob_read(fd, &document), error);
    close(fd);
}

static int file_with(const char *text)
{
    const int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

static void test_blobs(void **state)
{
    json_t *document = json_pack("{s:i}", "x", 7), *read;
    int fd = -1, pipe_ends[2];
    assert_int_equal(blob_new(document, &fd), 0);
    assert_int_equal(ftruncate(fd, 1), -1); /* sealed */
    assert_int_equal(blob_read(fd, &read), 0);
    assert_true(json_equal(document, read));
    json_decref(read);
    close(fd);

    /* In two steps, the second when it is on its way already. */
    assert_int_equal(blob_reserve(&fd), 0);
    assert_no_blob(dup(fd), -ENODATA);
    assert_int_equal(blob_fill(fd, document), 0);
    assert_int_equal(ftruncate(fd, 1), -1);
    assert_int_equal(blob_read(fd, &read), 0);
    assert_true(json_equal(document, read));
    json_decref(read);
    json_decref(document);
    close(fd);

    assert_no_blob(file_with(""), -ENODATA);
    assert_no_blob(file_with("{"), -EBADMSG);
    assert_no_blob(file_with("{\"x\": \"\xff\"}"), -EBADMSG);
    fd = memfd_create("test", MFD_CLOEXEC);
    assert_return_code(ftruncate(fd, (off_t)BLOB_MAX + 1), errno);
    assert_no_blob(fd, -EFBIG);
    assert_return_code(pipe(pipe_ends), errno);
    close(pipe_ends[1]);
    assert_no_blob(pipe_ends[0], -EBADMSG);
    assert_no_blob(dup(ends[0]), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage_is_no_message, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_descriptors_than_are_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_who_does_not_listen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_last_words_behind_a_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blobs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
