/* HTTP/1 towards clients.
 *
 * Why not h2o's own: what Holdfast promises hangs on knowing the exact state of every connection. Whether a
 * request has begun to arrive decides if a connection may be closed or handed over; a head must be judged
 * strictly before its body is read or anything is routed; idle, head, body and response each have a clock of
 * their own; a client that goes away while an upstream works must be noticed; and a connection that we end
 * must be ended with a lingering close. h2o 2.2.5 offers none of these. Its sockets, TLS, memory pools,
 * request objects and output streams are used as they are, so that everything above is the same for HTTP/1
 * and HTTP/2.
 *
 * The states of a connection:
 *
 *   IDLE ──first byte──► HEAD ──empty line──► BODY ──last byte──► ANSWER ──response sent──► IDLE
 *                                      └────── no body ────────────┘  └──► closed, lingering
 *
 * Invariants:
 *  - sock->input begins with the current request; request_size bytes of it belong to that request.
 *  - In ANSWER nothing is read: header slices and the body point into sock->input. The socket stays
 * registered with H2O_SOCKET_FLAG_DONT_READ, so that its hang-up is seen without a system call per request.
 *  - At most one write is in flight. A response that begins while an interim one is still on its way waits in
 *    `deferred`.
 *  - exchange is set from the end of the head until the request is disposed of. */

#include "http/http1.h"

#include <fcntl.h>
#include <poll.h>

#include "http/http2.h"
#include "http/problem.h"
#include "http/request_head.h"
#include "http/server_internal.h"
#include "upstream/chunked.h"

enum http1_state {
    HTTP1_IDLE,
    HTTP1_HEAD,
    HTTP1_BODY,
    HTTP1_ANSWER,
    _HTTP1_STATE_MAX,
};

struct deferred_send {
    h2o_iovec_t *bufs;
    size_t n_bufs;
    h2o_send_state_t state;
};

struct http1 {
    h2o_conn_t super; /* must be first: req.conn points here */
    struct conn *conn;
    h2o_socket_t *sock;
    enum http1_state state;
    h2o_timeout_entry_t timer;       /* of the state */
    h2o_timeout_entry_t watch_timer; /* looks for a hang-up behind bytes that must not be read yet */

    size_t scan_offset, scan_start; /* of the search for the head's end */
    size_t head_size;               /* including empty lines before it */
    size_t request_size;
    struct chunked *chunked_in; /* NULL: the body has a length */
    struct exchange *exchange;
    uint64_t n_requests;

    bool write_in_flight;
    bool interim_in_flight;
    bool head_sent;
    bool chunked_out;
    bool is_final; /* the write in flight is the last of the response */
    bool failed;   /* the response could not be completed: the client must see that */
    bool has_deferred;
    struct deferred_send deferred;
    void (*on_detached)(void *userdata, struct conn *conn);
    void *detached_userdata;

    h2o_ostream_t ostream;
    h2o_req_t req; /* must be last: it ends in a large pool */
};

static void on_read(h2o_socket_t *sock, const char *error);
static void ostream_send(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t n_bufs,
                         h2o_send_state_t state);

static struct http1 *http1_of(const struct conn *conn)
{
    return conn->protocol;
}

/* ---- the connection ---------------------------------------------------------------------------------- */

static void init_request(struct http1 *h)
{
    h2o_init_request(&h->req, &h->super, NULL);
    h->req._ostr_top = &h->ostream;
    h->ostream = (h2o_ostream_t){.do_send = ostream_send};
    h->scan_offset = h->scan_start = h->head_size = h->request_size = 0;
    h->chunked_in = NULL;
    h->exchange = NULL;
    h->head_sent = h->chunked_out = h->is_final = h->failed = h->has_deferred = false;
}

/* Frees all but the conn and its socket, which the caller goes on with. */
static void release(struct http1 *h)
{
    h2o_timeout_unlink(&h->timer);
    h2o_timeout_unlink(&h->watch_timer);
    h2o_dispose_request(&h->req);
    h->conn->protocol = NULL;
    free(h);
}

