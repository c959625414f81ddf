#include "http/listener.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include "http/server_internal.h"

/* Connections taken in one turn of the loop, so that a burst is shared among the threads. */
#define ACCEPT_BATCH 16
/* How long accepting pauses when the process has no descriptor or memory left. */
#define EXHAUSTED_PAUSE (100 * USEC_PER_MSEC)

struct listener {
    struct server *server;
    const struct server_socket *socket;
    int fd;
    h2o_socket_t *sock;
    bool exclusive;
    h2o_timeout_entry_t exclusive_timer;
    h2o_timeout_entry_t pause_timer;
};

static void on_acceptable(h2o_socket_t *sock, const char *error);

static bool accept_one(struct listener *listener)
{
    h2o_socket_t *sock = h2o_evloop_socket_accept(listener->sock);
    if (!sock)
        return false;
    conn_accepted(listener->server, listener->socket, sock);
    return true;
}

/* Polls for this thread alone, in place of h2o's own registration, which exists only after a turn of the
 * loop: until then -ENOENT. */
static int poll_exclusively(struct listener *listener, bool exclusive)
{
    int epoll = loop_epoll_fd(listener->server->options.loop);
    if (epoll < 0)
        return epoll;
    if (epoll_ctl(epoll, EPOLL_CTL_DEL, listener->fd, NULL) < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN | (exclusive ? EPOLLEXCLUSIVE : 0),
                                .data.ptr = listener->sock};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener->fd, &event) < 0)
        return -errno;
    listener->exclusive = exclusive;
    return 0;
}

static void on_exclusive_timer(h2o_timeout_entry_t *entry)
{
    struct listener *listener = container_of(entry, struct listener, exclusive_timer);
    if (poll_exclusively(listener, true) == -ENOENT)
        server_timer_start(listener->server, entry, USEC_PER_MSEC);
}

static void start(struct listener *listener)
{
    listener->sock =
        h2o_evloop_socket_create(listener->server->context.loop, listener->fd, H2O_SOCKET_FLAG_DONT_READ);
    listener->sock->data = listener;
    h2o_socket_read_start(listener->sock, on_acceptable);
    server_timer_start(listener->server, &listener->exclusive_timer, USEC_PER_MSEC);
}

/* Leaves the poll; the descriptor stays open. */
static void stop(struct listener *listener)
{
    if (!listener->sock)
        return;
    h2o_timeout_unlink(&listener->exclusive_timer);
    if (listener->exclusive) /* h2o is to find what it believes to have registered */
        poll_exclusively(listener, false);
    h2o_socket_export_t export;
    h2o_socket_read_stop(listener->sock);
    if (h2o_socket_export(listener->sock, &export) == 0)
        h2o_buffer_dispose(&export.input);
    listener->sock = NULL;
}

static void on_pause_over(h2o_timeout_entry_t *entry)
{
    start(container_of(entry, struct listener, pause_timer));
}

static void on_acceptable(h2o_socket_t *sock, const char *error)
{
    struct listener *listener = sock->data;

    for (int i = 0; i < ACCEPT_BATCH; i++) {
        if (accept_one(listener))
            continue;
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            journal_log(listener->server->options.journal, EVENT_WARNING,
                        "cannot accept a connection on listener %s: %s; pausing",
                        listener->socket->listener->name, strerror(errno));
            stop(listener);
            server_timer_start(listener->server, &listener->pause_timer, EXHAUSTED_PAUSE);
            return;
        }
        if (errno == EAGAIN)
            return;
        /* ECONNABORTED and the network errors of accept(2) concern that one connection only. */
    }
}

int listeners_new(struct listener **ret, struct server *server, const struct server_socket *sockets, size_t n)
{
    struct listener *listeners = xcalloc(n, sizeof(*listeners));
    for (size_t i = 0; i < n; i++)
        listeners[i] = (struct listener){.server = server,
                                         .socket = &sockets[i],
                                         .fd = -1,
                                         .exclusive_timer = {.cb = on_exclusive_timer},
                                         .pause_timer = {.cb = on_pause_over}};
    for (size_t i = 0; i < n; i++) {
        listeners[i].fd = fcntl(sockets[i].fd, F_DUPFD_CLOEXEC, 3);
        if (listeners[i].fd < 0) {
            int r = -errno;
            listeners_free(listeners, n);
            return r;
        }
    }
    *ret = listeners;
    return 0;
}

void listeners_start(struct listener *listeners, size_t n)
{
    for (size_t i = 0; i < n; i++)
        start(&listeners[i]);
}

void listeners_stop(struct listener *listeners, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct listener *listener = &listeners[i];
        h2o_timeout_unlink(&listener->pause_timer);
        if (!listener->sock)
            continue;
        int epoll = loop_epoll_fd(listener->server->options.loop);
        if (listener->exclusive && epoll >= 0) {
            /* No wake-up is ours any more after this; those that were, we serve. */
            epoll_ctl(epoll, EPOLL_CTL_DEL, listener->fd, NULL);
            while (accept_one(listener))
                ;
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener->sock};
            epoll_ctl(epoll, EPOLL_CTL_ADD, listener->fd, &event);
            listener->exclusive = false;
        }
        stop(listener);
    }
}

struct listener *listeners_free(struct listener *listeners, size_t n)
{
    if (!listeners)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        stop(&listeners[i]);
        h2o_timeout_unlink(&listeners[i].pause_timer);
        close_and_forget(&listeners[i].fd);
    }
    free(listeners);
    return NULL;
}
