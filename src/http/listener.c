#include "http/listener.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "http/server_internal.h"

/* Connections taken in one turn of the loop: few, so that a burst is shared among the threads. */
#define ACCEPT_BATCH 4
/* How long a thread keeps away after it has passed a connection on; then it takes what the other did not. */
#define REST_TIME USEC_PER_MSEC
/* How long accepting pauses when the process has no descriptor or memory left. */
#define EXHAUSTED_PAUSE (100 * USEC_PER_MSEC)

enum polling {
    POLLING_NONE,      /* not accepting */
    POLLING_SHARED,    /* by h2o's own registration, as at the beginning and the end */
    POLLING_EXCLUSIVE, /* one thread is woken for a connection */
    POLLING_RESTING,   /* not polled for a moment: another thread was asked */
};

struct listener {
    struct server *server;
    const struct server_socket *socket;
    int fd;
    h2o_socket_t *sock; /* NULL when POLLING_NONE */
    enum polling polling;
    struct timer exclusive_timer;
    struct timer rest_timer;
    struct timer pause_timer;
};

static void on_acceptable(h2o_socket_t *sock, const char *error);

static bool accept_one(struct listener *listener)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    const int fd = accept4(listener->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return false;
    const struct ip_address peer = ip_address_from_sockaddr((struct sockaddr *)&address, size);
    conn_accepted(listener->server, listener->socket, fd, &peer);
    return true;
}

/* Replaces the registration with epoll. -ENOENT when h2o has not made its own yet, which takes a turn of the
 * loop. */
static int poll_as(struct listener *listener, enum polling polling)
{
    static const uint32_t events[] = {
        [POLLING_SHARED] = EPOLLIN,
        [POLLING_EXCLUSIVE] = EPOLLIN | EPOLLEXCLUSIVE,
    };
    int epoll = loop_epoll_fd(listener->server->options.loop);
    if (epoll < 0)
        return epoll;
    if (listener->polling != POLLING_RESTING && epoll_ctl(epoll, EPOLL_CTL_DEL, listener->fd, NULL) < 0)
        return -errno;
    listener->polling = POLLING_RESTING;
    if (polling == POLLING_RESTING)
        return 0;
    struct epoll_event event = {.events = events[polling], .data.ptr = listener->sock};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener->fd, &event) < 0)
        return -errno;
    listener->polling = polling;
    return 0;
}

static void on_exclusive_timer(struct timer *timer)
{
    struct listener *listener = container_of(timer, struct listener, exclusive_timer);
    if (poll_as(listener, POLLING_EXCLUSIVE) == -ENOENT)
        server_timer_start(listener->server, timer, USEC_PER_MSEC);
}

static void start(struct listener *listener)
{
    listener->sock =
        h2o_evloop_socket_create(listener->server->context.loop, listener->fd, H2O_SOCKET_FLAG_DONT_READ);
    listener->sock->data = listener;
    listener->polling = POLLING_SHARED;
    h2o_socket_read_start(listener->sock, on_acceptable);
    server_timer_start(listener->server, &listener->exclusive_timer, USEC_PER_MSEC);
}

/* Leaves the poll; the descriptor stays open. */
static void stop(struct listener *listener)
{
    if (listener->polling == POLLING_NONE)
        return;
    timer_stop(&listener->exclusive_timer);
    timer_stop(&listener->rest_timer);
    if (listener->polling != POLLING_SHARED)
        poll_as(listener, POLLING_SHARED); /* h2o is to find what it believes to have registered */
    h2o_socket_export_t export;
    h2o_socket_read_stop(listener->sock);
    if (h2o_socket_export(listener->sock, &export) == 0)
        h2o_buffer_dispose(&export.input);
    listener->sock = NULL;
    listener->polling = POLLING_NONE;
}

static void on_pause_over(struct timer *timer)
{
    start(container_of(timer, struct listener, pause_timer));
}

/* Takes what is there, up to a batch. False when the process is exhausted. */
static bool accept_batch(struct listener *listener)
{
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        if (accept_one(listener))
            continue;
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            return false;
        if (errno == EAGAIN)
            break;
        /* ECONNABORTED and the network errors of accept(2) concern that one connection only. */
    }
    return true;
}

static void accept_and_rotate(struct listener *listener)
{
    if (!accept_batch(listener)) {
        journal_log(listener->server->options.journal, EVENT_WARNING,
                    "cannot accept a connection on listener %s: %s; pausing",
                    listener->socket->listener->name, strerror(errno));
        stop(listener);
        server_timer_start(listener->server, &listener->pause_timer, EXHAUSTED_PAUSE);
    } else if (listener->polling != POLLING_SHARED) {
        /* The kernel wakes the first in its queue: to the end of it, so that the threads take turns. */
        poll_as(listener, POLLING_EXCLUSIVE);
    }
}

static void on_rest_over(struct timer *timer)
{
    accept_and_rotate(container_of(timer, struct listener, rest_timer));
}

static void on_acceptable(h2o_socket_t *sock, const char *error)
{
    struct listener *listener = sock->data;
    const struct server_options *options = &listener->server->options;

    if (listener->polling == POLLING_EXCLUSIVE && options->group &&
        accept_group_pass(options->group, options->index)) {
        poll_as(listener, POLLING_RESTING);
        server_timer_start(listener->server, &listener->rest_timer, REST_TIME);
        return;
    }
    accept_and_rotate(listener);
}

void listeners_accept_now(struct listener *listeners, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (listeners[i].polling != POLLING_EXCLUSIVE && listeners[i].polling != POLLING_RESTING)
            continue;
        timer_stop(&listeners[i].rest_timer);
        accept_and_rotate(&listeners[i]);
    }
}

int listeners_new(struct listener **ret, struct server *server, const struct server_socket *sockets, size_t n)
{
    struct listener *listeners = xcalloc(n, sizeof(*listeners));
    for (size_t i = 0; i < n; i++)
        listeners[i] = (struct listener){.server = server,
                                         .socket = &sockets[i],
                                         .fd = -1,
                                         .exclusive_timer = {.callback = on_exclusive_timer},
                                         .rest_timer = {.callback = on_rest_over},
                                         .pause_timer = {.callback = on_pause_over}};
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
        timer_stop(&listener->pause_timer);
        /* After this no wake-up is ours any more; those that were, we serve. */
        if (listener->polling == POLLING_EXCLUSIVE && poll_as(listener, POLLING_RESTING) == 0)
            while (accept_one(listener))
                ;
        stop(listener);
    }
}

struct listener *listeners_free(struct listener *listeners, size_t n)
{
    if (!listeners)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        stop(&listeners[i]);
        timer_stop(&listeners[i].pause_timer);
        close_and_forget(&listeners[i].fd);
    }
    free(listeners);
    return NULL;
}
