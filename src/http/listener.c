#include "http/listener.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "http/limits.h"
#include "http/reserve.h"
#include "http/server_internal.h"
#include "journal/fields.h"

/* Connections taken in one turn of the loop: few, so that a burst is shared among the threads. */
#define ACCEPT_BATCH 4
/* How long a thread keeps away after it has passed a connection on; then it takes what the other did not. */
#define REST_TIME USEC_PER_MSEC
/* How long accepting pauses when the process has no descriptor or memory left. */
#define EXHAUSTED_PAUSE (100 * USEC_PER_MSEC)
/* How often idle connections are asked to go while accepting pauses at a limit. */
#define SHED_INTERVAL USEC_PER_SEC

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
    enum limit limit; /* what stood in the way the last time */
    struct limits_waiter waiter;
    bool waits;       /* for a place: accepting pauses until one is given back */
    usec_t paused_at; /* the last time */
};

static void on_acceptable(h2o_socket_t *sock, const char *error);

/* What came of accepting a connection. */
enum accepted {
    ACCEPTED_ONE,
    ACCEPTED_NONE,    /* there is none */
    ACCEPTED_BLOCKED, /* there may be, but not for us now */
};

/* The admin API, which nobody counts, may use the reserve. */
static int accept_fd(struct listener *listener, struct sockaddr_storage *address, socklen_t *size)
{
    if (!listener->server->options.limits)
        return reserve_accept(listener->fd, address, size);
    return accept4(listener->fd, (struct sockaddr *)address, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static enum accepted accept_into(struct listener *listener, struct place *place)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);

    const int fd = accept_fd(listener, &address, &size);
    if (fd >= 0) {
        const struct ip_address peer = ip_address_from_sockaddr((struct sockaddr *)&address, size);
        conn_accepted(listener->server, listener->socket, fd, &peer, *place);
        return ACCEPTED_ONE;
    }
    const int error = errno;
    place_give_back(place);
    if (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS) {
        listener->limit = LIMIT_RESOURCES;
        return ACCEPTED_BLOCKED;
    }
    /* ECONNABORTED and the network errors of accept(2) concern that one connection only. */
    return error == EAGAIN ? ACCEPTED_NONE : ACCEPTED_ONE;
}

