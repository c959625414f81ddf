#include "lifecycle/channel.h"

#include <poll.h>
#include <sys/socket.h>

static void take_fds(struct msghdr *header, struct channel_message *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (message->n_fds < CHANNEL_MAX_FDS)
                message->fds[message->n_fds++] = fd;
            else
                close(fd);
        }
    }
}

int channel_receive(int fd, struct channel_message *ret)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 253)];
        struct cmsghdr align;
    } control;
    _cleanup_free_ char *data = xcalloc(1, CHANNEL_MAX_SIZE);
    struct iovec iov = {data, CHANNEL_MAX_SIZE};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};

    /* One who leaves with messages of ours unread leaves an error before its own last words, which is told
     * once. */
    ssize_t n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    for (int tries = 0; n < 0 && (errno == EINTR || errno == ECONNRESET) && tries < 3; tries++)
        n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -errno;
    if (n == 0 && header.msg_controllen == 0)
        return -ECONNRESET;

    struct channel_message message = {.type = ""};
    take_fds(&header, &message);
    if (!(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        message.body = json_loadb(data, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(message.body)) {
        json_decref(message.body);
        message.body = NULL;
    }
    const char *type = json_string_value(json_object_get(message.body, "type"));
    if (type)
        message.type = type;
    *ret = message;
    return 0;
}

void channel_message_deinit(struct channel_message *message)
{
    for (size_t i = 0; i < message->n_fds; i++)
        close_and_forget(&message->fds[i]);
    message->n_fds = 0;
    json_decref(message->body);
    message->body = NULL;
    message->type = "";
}

/* Waits until the socket takes more. The kernel bounds descriptors in flight, too, and gives no event for
 * that. */
static int await_room(int fd, int error, usec_t deadline)
{
    usec_t left = usec_sub(deadline, now_monotonic());
    if (left == 0)
        return -ETIMEDOUT;
    struct pollfd p = {.fd = fd, .events = error == ETOOMANYREFS ? 0 : POLLOUT};
    int timeout = error == ETOOMANYREFS ? 1 : (int)(left / USEC_PER_MSEC) + 1;
    if (poll(&p, 1, timeout) < 0 && errno != EINTR)
        return -errno;
    return 0;
}

int channel_send(int fd, json_t *body, const int *fds, size_t n_fds, usec_t patience)
{
    _cleanup_free_ char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    if (!text)
        return -ENOMEM;
    if (strlen(text) > CHANNEL_MAX_SIZE || n_fds > CHANNEL_MAX_FDS)
        return -EMSGSIZE;

    union {
        char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_MAX_FDS)];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {text, strlen(text)};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n_fds) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    usec_t deadline = usec_add(now_monotonic(), patience);
    while (sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != ENOBUFS && errno != ETOOMANYREFS)
            return errno == ECONNRESET ? -EPIPE : -errno;
        int r = await_room(fd, errno, deadline);
        if (r < 0)
            return r;
    }
    return 0;
}

json_t *channel_message_new(const char *type)
{
    json_t *body = json_pack("{s:s,s:i}", "type", type, "version", CHANNEL_VERSION);
    if (!body)
        abort();
    return body;
}

uint64_t channel_u64(const struct channel_message *message, const char *key, uint64_t fallback)
{
    const json_t *value = json_object_get(message->body, key);
    return json_is_integer(value) && json_integer_value(value) >= 0 ? (uint64_t)json_integer_value(value)
                                                                    : fallback;
}

const char *channel_string(const struct channel_message *message, const char *key, const char *fallback)
{
    const char *value = json_string_value(json_object_get(message->body, key));
    return value ? value : fallback;
}
