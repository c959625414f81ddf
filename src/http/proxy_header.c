#include "http/proxy_header.h"

#include <sys/socket.h>

#include "http/fault.h"
#include "http/server_internal.h"

struct proxy_reader {
    void (*callback)(struct conn *conn, const struct proxy_header *header);
    size_t size;
    uint8_t data[PROXY_HEADER_MAX];
};

struct proxy_reader *proxy_reader_free(struct proxy_reader *reader)
{
    free(reader);
    return NULL;
}

/* `detail`: what is wrong, or NULL when nobody is to blame. */
static void end(struct conn *conn, const char *detail)
{
    if (detail && !conn->closing)
        conn_fault(conn, CLIENT_FAULT_PROXY_HEADER, detail);
    h2o_socket_close(conn->sock);
}

static void on_timer(struct timer *timer)
{
    end(container_of(timer, struct conn, timer), "it did not come in time");
}

static void on_header(struct conn *conn, const struct proxy_header *header)
{
    void (*callback)(struct conn *, const struct proxy_header *) = conn->proxy_reader->callback;

    timer_stop(&conn->timer);
    h2o_socket_read_stop(conn->sock);
    h2o_socket_dont_read(conn->sock, 0);
    conn->proxy_reader = proxy_reader_free(conn->proxy_reader);
    callback(conn, header);
}

/* Takes what was peeked at, as far as it belongs to the header. */
static bool take(int fd, struct proxy_reader *reader, size_t size)
{
    if (recv(fd, reader->data + reader->size, size, 0) != (ssize_t)size)
        return false;
    reader->size += size;
    return true;
}

static void on_readable(h2o_socket_t *sock, const char *error)
{
    struct conn *conn = conn_of_socket(sock);
    struct proxy_reader *reader = conn->proxy_reader;
    const int fd = h2o_socket_get_fd(sock);
    struct proxy_header header;
    const char *problem;

    /* There is room: a header that would not fit is malformed before it is that long. */
    const ssize_t n = recv(fd, reader->data + reader->size, sizeof(reader->data) - reader->size, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        /* Who closes without a word has looked whether somebody listens. */
        end(conn, n == 0 && reader->size > 0 ? "the connection ended within it" : NULL);
        return;
    }
    const int r = proxy_header_parse(reader->data, reader->size + (size_t)n, &header, &problem);
    if (r == PROXY_HEADER_MALFORMED)
        end(conn, problem);
    else if (!take(fd, reader, r == PROXY_HEADER_MORE ? (size_t)n : header.size - reader->size))
        end(conn, NULL);
    else if (r == 0)
        on_header(conn, &header);
}

void proxy_header_await(struct conn *conn,
                        void (*callback)(struct conn *conn, const struct proxy_header *header))
{
    conn->proxy_reader = xcalloc(1, sizeof(*conn->proxy_reader));
    conn->proxy_reader->callback = callback;
    conn->timer.callback = on_timer;
    server_timer_start(conn->server, &conn->timer, server_gateway(conn->server)->head_timeout);
    h2o_socket_dont_read(conn->sock, 1);
    h2o_socket_read_start(conn->sock, on_readable);
    on_readable(conn->sock, NULL); /* most send it with the first bytes */
}
