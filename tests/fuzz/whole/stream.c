#include "stream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define HANDSHAKE_MAX (20 * USEC_PER_SEC)

static int connect_unix(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    /* Blocking: a listener whose queue is full would turn the others away. */
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&un, sizeof(un)) == 0)
        return fd;
    const int error = errno;
    if (fd >= 0)
        close(fd);
    return -error;
}

static int connect_tcp(unsigned port, uint64_t number)
{
    const int one = 1;
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + number % 200)};
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
        bind(fd, (const struct sockaddr *)&from, sizeof(from)) == 0 &&
        connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    const int error = errno;
    if (fd >= 0)
        close(fd);
    return -error;
}

/* Whether TLS is worth another try; sets errno. */
static bool is_blocked(const struct stream *stream, int r)
{
    const int error = SSL_get_error(stream->ssl, r);

    ERR_clear_error();
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return errno == EAGAIN;
}

static int handshake(struct stream *stream, SSL_CTX *tls, bool is_http2)
{
    const usec_t until = now_monotonic() + HANDSHAKE_MAX;
    int r;

    stream->ssl = SSL_new(tls);
    SSL_set_fd(stream->ssl, stream->fd);
    SSL_set_alpn_protos(stream->ssl, (const uint8_t *)(is_http2 ? "\x02h2" : "\x08http/1.1"),
                        is_http2 ? 3 : 9);
    while ((r = SSL_connect(stream->ssl)) != 1)
        if (!is_blocked(stream, r) || !stream_wait(stream, SSL_want_write(stream->ssl), until))
            return -ETIMEDOUT;
    return 0;
}

int stream_open(struct stream *stream, const struct stream_addresses *addresses, enum script_place place,
                bool is_http2, uint64_t number)
{
    switch (place) {
    case SCRIPT_UNIX:
        stream->fd = connect_unix(addresses->http_path);
        break;
    case SCRIPT_ADMIN:
        stream->fd = connect_unix(addresses->admin_path);
        break;
    case SCRIPT_TCP:
        stream->fd = connect_tcp(addresses->http_port, number);
        break;
    default:
        stream->fd = connect_tcp(addresses->https_port, number);
    }
    stream->ssl = NULL;
    if (stream->fd < 0)
        return stream->fd;
    if (fcntl(stream->fd, F_SETFL, O_NONBLOCK) < 0)
        abort();
    const int r = place == SCRIPT_TLS ? handshake(stream, addresses->tls, is_http2) : 0;
    if (r < 0)
        stream_close(stream, true);
    return r;
}

void stream_close(struct stream *stream, bool reset)
{
    const struct linger linger = {.l_onoff = 1};

    if (reset)
        (void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    SSL_free(stream->ssl);
    close(stream->fd);
    *stream = (struct stream){.fd = -1};
}

ssize_t stream_write(struct stream *stream, const char *data, size_t size)
{
    if (!stream->ssl) {
        const ssize_t n = send(stream->fd, data, size, MSG_NOSIGNAL);
        return n < 0 ? -errno : n;
    }
    const int n = SSL_write(stream->ssl, data, (int)MIN(size, 16384u));
    return n > 0 ? n : is_blocked(stream, n) ? -EAGAIN : -EPIPE;
}

ssize_t stream_read(struct stream *stream, char *data, size_t size)
{
    if (!stream->ssl) {
        const ssize_t n = recv(stream->fd, data, size, 0);
        return n < 0 ? -errno : n;
    }
    const int n = SSL_read(stream->ssl, data, (int)size);
    return n > 0 ? n : is_blocked(stream, n) ? -EAGAIN : 0;
}

void stream_finish(struct stream *stream)
{
    if (stream->ssl)
        (void)SSL_shutdown(stream->ssl);
    ERR_clear_error();
    (void)shutdown(stream->fd, SHUT_WR);
}

bool stream_wait(const struct stream *stream, bool write, usec_t until)
{
    struct pollfd p = {.fd = stream->fd, .events = (short)(POLLIN | (write ? POLLOUT : 0))};
    const usec_t now = now_monotonic();

    if (stream->ssl && SSL_pending(stream->ssl) > 0)
        return true;
    return now < until && poll(&p, 1, (int)((until - now) / USEC_PER_MSEC + 1)) > 0;
}
