/* Writing responses: the last output stream of a request, interim responses, and the head that ends HTTP. */

#include "http/http1_internal.h"

#include "http/http1.h"
#include "http/server_internal.h"

static void response_is_complete(struct http1 *h)
{
    if (h->failed) {
        http1_close_incomplete(h);
        return;
    }
    if (!h->req.http1_is_persistent) {
        http1_close(h, true);
        return;
    }
    timer_stop(&h->watch_timer);
    h2o_dispose_request(&h->req);
    http1_drop_input(h, h->request_size);
    http1_init_request(h);
    http1_set_state(h, HTTP1_IDLE);
    http1_await_request(h);
}

static void on_sent(h2o_socket_t *sock, const char *error)
{
    struct http1 *h = http1_of(conn_of_socket(sock));

    if (h->write_in_flight)
        http1_write_ends(h);
    h->write_in_flight = false;
    if (error)
        http1_close(h, false);
    else if (h->is_final)
        response_is_complete(h);
    else
        h2o_proceed_response(&h->req);
}

static void write_upgrade(struct http1 *h);

static void on_interim_sent(h2o_socket_t *sock, const char *error)
{
    struct http1 *h = http1_of(conn_of_socket(sock));

    h->interim_in_flight = false;
    http1_write_ends(h);
    if (error) {
        http1_close(h, false);
        return;
    }
    if (h->on_detached) {
        write_upgrade(h);
    } else if (h->has_deferred) {
        h->has_deferred = false;
        http1_ostream_send(&h->ostream, &h->req, h->deferred.bufs, h->deferred.n_bufs, h->deferred.state);
    }
}

static char *add(char *to, const char *s, size_t size)
{
    memcpy(to, s, size);
    return to + size;
}
#define add_literal(to, s) add(to, s, STRLEN(s))

static char *add_number(char *to, uint64_t n)
{
    char digits[20];
    size_t i = sizeof(digits);
    do
        digits[--i] = (char)('0' + n % 10);
    while (n /= 10);
    return add(to, digits + i, sizeof(digits) - i);
}

/* The bytes of h2o's per-second date string. */
static const char *date_string(h2o_context_t *context)
{
    h2o_get_timestamp(context, NULL, NULL);
    return context->_timestamp_cache.value->rfc1123;
}

/* The largest body that is copied behind its head. */
#define JOINED_MAX 2048

/* `connection` is the value of the Connection field, NULL for none. */
static h2o_iovec_t flatten_head(h2o_req_t *req, const char *connection, bool chunked, size_t extra)
{
    size_t room = extra +
                  STRLEN("HTTP/1.1 999 \r\nDate: \r\nConnection: \r\nContent-Length: 18446744073709551615\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n") +
                  strlen(req->res.reason) + H2O_TIMESTR_RFC1123_LEN + (connection ? strlen(connection) : 0);
    for (size_t i = 0; i < req->res.headers.size; i++)
        room +=
            req->res.headers.entries[i].name->len + req->res.headers.entries[i].value.len + STRLEN(": \r\n");
    char *head = h2o_mem_alloc_pool(&req->pool, room), *p = head;

    p = add_literal(p, "HTTP/1.1 ");
    p = add_number(p, (uint64_t)req->res.status);
    *p++ = ' ';
    p = add(p, req->res.reason, strlen(req->res.reason));
    p = add_literal(p, "\r\nDate: ");
    p = add(p, date_string(req->conn->ctx), H2O_TIMESTR_RFC1123_LEN);
    if (connection) {
        p = add_literal(p, "\r\nConnection: ");
        p = add(p, connection, strlen(connection));
    }
    if (chunked) {
        p = add_literal(p, "\r\nTransfer-Encoding: chunked");
    } else if (req->res.content_length != SIZE_MAX) {
        p = add_literal(p, "\r\nContent-Length: ");
        p = add_number(p, req->res.content_length);
    }
    p = add_literal(p, "\r\n");
    for (size_t i = 0; i < req->res.headers.size; i++) {
        const h2o_header_t *header = &req->res.headers.entries[i];
        p = add(p, header->orig_name ? header->orig_name : header->name->base, header->name->len);
        p = add_literal(p, ": ");
        p = add(p, header->value.base, header->value.len);
        p = add_literal(p, "\r\n");
    }
    p = add_literal(p, "\r\n");
    return h2o_iovec_init(head, (size_t)(p - head));
}

static bool response_has_body(const h2o_req_t *req)
{
    return req->res.status >= 200 && req->res.status != 204 && req->res.status != 304 &&
           !h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD"));
}