static bool has_waiting(const struct listener *listener)
{
    struct pollfd p = {.fd = listener->fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

/* Whose idle connections are in the way: this listener's, or anybody's. */
static const struct listener_config *crowded(const struct listener *listener)
{
    return listener->limit == LIMIT_LISTENER ? listener->socket->listener : NULL;
}

static enum accepted accept_one(struct listener *listener)
{
    struct limits *limits = listener->server->options.limits;
    const struct listener_config *config = listener->socket->listener;
    struct place place;

    listener->limit = limits_take(limits, config, &place);
    if (listener->limit != LIMIT_NONE) {
        if (!has_waiting(listener))
            return ACCEPTED_NONE;
        if (server_shed(listener->server, crowded(listener)))
            listener->limit = limits_take(limits, config, &place);
        if (listener->limit != LIMIT_NONE)
            return ACCEPTED_BLOCKED;
    }
    return accept_into(listener, &place);
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

/* ---- pausing --------------------------------------------------------------------------------------- */

static bool is_news(struct listener *listener, usec_t now)
{
    struct limits *limits = listener->server->options.limits;
    const usec_t before = listener->paused_at;

    listener->paused_at = now;
    if (limits)
        return limits_pause_is_news(limits, listener->socket->listener, listener->limit, now);
    return before == 0 || usec_sub(now, before) > LIMITS_EPISODE_GAP;
}

static void tell_pause(struct listener *listener)
{
    static const char *const reasons[_LIMIT_MAX] = {
        [LIMIT_GATEWAY] = "MaxConnections= of [Gateway] is reached",
        [LIMIT_LISTENER] = "MaxConnections= of the listener is reached",
        [LIMIT_RESOURCES] = "no descriptor or memory is left",
    };
    const struct server *server = listener->server;
    const struct listener_config *config = listener->socket->listener;
    struct limits_state state = {.connections = server->n_conns};
    struct journal_record record;

    metrics_accept_pause(server->options.metrics, config);
    if (!is_news(listener, now_monotonic()))
        return;
    if (server->options.limits)
        state = limits_look(server->options.limits, NULL);
    journal_begin(&record, EVENT_ACCEPT_PAUSED);
    journal_add_string(&record, FIELD_LISTENER, config->name);
    journal_add_string(&record, FIELD_REASON, reasons[listener->limit]);
    journal_add_u64(&record, FIELD_CONNECTIONS, state.connections);
    journal_send(server->options.journal, &record, "accepting on listener %s pauses at %zu connections: %s",
                 config->name, state.connections, reasons[listener->limit]);
}

/* Idle connections of other threads make room as well. */
static void ask_others(struct listener *listener)
{
    const struct server_options *options = &listener->server->options;
    limits_ask_to_shed(options->limits, options->index, crowded(listener));
}

static void pause_accepting(struct listener *listener)
{
    tell_pause(listener);
    stop(listener);
    if (listener->limit == LIMIT_RESOURCES) {
        server_timer_start(listener->server, &listener->pause_timer, EXHAUSTED_PAUSE);
    } else if (limits_await(listener->server->options.limits, &listener->waiter)) {
        listener->waits = true;
        ask_others(listener);
        server_timer_start(listener->server, &listener->pause_timer, SHED_INTERVAL);
    } else {
        start(listener);
    }
}

/* A place was given back. */
static void on_place(void *userdata)
{
    struct listener *listener = userdata;

    if (!listener->waits) { /* it has stopped meanwhile */
        limits_wake_next(listener->server->options.limits);
        return;
    }
    listener->waits = false;
    timer_stop(&listener->pause_timer);
    start(listener);
}

static void on_pause_over(struct timer *timer)
{
    struct listener *listener = container_of(timer, struct listener, pause_timer);

    if (!listener->waits) {
        start(listener);
        return;
    }
    /* What was not idle for long enough may be by now. */
    server_timer_start(listener->server, timer, SHED_INTERVAL);
    if (has_waiting(listener) && !server_shed(listener->server, crowded(listener)))
        ask_others(listener);
}

/* ---- accepting ------------------------------------------------------------------------------------- */

/* Takes what is there, up to a batch. False when it cannot. */
static bool accept_batch(struct listener *listener)
{
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        const enum accepted accepted = accept_one(listener);
        if (accepted != ACCEPTED_ONE)
            return accepted == ACCEPTED_NONE;
    }
    return true;
}

static void accept_and_rotate(struct listener *listener)
{
    if (!accept_batch(listener)) {
        pause_accepting(listener);
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
        listeners[i].waiter = (struct limits_waiter){.listener = sockets[i].listener,
                                                     .loop = server->options.loop,
                                                     .callback = on_place,
                                                     .userdata = &listeners[i]};
        list_init(&listeners[i].waiter.link);
    }
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

/* Connections that we were woken for, and others were not: here a limit does not hold. */
static void accept_ours(struct listener *listener)
{
    struct place place;

    for (int i = 0; i < ACCEPT_BATCH; i++) {
        limits_take_anyway(listener->server->options.limits, listener->socket->listener, &place);
        if (accept_into(listener, &place) != ACCEPTED_ONE)
            return;
    }
    while (accept_one(listener) == ACCEPTED_ONE)
        ;
}

void listeners_stop(struct listener *listeners, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct listener *listener = &listeners[i];
        const bool waited = listener->waits;

        timer_stop(&listener->pause_timer);
        limits_forget(listener->server->options.limits, &listener->waiter);
        listener->waits = false;
        /* After this no wake-up is ours any more; those that were, we serve. One that was passed on is
         * nobody's until the rest is over. */
        if (waited || listener->polling == POLLING_RESTING ||
            (listener->polling == POLLING_EXCLUSIVE && poll_as(listener, POLLING_RESTING) == 0))
            accept_ours(listener);
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
        limits_forget(listeners[i].server->options.limits, &listeners[i].waiter);
        loop_unpost(listeners[i].server->options.loop, &listeners[i]);
        close_and_forget(&listeners[i].fd);
    }
    free(listeners);
    return NULL;
}
