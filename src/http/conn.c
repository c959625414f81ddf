#include "http/conn.h"

#include <netinet/tcp.h>

#include "http/fault.h"
#include "http/client_certificate.h"
#include "http/handled.h"
#include "http/http1.h"
#include "http/http2.h"
#include "http/linger.h"
#include "http/proxy_header.h"
#include "http/server_internal.h"
#include "http/tls_internal.h"
#include "http/tunnel.h"

struct conn *conn_of_socket(h2o_socket_t *sock)
{
    return sock->on_close.data;
}

struct conn *conn_of(h2o_conn_t *conn)
{
    return conn_of_socket(conn->callbacks->get_socket(conn));
}

static const enum metrics_protocol metrics_protocols[_CONN_KIND_MAX] = {
    [CONN_HTTP1] = METRICS_HTTP1,
    [CONN_HTTP2] = METRICS_HTTP2,
    [CONN_TUNNEL] = METRICS_TUNNEL,
};

void conn_set_kind(struct conn *conn, enum conn_kind kind)
{
    struct metrics_shard *metrics = conn->server->options.metrics;

    if (metrics && conn->kind != CONN_HANDSHAKE)
        metrics_connection_close(metrics, conn->origin->listener, metrics_protocols[conn->kind]);
    if (conn->kind == CONN_TUNNEL)
        conn->server->n_tunnels--;
    conn->kind = kind;
    if (conn->kind == CONN_TUNNEL)
        conn->server->n_tunnels++;
    server_note_requests(conn->server);
    if (metrics && conn->kind != CONN_HANDSHAKE)
        (conn->adopted ? metrics_connection_adopt : metrics_connection_open)(metrics, conn->origin->listener,
                                                                             metrics_protocols[conn->kind]);
    conn->adopted = false;
}

void conn_set_busy(struct conn *conn, bool busy)
{
    if (conn->busy == busy)
        return;
    conn->busy = busy;
    if (busy)
        conn->server->n_busy++;
    else
        conn->server->n_busy--;
}

static void on_close(void *data)
{
    struct conn *conn = data;

    if (conn->kind == CONN_HTTP2)
        http2_closed(conn);
    conn_set_busy(conn, false);
    conn_set_kind(conn, CONN_HANDSHAKE); /* which is counted nowhere */
    timer_stop(&conn->timer);
    list_unlink(&conn->link);
    list_unlink(&conn->idle_link);
    server_count_connections(conn->server, -1);
    handled_forget(conn);
    if (conn->linger_fd >= 0)
        linger_start(conn->server, TAKE_FD(conn->linger_fd), conn->place);
    else
        place_give_back(&conn->place);
    client_certificate_free(conn->certificate);
    proxy_reader_free(conn->proxy_reader);
    free(conn);
}

static void set_client(struct conn *conn, const struct ip_address *client)
{
    conn->client = *client;
    conn->is_trusted_proxy = prefix_set_contains(&conn->origin->listener->trusted_proxies, client);
}

static void start_http2(struct conn *conn)
{
    conn_set_kind(conn, CONN_HTTP2);
    http2_start(conn);
}

static void on_handshake(h2o_socket_t *sock, const char *error)
{
    struct conn *conn = conn_of_socket(sock);

    timer_stop(&conn->timer);
    tls_conn_end(conn, error);
    if (error) {
        h2o_socket_close(sock);
        return;
    }
    h2o_iovec_t protocol = h2o_socket_ssl_get_selected_protocol(sock);
    if (protocol.len >= 2 && memcmp(protocol.base, "h2", 2) == 0)
        start_http2(conn);
    else
        http1_start(conn);
}

static void on_handshake_timeout(struct timer *timer)
{
    struct conn *conn = container_of(timer, struct conn, timer);
    conn_fault(conn, CLIENT_FAULT_HANDSHAKE_TIMEOUT, NULL);
    conn_abort(conn);
}

/* Its client is known, and may come. */
static void begin(struct conn *conn)
{
    if (conn->origin->tls) {
        conn->timer.callback = on_handshake_timeout;
        server_timer_start(conn->server, &conn->timer, server_gateway(conn->server)->handshake_timeout);
        h2o_socket_ssl_handshake(conn->sock, tls_config_ssl(conn->origin->tls), NULL, on_handshake);
    } else {
        http1_start(conn);
    }
}

