#include "upstream/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "upstream/context.h"
#include "upstream/h2o.h"
#include "upstream/pool.h"

/* A Unix socket whose backlog is full refuses with EAGAIN and tells nobody when there is room again. */
#define RETRY_FIRST (1 * USEC_PER_MSEC)
#define RETRY_MAX (50 * USEC_PER_MSEC)

static void on_read(h2o_socket_t *socket, const char *error)
{
    struct connection *c = socket->data;
    c->events->on_readable(c->owner);
}

static void on_write(h2o_socket_t *socket, const char *error)
{
    struct connection *c = socket->data;
    c->events->on_writable(c->owner);
}

struct connection *connection_new(struct client_context *context, struct client_pool *pool,
                                  unsigned generation)
{
    struct connection *c = xcalloc(1, sizeof(*c));

    c->context = context;
    c->pool = pool;
    c->generation = generation;
    c->deadline = (struct deadline)DEADLINE_INIT;
    list_init(&c->idle);
    pool_count(pool, +1);
    return c;
}

struct connection *connection_free(struct connection *c)
{
    if (!c)
        return NULL;
    list_unlink(&c->idle);
    deadlines_remove(&c->context->deadlines, &c->deadline);
    if (c->socket)
        h2o_socket_close(c->socket);
    pool_count(c->pool, -1);
    free(c);
    return NULL;
}

static void connected(struct connection *c, int error)
{
    connection_set_deadline(c, USEC_INFINITY);
    c->address = NULL;
    c->events->on_connect(c->owner, error);
}

static void on_connected(h2o_socket_t *socket, const char *unused)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(h2o_socket_get_fd(socket), SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    connected(socket->data, error);
}

static void adopt(struct connection *c, int fd)
{
    c->socket = h2o_evloop_socket_create(c->context->loop, fd, 0);
    c->socket->data = c;
    h2o_socket_dont_read(c->socket, 1);
}

static int try_connect(struct connection *c)
{
    const struct sockaddr *address = (const struct sockaddr *)&c->address->sockaddr;
    const int on = 1;
    _cleanup_close_ int fd = -1;

    fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (address->sa_family != AF_UNIX && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        return -errno;

    int r = connect(fd, address, c->address->size) < 0 ? -errno : 0;
    if (r == 0 || r == -EINPROGRESS || r == -EINTR) {
        adopt(c, TAKE_FD(fd));
        if (r == 0) {
            c->address = NULL;
            return 0;
        }
        h2o_socket_notify_write(c->socket, on_connected);
        connection_set_deadline(c, c->connect_by);
        return -EINPROGRESS;
    }
    if (r == -EAGAIN && address->sa_family == AF_UNIX) {
        usec_t now = now_monotonic();
        if (now >= c->connect_by)
            return -ETIMEDOUT;
        connection_set_deadline(c, MIN(now + c->retry_after, c->connect_by));
        c->retry_after = MIN(c->retry_after * 2, RETRY_MAX);
        return -EINPROGRESS;
    }
    return r;
}

int connection_open(struct connection *c, const struct address_config *address, usec_t timeout)
{
    c->address = address;
    c->connect_by = usec_add(now_monotonic(), timeout);
    c->retry_after = RETRY_FIRST;
    return try_connect(c);
}

void connection_on_deadline(struct deadline *deadline)
{
    struct connection *c = container_of(deadline, struct connection, deadline);

    if (!c->address) {
        c->events->on_deadline(c->owner);
    } else if (c->socket) {
        /* When the loop was held up, the outcome may be there, and on_connected() is about to be called. */
        struct pollfd outcome = {.fd = connection_fd(c), .events = POLLOUT};
        if (poll(&outcome, 1, 0) == 0)
            connected(c, ETIMEDOUT);
    } else {
        int r = try_connect(c);
        if (r != -EINPROGRESS)
            connected(c, -r);
    }
}

int connection_fd(const struct connection *c)
{
    return h2o_socket_get_fd(c->socket);
}

void connection_read_start(struct connection *c)
{
    if (!h2o_socket_is_reading(c->socket))
        h2o_socket_read_start(c->socket, on_read);
}

void connection_read_stop(struct connection *c)
{
    h2o_socket_read_stop(c->socket);
}

void connection_await_writable(struct connection *c)
{
    h2o_socket_notify_write(c->socket, on_write);
}

void connection_set_deadline(struct connection *c, usec_t at)
{
    deadlines_set(&c->context->deadlines, &c->deadline, at);
    context_await_deadlines(c->context);
}

bool connection_is_quiet(const struct connection *c)
{
    char byte;
    return recv(connection_fd(c), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EINTR);
}

struct st_h2o_socket_t *connection_release(struct connection *c, struct slice input)
{
    h2o_socket_t *socket = TAKE_PTR(c->socket);

    if (h2o_socket_is_reading(socket))
        h2o_socket_read_stop(socket);
    h2o_socket_dont_read(socket, 0);
    socket->data = NULL;
    if (input.size > 0) {
        h2o_iovec_t room = h2o_buffer_reserve(&socket->input, input.size);
        memcpy(room.base, input.data, input.size);
        socket->input->size += input.size;
    }
    connection_free(c);
    return socket;
}