/* Whether the client has sent more behind its request: pipelined, what follows is another one. */
static bool next_request_is_here(struct http1 *h)
{
    char byte;
    return h->sock->input->size > h->request_size ||
           (!h->sock->ssl && recv(h2o_socket_get_fd(h->sock), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0);
}

static const char *connection_field(const h2o_req_t *req)
{
    if (!req->http1_is_persistent)
        return "close";
    return req->version == 0x100 ? "keep-alive" : NULL;
}

void http1_ostream_send(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t n_bufs,
                        h2o_send_state_t state)
{
    struct http1 *h = container_of(self, struct http1, ostream);

    if (h->interim_in_flight) {
        h->deferred = (struct deferred_send){h2o_mem_alloc_pool(&req->pool, sizeof(*bufs) * (n_bufs + 1)),
                                             n_bufs, state};
        if (n_bufs)
            memcpy(h->deferred.bufs, bufs, sizeof(*bufs) * n_bufs);
        h->has_deferred = true;
        return;
    }

    h2o_iovec_t *out = h2o_mem_alloc_pool(&req->pool, sizeof(*out) * (n_bufs + 3));
    size_t n_out = 0, size = 0;
    for (size_t i = 0; i < n_bufs; i++)
        size += bufs[i].len;
    req->bytes_sent += size;

    if (!h->head_sent) {
        bool has_body = response_has_body(req);
        if (req->res.content_length == SIZE_MAX && has_body) {
            h->chunked_out = req->version >= 0x101;
            if (!h->chunked_out)
                req->http1_is_persistent = 0; /* the end of the connection is the end of the body */
        }
        /* A request that was sent before its client could know of the drain is answered as well. */
        if (req->http1_is_persistent && server_ends(h->conn->server, h->conn) && !next_request_is_here(h))
            req->http1_is_persistent = 0;
        /* A small body goes behind its head in one buffer: the kernel is quicker with one than with two. */
        bool joined = !h->chunked_out && size <= JOINED_MAX;
        out[n_out] = flatten_head(req, connection_field(req), h->chunked_out, joined ? size : 0);
        for (size_t i = 0; joined && i < n_bufs; i++) {
            memcpy(out[n_out].base + out[n_out].len, bufs[i].base, bufs[i].len);
            out[n_out].len += bufs[i].len;
        }
        if (joined)
            n_bufs = 0;
        n_out++;
        h->head_sent = true;
    }
    if (state == H2O_SEND_STATE_ERROR) {
        h->failed = true;
        req->http1_is_persistent = 0;
    }
    if (h->chunked_out && size) {
        char *line = h2o_mem_alloc_pool(&req->pool, 20);
        out[n_out++] = h2o_iovec_init(line, (size_t)snprintf(line, 20, "%zx\r\n", size));
    }
    if (n_bufs) {
        memcpy(out + n_out, bufs, sizeof(*bufs) * n_bufs);
        n_out += n_bufs;
    }
    if (h->chunked_out) {
        if (state == H2O_SEND_STATE_FINAL)
            out[n_out++] =
                size ? h2o_iovec_init(H2O_STRLIT("\r\n0\r\n\r\n")) : h2o_iovec_init(H2O_STRLIT("0\r\n\r\n"));
        else if (size)
            out[n_out++] = h2o_iovec_init(H2O_STRLIT("\r\n"));
    }

    h->is_final = state != H2O_SEND_STATE_IN_PROGRESS;
    if (h->is_final)
        timer_stop(&h->watch_timer); /* all is said: a client that has said all, too, still reads */
    if (n_out == 0) {
        on_sent(h->sock, NULL);
        return;
    }
    h->write_in_flight = true;
    http1_write_begins(h);
    h2o_socket_write(h->sock, out, n_out, on_sent);
}

void http1_send_interim(h2o_req_t *req, int status, const h2o_header_t *headers, size_t n_headers)
{
    struct http1 *h = (struct http1 *)req->conn;

    if (req->version < 0x101 || h->write_in_flight || h->interim_in_flight || h->head_sent)
        return; /* interim responses may be left out */
    struct strbuf text = STRBUF_INIT;
    strbuf_addf(&text, "HTTP/1.1 %d %s\r\n", status,
                status == 100   ? "Continue"
                : status == 103 ? "Early Hints"
                                : "Interim");
    for (size_t i = 0; i < n_headers; i++) {
        strbuf_add(&text, headers[i].name->base, headers[i].name->len);
        strbuf_add_string(&text, ": ");
        strbuf_add(&text, headers[i].value.base, headers[i].value.len);
        strbuf_add_string(&text, "\r\n");
    }
    strbuf_add_string(&text, "\r\n");
    h2o_iovec_t buf = h2o_strdup(&req->pool, text.data, text.size);
    strbuf_deinit(&text);
    h->interim_in_flight = true;
    http1_write_begins(h);
    h2o_socket_write(h->sock, &buf, 1, on_interim_sent);
}

static void on_upgrade_sent(h2o_socket_t *sock, const char *error)
{
    struct conn *conn = conn_of_socket(sock);
    struct http1 *h = http1_of(conn);

    if (error) {
        http1_close(h, false);
        return;
    }
    void (*on_detached)(void *, struct conn *) = TAKE_PTR(h->on_detached);
    void *userdata = h->detached_userdata;
    h2o_buffer_consume(&sock->input, h->request_size);
    h2o_socket_read_stop(sock);
    h2o_socket_dont_read(sock, 0);
    http1_release(h);
    on_detached(userdata, conn);
}

static void write_upgrade(struct http1 *h)
{
    h->write_in_flight = true;
    http1_write_begins(h);
    h2o_socket_write(h->sock, &h->upgrade_head, 1, on_upgrade_sent);
}

void http1_upgrade(h2o_req_t *req, struct slice head, void (*on_detached)(void *userdata, struct conn *conn),
                   void *userdata)
{
    struct http1 *h = (struct http1 *)req->conn;

    assert(!h->write_in_flight && !h->head_sent);
    h->on_detached = on_detached;
    h->detached_userdata = userdata;
    h->upgrade_head = h2o_strdup(&req->pool, head.data, head.size);
    h->head_sent = true;
    if (!h->interim_in_flight)
        write_upgrade(h);
}