/* A word would need a lingering close to arrive; a reset leaves nothing behind in the kernel. */
static void reset_at_close(int fd)
{
    static const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

/* Connections of a proxy's own are how it sees whether we are well: no client's address is judged there.
 * Those whose client it does not know are taken for its own in all but that. */
static void on_proxy_header(struct conn *conn, const struct proxy_header *header)
{
    if (header->source.family != IP_NONE)
        set_client(conn, &header->source);
    if (!header->is_local && !prefix_access_is_granted(&conn->origin->listener->access, &conn->client)) {
        conn_fault(conn, CLIENT_FAULT_DENIED, NULL);
        h2o_socket_close(conn->sock);
    } else if (!place_take_source(&conn->place, &conn->client, header->is_local)) {
        conn_fault(conn, CLIENT_FAULT_CONNECTIONS, NULL);
        reset_at_close(h2o_socket_get_fd(conn->sock));
        h2o_socket_close(conn->sock);
    } else {
        begin(conn);
    }
}

static struct ip_address peer_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    if (getpeername(fd, (struct sockaddr *)&address, &size) < 0)
        return (struct ip_address){.family = IP_NONE};
    return ip_address_from_sockaddr((struct sockaddr *)&address, size);
}

/* Consumes fd. */
static struct conn *conn_new(struct server *server, const struct server_socket *origin, int fd,
                             const struct ip_address *peer)
{
    h2o_socket_t *sock =
        h2o_evloop_socket_create(server->context.loop, fd, H2O_SOCKET_FLAG_IS_ACCEPTED_CONNECTION);
    struct conn *conn = xcalloc(1, sizeof(*conn));
    *conn = (struct conn){.server = server,
                          .origin = origin,
                          .sock = sock,
                          .kind = CONN_HANDSHAKE,
                          .accepted_at = server_now(server),
                          .linger_fd = -1,
                          .peer = *peer};
    set_client(conn, peer);
    list_append(&server->conns, &conn->link);
    list_init(&conn->idle_link);
    server_count_connections(server, 1);
    sock->on_close.cb = on_close;
    sock->on_close.data = conn;
    return conn;
}

/* Says why a fresh connection of `peer` is turned away, or NULL. Where its client is told by a header, that
 * is judged when it has come. */
static const char *refusal(const struct listener_config *listener, const struct ip_address *peer)
{
    if (listener->proxy_protocol)
        return prefix_set_contains(&listener->proxy_protocol_from, peer)
                   ? NULL
                   : "it may not speak the PROXY protocol";
    return prefix_access_is_granted(&listener->access, peer) ? NULL : "";
}

/* What is refused here costs a flood of such connections little: there is no struct conn, nor any socket of
 * h2o's. Closes fd, and gives the place back. */
static void turn_away(struct server *server, const struct server_socket *origin, int fd,
                      const struct ip_address *peer, enum client_fault fault, const char *detail,
                      struct place *place)
{
    char text[IP_ADDRESS_TEXT_MAX];

    fault_found(server, origin->listener, ip_address_format(peer, text), fault, detail);
    close(fd);
    place_give_back(place);
}

