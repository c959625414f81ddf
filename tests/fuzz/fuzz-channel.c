/* Any packets between two generations, with descriptors beside them: messages, connections, documents, or
 * nothing. Each line of the input is a packet; the first byte of a line says how many descriptors go with it,
 * and of what kind. */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "gateway/handover.h"
#include "lifecycle/blob.h"
#include "lifecycle/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct listener_config listeners[] = {{.name = (char *)"http", .index = 0}};
static const struct config config = {.listeners = listeners, .n_listeners = 1};

static void adopt(void *userdata, const struct moving_connection *connection)
{
    size_t *adopted = userdata;
    assert(connection->fd >= 0 && connection->listener == &listeners[0]);
    close(connection->fd);
    (*adopted)++;
}

static size_t open_descriptors(void)
{
    size_t n = 0;
    for (int fd = 0; fd < 64; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void send_packet(int to, const uint8_t *data, size_t size, int fd, size_t n_fds)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 16)];
        struct cmsghdr align;
    } control = {0};
    int fds[16];
    struct iovec iov = {(void *)(uintptr_t)data, size};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    for (size_t i = 0; i < n_fds; i++)
        fds[i] = fd;
    if (n_fds > 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        *c = (struct cmsghdr){CMSG_LEN(sizeof(int) * n_fds), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    (void)!sendmsg(to, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void receive(int from)
{
    struct channel_message message;
    json_t *document;
    while (channel_receive(from, &message) == 0) {
        size_t adopted = 0;
        assert(message.type && message.n_fds <= CHANNEL_MAX_FDS);
        assert(channel_string(&message, "listener", "none"));
        if (message.n_fds > 0 && blob_read(message.fds[0], &document) == 0)
            json_decref(document);
        assert(handover_receive(&config, &message, adopt, &adopted) == adopted);
        channel_message_deinit(&message);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t before = open_descriptors();
    int ends[2], pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        abort();
    const int file = memfd_create("fuzz", 0);
    if (file < 0 || write(file, data, size) != (ssize_t)size)
        abort();
    while (size > 1) {
        const uint8_t *end = memchr(data + 1, '\n', size - 1);
        const size_t n = end ? (size_t)(end - data) : size;
        send_packet(ends[0], data + 1, n - 1, data[0] & 0x10 ? file : pair[0], data[0] & 0x0f);
        receive(ends[1]);
        data += MIN(n + 1, size);
        size -= MIN(n + 1, size);
    }
    close(file);
    close(pair[0]);
    close(pair[1]);
    close(ends[0]);
    receive(ends[1]);
    close(ends[1]);
    assert(open_descriptors() == before); /* none is left open */
    return 0;
}
