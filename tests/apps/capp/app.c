#include "app.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "address.h"
#include "connection.h"

#define BATCH 128
#define ACCEPTS_PER_EVENT 16

static int open_listener(const char *text)
{
    struct address address;
    if (address_parse(text, &address) < 0)
        return -EINVAL;
    if (address_is_unix(&address)) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)&address.sockaddr;
        if (un->sun_path[0] != '\0')
            unlink(un->sun_path);
    }
    _cleanup_close_ int fd =
        socket(address.sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (const struct sockaddr *)&address.sockaddr, address.size) < 0 || listen(fd, SOMAXCONN) < 0)
        return -errno;
    return TAKE_FD(fd);
}

static int add_listener(struct app *app, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &app->listeners[app->n_listeners]};
    app->listeners[app->n_listeners++] = fd;
    return epoll_ctl(app->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_listeners(struct app *app)
{
    int n = sd_listen_fds(1);
    for (int i = 0; i < n && app->n_listeners < APP_LISTENERS; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || add_listener(app, fd) < 0)
            return -errno;
    }
    for (size_t i = 0; i < app->options->n_listen && app->n_listeners < APP_LISTENERS; i++) {
        int fd = open_listener(app->options->listen[i]);
        int r = fd < 0 ? fd : add_listener(app, fd);
        if (r < 0) {
            fprintf(stderr, "capp: cannot listen on %s: %s\n", app->options->listen[i], strerror(-r));
            return r;
        }
    }
    if (app->n_listeners == 0) {
        fputs("capp: nothing to listen on: give --listen, or start it by a socket unit\n", stderr);
        return -ENOTCONN;
    }
    return 0;
}

static int watch_signals(struct app *app)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -errno;
    app->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &app->signal_fd};
    if (app->signal_fd < 0 || epoll_ctl(app->epoll_fd, EPOLL_CTL_ADD, app->signal_fd, &event) < 0)
        return -errno;
    return 0;
}

/* As one that has much to load before it listens; a signal ends the wait, and is left to the loop. */
static void start_slowly(const struct app *app)
{
    struct pollfd signals = {.fd = app->signal_fd, .events = POLLIN};
    usec_t delay = app->options->start_delay;
    if (delay > 0 && poll(&signals, 1, (int)(delay / USEC_PER_MSEC)) < 0)
        fputs("capp: cannot wait, ignoring\n", stderr);
}

int app_init(struct app *app, const struct app_options *options)
{
    *app = (struct app){.options = options, .epoll_fd = -1, .signal_fd = -1, .broken = options->broken};
    app->ledger = LEDGER_INIT(app->ledger);
    app->drain_timer.due = USEC_INFINITY;
    list_init(&app->connections);
    app->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (app->epoll_fd < 0)
        return -errno;
    if (options->ledger) {
        int r = ledger_open(&app->ledger, options->ledger);
        if (r < 0) {
            fprintf(stderr, "capp: %s: %s\n", options->ledger, strerror(-r));
            return r;
        }
    }
    int r = watch_signals(app);
    if (r < 0)
        return r;
    start_slowly(app);
    return open_listeners(app);
}

static void close_listeners(struct app *app)
{
    for (size_t i = 0; i < app->n_listeners; i++)
        close_and_forget(&app->listeners[i]);
    app->n_listeners = 0;
}

void app_deinit(struct app *app)
{
    list_for_each_safe (i, &app->connections)
        connection_free(list_entry(i, struct connection, link));
    close_listeners(app);
    timers_deinit(&app->timers);
    ledger_deinit(&app->ledger);
    close_and_forget(&app->signal_fd);
    close_and_forget(&app->epoll_fd);
}

static void accept_some(struct app *app, int listener)
{
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* fails on a Unix socket, ignoring */
        connection_new(app, fd);
    }
}

/* As apps do: nothing more is accepted, idle connections are closed, the rest is finished. */
static void drain(struct app *app)
{
    if (app->draining)
        return;
    app->draining = true;
    sd_notify(0, "STOPPING=1");
    close_listeners(app);
    list_for_each_safe (i, &app->connections)
        connection_drain(list_entry(i, struct connection, link));
    timers_arm(&app->timers, &app->drain_timer, usec_add(now_monotonic(), app->options->drain_timeout));
}

static void on_event(struct app *app, const struct epoll_event *event)
{
    int *listener = event->data.ptr;
    if (event->data.ptr == &app->signal_fd)
        drain(app);
    else if (listener >= app->listeners && listener < app->listeners + APP_LISTENERS)
        accept_some(app, *listener);
    else
        connection_on_events(event->data.ptr, event->events);
}

static void bury(struct app *app)
{
    list_for_each_safe (i, &app->connections) {
        struct connection *c = list_entry(i, struct connection, link);
        if (c->dead)
            connection_free(c);
    }
}

int app_loop(struct app *app)
{
    bool given_up = false;
    sd_notify(0, "READY=1");
    while (!given_up && !(app->draining && app->n_connections == 0)) {
        struct epoll_event events[BATCH];
        struct timer *timer;
        size_t before = app->n_connections;
        int n = epoll_wait(app->epoll_fd, events, BATCH, timers_wait(&app->timers, now_monotonic()));
        if (n < 0 && errno != EINTR)
            return -errno;
        uint64_t accepted = app->accepted;
        for (int i = 0; i < n; i++)
            on_event(app, &events[i]);
        while ((timer = timers_pop(&app->timers, now_monotonic()))) {
            if (timer == &app->drain_timer)
                given_up = true;
            else
                connection_on_timer(container_of(timer, struct connection, timer));
        }
        if (app->n_connections != before + (app->accepted - accepted))
            bury(app);
    }
    return 0;
}