void conn_accepted(struct server *server, const struct server_socket *origin, int fd,
                   const struct ip_address *peer, struct place place)
{
    static const int yes = 1;
    const bool is_announced = origin->listener->proxy_protocol; /* its client is told by a header */
    const char *why = refusal(origin->listener, peer);

    if (why) {
        turn_away(server, origin, fd, peer, CLIENT_FAULT_DENIED, *why ? why : NULL, &place);
        return;
    }
    if (!is_announced && !place_take_source(&place, peer, false)) {
        reset_at_close(fd);
        turn_away(server, origin, fd, peer, CLIENT_FAULT_CONNECTIONS, NULL, &place);
        return;
    }
    if (peer->family != IP_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    struct conn *conn = conn_new(server, origin, fd, peer);
    conn->place = place;
    if (server->options.handler && !handled_admits(conn))
        h2o_socket_close(conn->sock);
    else if (is_announced)
        proxy_header_await(conn, on_proxy_header);
    else
        begin(conn);
}

/* The configuration may be another one than that under which it was accepted. */
static bool may_stay(const struct listener_config *listener, const struct moving_connection *connection,
                     const struct ip_address *peer)
{
    const bool is_told = connection->client.family != IP_NONE;

    if (!is_told && listener->proxy_protocol)
        return prefix_set_contains(&listener->proxy_protocol_from, peer);
    return prefix_access_is_granted(&listener->access, is_told ? &connection->client : peer);
}

void conn_adopted(struct server *server, const struct server_socket *origin,
                  const struct moving_connection *connection)
{
    const struct ip_address peer = peer_of(connection->fd);
    struct conn *conn = conn_new(server, origin, connection->fd, &peer);

    if (connection->client.family != IP_NONE)
        set_client(conn, &connection->client);
    limits_take_anyway(server->options.limits, origin->listener, &conn->place);
    (void)place_take_source(&conn->place, &conn->client, true);
    conn->accepted_at = usec_sub(conn->accepted_at, connection->age_ms * USEC_PER_MSEC);
    conn->idle_before = connection->idle_ms * USEC_PER_MSEC;
    conn->adopted = true;
    conn->stays = connection->stays;
    if (may_stay(origin->listener, connection, &peer)) {
        http1_start(conn);
        return;
    }
    conn_fault(conn, CLIENT_FAULT_DENIED, NULL);
    h2o_socket_close(conn->sock);
}

const char *conn_peer(struct conn *conn)
{
    if (!conn->peer_text[0])
        ip_address_format(&conn->peer, conn->peer_text);
    return conn->peer_text;
}

const struct ip_address *conn_client(const struct conn *conn)
{
    return &conn->client;
}

const char *conn_client_text(struct conn *conn)
{
    if (!conn->client_text[0])
        ip_address_format(&conn->client, conn->client_text);
    return conn->client_text;
}

/* RFC 9110 7.4: what an app is told of the scheme must be true. */
bool conn_may_ask_for(const struct conn *conn, const h2o_url_scheme_t *scheme)
{
    const struct listener_config *listener = conn->origin->listener;

    if ((scheme == &H2O_URL_SCHEME_HTTPS) == (conn->sock->ssl != NULL) || conn->is_trusted_proxy)
        return true;
    return listener->proxy_protocol && prefix_set_contains(&listener->proxy_protocol_from, &conn->peer);
}

const struct credentials *conn_credentials(struct conn *conn)
{
    if (!conn->credentials) {
        conn->credentials = xcalloc(1, sizeof(*conn->credentials));
        const int r = credentials_of_peer(h2o_socket_get_fd(conn->sock), conn->credentials);
        assert(r == 0 || conn->credentials->pid == 0); /* nobody is a client that is not known */
    }
    return conn->credentials;
}

static void on_goodbye_timeout(struct timer *timer)
{
    struct conn *conn = container_of(timer, struct conn, timer);
    conn_fault(conn, CLIENT_FAULT_SEND_TIMEOUT, NULL);
    conn_abort(conn);
}

void conn_close(struct conn *conn)
{
    conn->closing = true;
    conn->protocol = NULL;
    conn_set_busy(conn, false);
    conn_set_kind(conn, CONN_HANDSHAKE);
    if (conn->sock->ssl) {
        conn->timer.callback = on_goodbye_timeout;
        server_timer_start(conn->server, &conn->timer, server_send_limits(conn->server).grace);
    }
    h2o_socket_close(conn->sock);
}

void conn_abort(struct conn *conn)
{
    conn->closing = true;
    switch (conn->kind) {
    case CONN_HTTP1:
        http1_abort(conn);
        break;
    case CONN_TUNNEL:
        tunnel_abort(conn);
        break;
    case CONN_HANDSHAKE:
    case CONN_HTTP2:
        /* Their code owns the socket: it finds it at its end and closes it. */
        shutdown(h2o_socket_get_fd(conn->sock), SHUT_RDWR);
        break;
    default:
        WRONG("connection kind");
    }
}
