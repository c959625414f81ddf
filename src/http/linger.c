#include "http/linger.h"

#include "http/server_internal.h"

#define LINGER_TIME (2 * USEC_PER_SEC)
#define LINGER_BYTES (1024 * 1024)

struct lingering {
    struct server *server;
    struct list link;
    h2o_socket_t *sock;
    size_t budget; /* bytes still read for the sake of politeness */
    struct timer timer;
    struct place place;
};

static void linger_end(struct lingering *linger)
{
    timer_stop(&linger->timer);
    list_unlink(&linger->link);
    linger->server->n_lingering--;
    h2o_socket_close(linger->sock);
    place_give_back(&linger->place);
    free(linger);
}

static void on_readable(h2o_socket_t *sock, const char *error)
{
    struct lingering *linger = sock->data;
    char buffer[16384];

    ssize_t n = recv(h2o_socket_get_fd(sock), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || (size_t)n >= linger->budget)
        linger_end(linger);
    else
        linger->budget -= (size_t)n;
}

static void on_timeout(struct timer *timer)
{
    linger_end(container_of(timer, struct lingering, timer));
}

void linger_start(struct server *server, int fd, struct place place)
{
    if (shutdown(fd, SHUT_WR) < 0) {
        close(fd); /* the client was faster */
        place_give_back(&place);
        return;
    }
    struct lingering *linger = xcalloc(1, sizeof(*linger));
    linger->server = server;
    linger->place = place;
    linger->budget = LINGER_BYTES;
    linger->timer.callback = on_timeout;
    linger->sock = h2o_evloop_socket_create(server->context.loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    linger->sock->data = linger;
    list_append(&server->lingering, &linger->link);
    server->n_lingering++;
    h2o_socket_read_start(linger->sock, on_readable);
    server_timer_start(server, &linger->timer, LINGER_TIME);
}

void linger_end_all(struct server *server)
{
    while (!list_is_empty(&server->lingering))
        linger_end(list_entry(server->lingering.next, struct lingering, link));
}
