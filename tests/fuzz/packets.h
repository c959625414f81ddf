#pragma once
/* Any bytes as packets with descriptors beside them: each line is a packet, and its first byte says how many
 * descriptors go with it (the lower half), and of what kind (0x10: a file with the whole input in it, else a
 * socket). */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "util/macros.h"

/* Descriptors are small numbers here. */
static inline size_t open_descriptors(void)
{
    size_t n = 0;
    for (int fd = 0; fd < 64; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static inline void send_packet(int to, const uint8_t *data, size_t size, int fd, size_t n_fds)
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

/* Sends each line; after each, `sent` may be called with `from`, the other end. */
static inline void send_packets(int to, const uint8_t *data, size_t size, void (*sent)(int from), int from)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        abort();
    const int file = memfd_create("fuzz", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t)size)
        abort();
    while (size > 1) {
        const uint8_t *end = memchr(data + 1, '\n', size - 1);
        const size_t n = end ? (size_t)(end - data) : size;
        send_packet(to, data + 1, n - 1, data[0] & 0x10 ? file : pair[0], data[0] & 0x0f);
        if (sent)
            sent(from);
        data += MIN(n + 1, size);
        size -= MIN(n + 1, size);
    }
    close(file);
    close(pair[0]);
    close(pair[1]);
}