/* Ends the connection. `linger`: the client may still be sending or reading. */
static void close_connection(struct http1 *h, bool linger)
{
    struct conn *conn = h->conn;
    h2o_socket_t *sock = h->sock;
    void (*on_detached)(void *, struct conn *) = h->on_detached;
    void *userdata = h->detached_userdata;

    if (linger)
        conn->linger_fd = fcntl(h2o_socket_get_fd(sock), F_DUPFD_CLOEXEC, 3);
    conn->closing = true;
    h2o_socket_read_stop(sock);
    release(h);
    if (on_detached)
        on_detached(userdata, NULL);
    h2o_socket_close(sock);
}

/* Ends a connection whose response is incomplete, so that the client cannot take it for whole. */
static void close_incomplete(struct http1 *h)
{
    if (h->head_sent && !h->chunked_out && h->req.res.content_length == SIZE_MAX) {
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        setsockopt(h2o_socket_get_fd(h->sock), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
    close_connection(h, false);
}

static void set_state(struct http1 *h, enum http1_state state)
{
    struct server *server = h->conn->server;
    usec_t limit;

    h->state = state;
    switch (state) {
    case HTTP1_IDLE:
        limit = server->draining ? server_idle_stage(server) : h->conn->origin->listener->idle_timeout;
        conn_set_busy(h->conn, false);
        break;
    case HTTP1_HEAD:
        limit = server_gateway(server)->head_timeout;
        conn_set_busy(h->conn, true);
        break;
    case HTTP1_BODY:
        limit = server_gateway(server)->body_timeout;
        break;
    case HTTP1_ANSWER:
        limit = USEC_INFINITY;
        break;
    default:
        WRONG("HTTP/1 state");
    }
    server_timer_start(server, &h->timer, limit);
}

/* ---- errors before there is a request ---------------------------------------------------------------- */

/* Answers what is not a request, and ends the connection. */
static void refuse_malformed(struct http1 *h, int status, const char *detail)
{
    h->req.version = h->req.version ? h->req.version : 0x101;
    h->req.http1_is_persistent = 0;
    h->request_size = h->sock->input->size;
    set_state(h, HTTP1_ANSWER);
    h2o_socket_read_stop(h->sock);
    exchange_refuse_malformed(h->conn, &h->req, status, detail);
}

static void on_timer(h2o_timeout_entry_t *entry)
{
    struct http1 *h = container_of(entry, struct http1, timer);
    char byte;

    switch (h->state) {
    case HTTP1_IDLE:
        /* A request that is just arriving is let in. */
        if (h->conn->server->draining &&
            recv(h2o_socket_get_fd(h->sock), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
            server_timer_start(h->conn->server, &h->timer, USEC_PER_SEC);
            return;
        }
        close_connection(h, true);
        return;
    case HTTP1_HEAD:
        refuse_malformed(h, 408, "The request's head did not arrive in time.");
        return;
    case HTTP1_BODY:
        h->req.http1_is_persistent = 0;
        h->request_size = h->sock->input->size;
        set_state(h, HTTP1_ANSWER);
        h2o_socket_read_stop(h->sock);
        exchange_refuse(h->exchange, 408, "The request's body did not arrive in time.");
        return;
    case HTTP1_ANSWER: /* the client does not take what we write */
        close_incomplete(h);
        return;
    default:
        WRONG("HTTP/1 state");
    }
}

/* ---- watching for a client that goes away ------------------------------------------------------------- */

static bool has_hung_up(struct http1 *h)
{
    struct pollfd p = {.fd = h2o_socket_get_fd(h->sock), .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

#define WATCH_INTERVAL (100 * USEC_PER_MSEC)

static void on_watch_timer(h2o_timeout_entry_t *entry)
{
    struct http1 *h = container_of(entry, struct http1, watch_timer);
    if (has_hung_up(h))
        close_connection(h, false);
    else
        server_timer_start(h->conn->server, &h->watch_timer, WATCH_INTERVAL);
}

static void on_watch(h2o_socket_t *sock, const char *error)
{
    struct http1 *h = http1_of(conn_of_socket(sock));

    if (has_hung_up(h)) {
        close_connection(h, false);
        return;
    }
    /* The next request, or TLS's own talk: to be read later. Not polled meanwhile, or the loop would spin. */
    h2o_socket_read_stop(sock);
    server_timer_start(h->conn->server, &h->watch_timer, WATCH_INTERVAL);
}

static void run_exchange(struct http1 *h)
{
    set_state(h, HTTP1_ANSWER);
    h2o_socket_dont_read(h->sock, 1);
    h2o_socket_read_start(h->sock, on_watch);
    exchange_run(h->exchange);
}

/* ---- reading a request -------------------------------------------------------------------------------- */

static void body_is_complete(struct http1 *h, size_t body_size)
{
    h->req.entity = h2o_iovec_init(h->sock->input->bytes + h->head_size, body_size);
    run_exchange(h);
}

static void body_is_too_large(struct http1 *h)
{
    h->req.http1_is_persistent = 0;
    h->request_size = h->sock->input->size;
    set_state(h, HTTP1_ANSWER);
    h2o_socket_read_stop(h->sock);
    exchange_refuse(h->exchange, 413, "The request's body is larger than is accepted here.");
}

static void read_chunked_body(struct http1 *h)
{
    h2o_buffer_t *input = h->sock->input;
    size_t fresh = input->size - h->request_size;
    size_t decoded = 0, rest = 0;

    int result = chunked_decode(h->chunked_in, input->bytes + h->request_size, fresh, &decoded, &rest);
    if (result == CHUNKED_MALFORMED) {
        h->req.http1_is_persistent = 0;
        h->request_size = input->size;
        set_state(h, HTTP1_ANSWER);
        h2o_socket_read_stop(h->sock);
        exchange_refuse(h->exchange, 400, "The chunked body is malformed.");
        return;
    }
    /* The decoded bytes have taken the place of the encoded ones; what follows them moves up. */
    if (result == CHUNKED_MORE)
        rest = 0;
    memmove(input->bytes + h->request_size + decoded, input->bytes + input->size - rest, rest);
    h->request_size += decoded;
    input->size = h->request_size + rest;
    size_t body_size = h->request_size - h->head_size;
    if (body_size > exchange_max_body(h->exchange))
        body_is_too_large(h);
    else if (result == 0)
        body_is_complete(h, body_size);
}

static void read_body(struct http1 *h)
{
    if (h->chunked_in) {
        read_chunked_body(h);
        return;
    }
    if (h->sock->input->size >= h->request_size)
        body_is_complete(h, h->request_size - h->head_size);
}

/* Fields that are for this connection alone, and those that h2o_req_t holds elsewhere. */
static bool field_is_kept(struct slice name)
{
    switch (name.size) {
    case 4:
        return !slice_caseeq(name, SLICE_LITERAL("host"));
    case 6:
        return !slice_caseeq(name, SLICE_LITERAL("expect"));
    case 7:
        return !slice_caseeq(name, SLICE_LITERAL("upgrade"));
    case 14:
        return !slice_caseeq(name, SLICE_LITERAL("content-length"));
    case 17:
        return !slice_caseeq(name, SLICE_LITERAL("transfer-encoding"));
    }
    return true;
}

static void lower(char *to, struct slice from)
{
    for (size_t i = 0; i < from.size; i++) {
        char c = from.data[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
}

static void fill_headers(h2o_req_t *req, const struct request_head *head)
{
    h2o_vector_reserve(&req->pool, &req->headers, head->n_fields);
    for (size_t i = 0; i < head->n_fields; i++) {
        const struct request_field *f = &head->fields[i];
        if (!field_is_kept(f->name))
            continue;
        h2o_header_t *header = &req->headers.entries[req->headers.size++];
        char name[64];
        const h2o_token_t *token = NULL;
        if (f->name.size <= sizeof(name)) {
            lower(name, f->name);
            token = h2o_lookup_token(name, f->name.size);
        }
        if (token) {
            header->name = (h2o_iovec_t *)(uintptr_t)&token->buf;
        } else {
            struct {
                h2o_iovec_t iovec;
                char bytes[];
            } *own = h2o_mem_alloc_pool(&req->pool, sizeof(h2o_iovec_t) + f->name.size);
            lower(own->bytes, f->name);
            own->iovec = h2o_iovec_init(own->bytes, f->name.size);
            header->name = &own->iovec;
        }
        header->orig_name = f->name.data;
        header->value = iovec_of_slice(f->value);
    }
}

static void fill_request(struct http1 *h, const struct request_head *head)
{
    h2o_req_t *req = &h->req;

    req->version = 0x100 | (int)head->minor_version;
    req->input.scheme = h->sock->ssl ? &H2O_URL_SCHEME_HTTPS : &H2O_URL_SCHEME_HTTP;
    req->input.method = iovec_of_slice(head->method);
    req->input.path = iovec_of_slice(head->path);
    req->input.authority = iovec_of_slice(head->authority);
    req->input.query_at = req->query_at = SIZE_MAX;
    req->scheme = req->input.scheme;
    req->method = req->input.method;
    req->path = req->input.path;
    req->authority = req->input.authority;
    if (head->connection_has_upgrade && head->upgrade.size)
        req->upgrade = iovec_of_slice(head->upgrade);
    req->http1_is_persistent = head->keep_alive && !h->conn->server->draining;
    fill_headers(req, head);
}

static void start_body(struct http1 *h, const struct request_head *head)
{
    struct exchange *exchange = h->exchange;
    bool has_body = head->chunked || (head->content_length != UINT64_MAX && head->content_length > 0);

    h->request_size = h->head_size;
    if (exchange->refusal || !has_body) {
        if (has_body)
            h->req.http1_is_persistent = 0; /* the body will not be read */
        run_exchange(h);
        return;
    }
    if (!head->chunked && head->content_length > exchange_max_body(exchange)) {
        body_is_too_large(h);
        return;
    }
    set_state(h, HTTP1_BODY);
    if (head->chunked) {
        h->chunked_in = h2o_mem_alloc_pool(&h->req.pool, sizeof(*h->chunked_in));
        *h->chunked_in = (struct chunked){0};
    } else {
        h->request_size += head->content_length;
    }
    if (head->expects_continue && h->sock->input->size == h->head_size)
        http1_send_interim(&h->req, 100, NULL, 0);
    read_body(h);
}

static bool is_http2_preface(struct http1 *h, size_t end)
{
    static const char line[] = "PRI * HTTP/2.0\r\n\r\n";
    return h->n_requests == 0 && !h->sock->ssl && h->conn->origin->listener->http2 && h->scan_start == 0 &&
           end == sizeof(line) - 1 && memcmp(h->sock->input->bytes, line, end) == 0;
}

static void head_is_complete(struct http1 *h, size_t end)
{
    struct conn *conn = h->conn;

    if (is_http2_preface(h, end)) {
        h2o_timeout_unlink(&h->timer);
        conn_set_busy(conn, false);
        release(h);
        conn_set_kind(conn, CONN_HTTP2);
        http2_start(conn);
        return;
    }

    struct request_head head;
    const char *bytes = h->sock->input->bytes + h->scan_start;
    size_t size = end - h->scan_start;
    enum head_error error = request_head_parse(bytes, size, &head);
    if (error == HEAD_OK && (head.chunked || head.content_length != UINT64_MAX)) {
        /* The buffer moves while a body arrives: the slices need a head that stays. */
        char *copy = h2o_mem_alloc_pool(&h->req.pool, size);
        memcpy(copy, bytes, size);
        error = request_head_parse(copy, size, &head);
    }
    if (error != HEAD_OK) {
        refuse_malformed(h, head_error_status(error), head_error_text(error));
        return;
    }
    h->head_size = end;
    h->n_requests++;
    fill_request(h, &head);
    h->exchange = exchange_begin(conn, &h->req);
    start_body(h, &head);
}

static void read_head(struct http1 *h)
{
    h2o_buffer_t *input = h->sock->input;
    size_t end;

    if (h->state == HTTP1_IDLE)
        set_state(h, HTTP1_HEAD);
    switch (request_head_scan(input->bytes, input->size, &h->scan_offset, &h->scan_start, &end)) {
    case HEAD_INCOMPLETE:
        return;
    case HEAD_COMPLETE:
        head_is_complete(h, end);
        return;
    case HEAD_MALFORMED:
        refuse_malformed(h, 400, "A line of the request's head does not end with CR LF.");
        return;
    case HEAD_TOO_LARGE:
        refuse_malformed(h, 431, "The request's head is larger than is accepted here.");
        return;
    default:
        WRONG("head scan");
    }
}

static void on_read(h2o_socket_t *sock, const char *error)
{
    struct http1 *h = http1_of(conn_of_socket(sock));

    if (error) {
        close_connection(h, false);
        return;
    }
    if (sock->bytes_read == 0)
        return; /* a TLS record is not whole yet */
    switch (h->state) {
    case HTTP1_IDLE:
    case HTTP1_HEAD:
        read_head(h);
        break;
    case HTTP1_BODY:
        server_timer_start(h->conn->server, &h->timer, server_gateway(h->conn->server)->body_timeout);
        read_body(h);
        break;
    default:
        WRONG("reading in this state");
    }
}

/* ---- writing a response ------------------------------------------------------------------------------- */

static void response_is_complete(struct http1 *h)
{
    if (h->failed) {
        close_incomplete(h);
        return;
    }
    if (!h->req.http1_is_persistent) {
        close_connection(h, true);
        return;
    }
    h2o_timeout_unlink(&h->watch_timer);
    h2o_dispose_request(&h->req);
    h2o_buffer_consume(&h->sock->input, h->request_size);
    init_request(h);
    h2o_req_bind_conf(&h->req, h->conn->server->hostconf, h->conn->server->pathconf);
    set_state(h, HTTP1_IDLE);
    h2o_socket_dont_read(h->sock, 0);
    h2o_socket_read_start(h->sock, on_read);
    if (h->sock->input->size) {
        read_head(h);
    } else {
        /* An idle connection holds no buffer. */
        h2o_buffer_dispose(&h->sock->input);
        h2o_buffer_init(&h->sock->input, &h2o_socket_buffer_prototype);
    }
}

static void on_sent(h2o_socket_t *sock, const char *error)
{
    struct http1 *h = http1_of(conn_of_socket(sock));

    h->write_in_flight = false;
    h2o_timeout_unlink(&h->timer);
    if (error)
        close_connection(h, false);
    else if (h->is_final)
        response_is_complete(h);
    else
        h2o_proceed_response(&h->req);
}

static void on_interim_sent(h2o_socket_t *sock, const char *error)
{
    struct http1 *h = http1_of(conn_of_socket(sock));

    h->interim_in_flight = false;
    if (error) {
        close_connection(h, false);
        return;
    }
    if (h->has_deferred) {
        h->has_deferred = false;
        ostream_send(&h->ostream, &h->req, h->deferred.bufs, h->deferred.n_bufs, h->deferred.state);
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

/* `connection` is the value of the Connection field, NULL for none. */
static h2o_iovec_t flatten_head(h2o_req_t *req, const char *connection, bool chunked)
{
    size_t room = STRLEN("HTTP/1.1 999 \r\nDate: \r\nConnection: \r\nContent-Length: 18446744073709551615\r\n"
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

static const char *connection_field(const h2o_req_t *req)
{
    if (!req->http1_is_persistent)
        return "close";
    return req->version == 0x100 ? "keep-alive" : NULL;
}

static void ostream_send(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t n_bufs,
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
        out[n_out++] = flatten_head(req, connection_field(req), h->chunked_out);
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
    if (h->is_final && h->conn->protocol && h2o_socket_is_reading(h->sock))
        h2o_timeout_unlink(&h->watch_timer);
    if (n_out == 0) {
        on_sent(h->sock, NULL);
        return;
    }
    h->write_in_flight = true;
    server_timer_start(h->conn->server, &h->timer, server_gateway(h->conn->server)->send_timeout);
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
    h2o_socket_write(h->sock, &buf, 1, on_interim_sent);
}

/* ---- leaving HTTP ------------------------------------------------------------------------------------- */

static void on_upgrade_sent(h2o_socket_t *sock, const char *error)
{
    struct conn *conn = conn_of_socket(sock);
    struct http1 *h = http1_of(conn);

    if (error) {
        close_connection(h, false);
        return;
    }
    void (*on_detached)(void *, struct conn *) = TAKE_PTR(h->on_detached);
    void *userdata = h->detached_userdata;
    h2o_buffer_consume(&sock->input, h->request_size);
    h2o_socket_read_stop(sock);
    h2o_socket_dont_read(sock, 0);
    release(h);
    on_detached(userdata, conn);
}

void http1_upgrade(h2o_req_t *req, struct slice head, void (*on_detached)(void *userdata, struct conn *conn),
                   void *userdata)
{
    struct http1 *h = (struct http1 *)req->conn;
    h2o_iovec_t buf = h2o_strdup(&req->pool, head.data, head.size);

    assert(!h->write_in_flight && !h->head_sent);
    h->on_detached = on_detached;
    h->detached_userdata = userdata;
    h->head_sent = h->write_in_flight = true;
    server_timer_start(h->conn->server, &h->timer, server_gateway(h->conn->server)->send_timeout);
    if (h->interim_in_flight) {
        /* Interim responses are small and the client is waiting: this cannot be but a client that reads
         * nothing. */
        h->write_in_flight = false;
        close_connection(h, false);
        return;
    }
    h2o_socket_write(h->sock, &buf, 1, on_upgrade_sent);
}

/* ---- life and death ------------------------------------------------------------------------------------ */

static socklen_t get_sockname(h2o_conn_t *conn, struct sockaddr *address)
{
    return h2o_socket_getsockname(((struct http1 *)conn)->sock, address);
}

static socklen_t get_peername(h2o_conn_t *conn, struct sockaddr *address)
{
    return h2o_socket_getpeername(((struct http1 *)conn)->sock, address);
}

static h2o_socket_t *get_socket(h2o_conn_t *conn)
{
    return ((struct http1 *)conn)->sock;
}

void http1_start(struct conn *conn)
{
    static const h2o_conn_callbacks_t callbacks = {
        .get_sockname = get_sockname, .get_peername = get_peername, .get_socket = get_socket};
    struct server *server = conn->server;
    struct timeval now = {0};

    struct http1 *h = (struct http1 *)h2o_create_connection(sizeof(*h), &server->context,
                                                            server->accept_ctx.hosts, now, &callbacks);
    memset((char *)h + sizeof(h->super), 0, offsetof(struct http1, req) - sizeof(h->super));
    h->conn = conn;
    h->sock = conn->sock;
    h->timer.cb = on_timer;
    h->watch_timer.cb = on_watch_timer;
    conn->protocol = h;
    conn_set_kind(conn, CONN_HTTP1);
    init_request(h);
    h2o_req_bind_conf(&h->req, server->hostconf, server->pathconf);
    set_state(h, HTTP1_IDLE);
    h2o_socket_read_start(h->sock, on_read);
    if (h->sock->input->size)
        read_head(h);
}

void http1_abort(struct conn *conn)
{
    close_connection(http1_of(conn), false);
}

bool http1_is_idle(const struct conn *conn)
{
    return http1_of(conn)->state == HTTP1_IDLE;
}

void http1_drain(struct conn *conn)
{
    struct http1 *h = http1_of(conn);
    if (h->state == HTTP1_IDLE)
        set_state(h, HTTP1_IDLE); /* with the drain's clock */
    else if (!h->head_sent)
        h->req.http1_is_persistent = 0; /* later it would be a connection that ends unannounced */
}
