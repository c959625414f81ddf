#include "http/tunnel.h"

#include "http/outflow.h"
#include "http/server_internal.h"

struct side {
    struct tunnel *tunnel;
    h2o_socket_t *sock;
    struct outflow outflow; /* what it takes, since it was looked at first */
    bool is_watched;        /* … which it was */
    bool ended;             /* it will send nothing more */
};

struct tunnel {
    struct conn *conn;
    struct side client, upstream;
    usec_t idle;
    struct timer timer;
    struct tunnel_origin origin;
};

static void on_read(h2o_socket_t *sock, const char *error);

static struct side *other(struct side *side)
{
    return side == &side->tunnel->client ? &side->tunnel->upstream : &side->tunnel->client;
}

/* A client's socket finds its conn through on_close; both find their side here. */
static struct side *side_of(h2o_socket_t *sock)
{
    return sock->data;
}

static void end(struct tunnel *tunnel)
{
    h2o_socket_t *client = tunnel->client.sock, *upstream = tunnel->upstream.sock;
    struct conn *conn = tunnel->conn;

    timer_stop(&tunnel->timer);
    tunnel_origin_deinit(&tunnel->origin);
    free(tunnel);
    h2o_socket_read_stop(client);
    h2o_socket_read_stop(upstream);
    h2o_socket_close(upstream);
    conn_close(conn);
}

/* Whether it has something to take, and does. The first look cannot tell, and costs nothing before it: so who
 * takes nothing has up to twice the time. */
static bool takes(struct side *side)
{
    const int fd = h2o_socket_get_fd(side->sock);

    if (outflow_is_over(fd))
        return false;
    if (side->is_watched)
        return outflow_progress(&side->outflow, fd) > 0;
    side->outflow = outflow_begin(fd);
    side->is_watched = true;
    return true;
}

static void on_timeout(struct timer *timer)
{
    struct tunnel *tunnel = container_of(timer, struct tunnel, timer);
    const bool client_takes = takes(&tunnel->client), upstream_takes = takes(&tunnel->upstream);

    /* What was passed on at once may be much to take for who is slow. */
    if (client_takes || upstream_takes)
        server_timer_start(tunnel->conn->server, &tunnel->timer, tunnel->idle);
    else
        end(tunnel);
}

static void on_written(h2o_socket_t *sock, const char *error)
{
    struct side *to = side_of(sock), *from = other(to);

    if (error) {
        end(to->tunnel);
        return;
    }
    h2o_buffer_consume(&from->sock->input, from->sock->input->size);
    if (!from->ended)
        h2o_socket_read_start(from->sock, on_read);
}

/* Passes on what has been read of `from`. */
static void pass_on(struct side *from)
{
    h2o_iovec_t buf = h2o_iovec_init(from->sock->input->bytes, from->sock->input->size);

    server_timer_start(from->tunnel->conn->server, &from->tunnel->timer, from->tunnel->idle);
    h2o_socket_read_stop(from->sock); /* until the other side has taken it */
    h2o_socket_write(other(from)->sock, &buf, 1, on_written);
}

static void on_read(h2o_socket_t *sock, const char *error)
{
    struct side *from = side_of(sock), *to = other(from);

    if (error) {
        from->ended = true;
        h2o_socket_read_stop(sock);
        if (to->ended || to->sock->ssl || from->sock->ssl)
            end(from->tunnel);
        else
            shutdown(h2o_socket_get_fd(to->sock), SHUT_WR);
        return;
    }
    if (sock->bytes_read)
        pass_on(from);
}

static void start_side(struct side *side, struct tunnel *tunnel, h2o_socket_t *sock)
{
    *side = (struct side){.tunnel = tunnel, .sock = sock};
    sock->data = side;
}

void tunnel_origin_deinit(struct tunnel_origin *origin)
{
    free(origin->request_id);
    free(origin->method);
    free(origin->path);
}

const struct tunnel_origin *tunnel_origin_of(const struct conn *conn)
{
    const struct tunnel *tunnel = conn->protocol;
    return &tunnel->origin;
}

void tunnel_start(struct conn *conn, h2o_socket_t *upstream, usec_t idle, const struct tunnel_origin *origin)
{
    struct tunnel *tunnel = xcalloc(1, sizeof(*tunnel));

    tunnel->conn = conn;
    tunnel->idle = idle;
    tunnel->origin = *origin;
    tunnel->timer.callback = on_timeout;
    start_side(&tunnel->client, tunnel, conn->sock);
    start_side(&tunnel->upstream, tunnel, upstream);
    conn->protocol = tunnel;
    conn_set_kind(conn, CONN_TUNNEL);
    conn_set_busy(conn, true);
    server_timer_start(conn->server, &tunnel->timer, idle);
    struct side *sides[] = {&tunnel->client, &tunnel->upstream};
    for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
        if (sides[i]->sock->input->size)
            pass_on(sides[i]);
        else
            h2o_socket_read_start(sides[i]->sock, on_read);
    }
}

void tunnel_abort(struct conn *conn)
{
    end(conn->protocol);
}
