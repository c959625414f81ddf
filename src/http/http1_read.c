/* Reading requests: what the client sends, and what to make of a head. */

#include <sys/socket.h>

#include "http/http1_internal.h"

#include "http/http1.h"
#include "http/http2.h"
#include "http/request_head.h"
#include "http/server_internal.h"

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

/* What an absolute target names, or what the connection is. */
static const h2o_url_scheme_t *scheme_of(const struct http1 *h, const struct request_head *head)
{
    const bool is_https = head->names_https || (!head->names_http && h->sock->ssl);
    return is_https ? &H2O_URL_SCHEME_HTTPS : &H2O_URL_SCHEME_HTTP;
}

static void fill_request(struct http1 *h, const struct request_head *head)
{
    h2o_req_t *req = &h->req;

    req->version = 0x100 | (int)head->minor_version;
    req->input.scheme = scheme_of(h, head);
    req->input.method = iovec_of_slice(head->method);
    req->input.path = iovec_of_slice(head->path);
    if (head->path.data[0] == '?') /* RFC 3986 6.2.3: an empty path is "/" */
        req->input.path = h2o_concat(&req->pool, h2o_iovec_init(H2O_STRLIT("/")), req->input.path);
    req->input.authority = iovec_of_slice(head->authority);
    req->input.query_at = req->query_at = SIZE_MAX;
    req->scheme = req->input.scheme;
    req->method = req->input.method;
    req->path = req->input.path;
    req->authority = req->input.authority;
    if (head->connection_has_upgrade && head->upgrade.size)
        req->upgrade = iovec_of_slice(head->upgrade);
    req->http1_is_persistent = head->keep_alive;
    fill_headers(req, head);
}

/* What there is room for at least, each time that something has come. */
#define INPUT_ROOM 4096

static struct head_limits limits_of(const struct http1 *h)
{
    const struct gateway_config *gateway = server_gateway(h->conn->server);
    return (struct head_limits){.size = gateway->max_head_size, .fields = gateway->max_headers};
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
        timer_stop(&h->timer);
        conn_set_busy(conn, false);
        http1_release(h);
        h2o_socket_dont_read(conn->sock, 0);
        conn_set_kind(conn, CONN_HTTP2);
        http2_start(conn);
        return;
    }

    const struct head_limits limits = limits_of(h);
    struct request_head head;
    const char *bytes = h->sock->input->bytes + h->scan_start;
    size_t size = end - h->scan_start;
    enum head_error error = request_head_parse(bytes, size, &limits, &head);
    if (error == HEAD_OK && !http1_body_is_here(h, &head, end)) {
        /* The buffer is given up while the body arrives: the slices need a head that stays. */
        char *copy = h2o_mem_alloc_pool(&h->req.pool, size);
        memcpy(copy, bytes, size);
        error = request_head_parse(copy, size, &limits, &head);
    }
    if (error == HEAD_OK && !conn_may_ask_for(conn, scheme_of(h, &head)))
        error = HEAD_MISDIRECTED;
    if (error != HEAD_OK) {
        http1_refuse(h, head_error_status(error), head_error_text(error));
        return;
    }
    h->head_size = end;
    h->n_requests++;
    fill_request(h, &head);
    h->exchange = exchange_begin(conn, &h->req);
    http1_start_body(h, &head);
}

/* Empty lines, as some clients send behind a body, begin no request: the connection is as idle as before. */
static void pass_over(struct http1 *h)
{
    h->scan_offset = h->scan_start = 0;
    http1_drop_input(h, h->sock->input->size);
    http1_await_request(h);
}

static void read_head(struct http1 *h)
{
    h2o_buffer_t *input = h->sock->input;
    const struct head_limits limits = limits_of(h);
    size_t end;

    const enum head_scan scan =
        request_head_scan(input->bytes, input->size, &limits, &h->scan_offset, &h->scan_start, &end);
    if (h->state == HTTP1_IDLE && scan == HEAD_INCOMPLETE && h->scan_start == input->size) {
        pass_over(h);
        return;
    }
    if (h->state == HTTP1_IDLE)
        http1_set_state(h, HTTP1_HEAD);
    switch (scan) {
    case HEAD_INCOMPLETE:
        return;
    case HEAD_COMPLETE:
        head_is_complete(h, end);
        return;
    case HEAD_MALFORMED:
        http1_refuse(h, 400, "A line of the request's head does not end with CR LF.");
        return;
    case HEAD_TOO_LARGE:
        http1_refuse(h, 431, "The request's head is larger than is accepted here.");
        return;
    case HEAD_LINE_TOO_LONG:
        http1_refuse(h, 414, "The request line is longer than is accepted here.");
        return;
    default:
        WRONG("head scan");
    }
}

ssize_t http1_receive(struct http1 *h, void *to, size_t size)
{
    const ssize_t n = recv(h2o_socket_get_fd(h->sock), to, size, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return -1; /* it is asked again by the loop */
    if (n <= 0) {
        http1_close(h, false);
        return 0;
    }
    return n;
}

/* A bounded piece of what has come; the loop asks for the rest. False when there is none. */
static bool fill_input(struct http1 *h)
{
    const h2o_iovec_t room = h2o_buffer_reserve(&h->sock->input, INPUT_ROOM);
    const ssize_t n = http1_receive(h, room.base, room.len);

    if (n <= 0)
        return false;
    h->sock->input->size += (size_t)n;
    return true;
}

static void on_read(h2o_socket_t *sock, const char *error)
{
    struct http1 *h = http1_of(conn_of_socket(sock));

    if (error) {
        http1_close(h, false);
        return;
    }
    if (sock->ssl ? sock->bytes_read == 0 : h->state != HTTP1_BODY && !fill_input(h))
        return; /* a TLS record is not whole yet, or the connection is gone */
    switch (h->state) {
    case HTTP1_IDLE:
    case HTTP1_HEAD:
        read_head(h);
        break;
    case HTTP1_BODY:
        http1_read_body(h);
        break;
    default:
        WRONG("reading in this state");
    }
}

void http1_drop_input(struct http1 *h, size_t size)
{
    h2o_buffer_consume(&h->sock->input, size);
    if (h->sock->input->size == 0) { /* an idle connection holds no buffer */
        h2o_buffer_dispose(&h->sock->input);
        h2o_buffer_init(&h->sock->input, &h2o_socket_buffer_prototype);
    }
}

void http1_await_request(struct http1 *h)
{
    if (http1_is_movable(h)) {
        http1_give_away(h);
        return;
    }
    h2o_socket_dont_read(h->sock, h->sock->ssl == NULL);
    h2o_socket_read_start(h->sock, on_read);
    if (h->sock->input->size)
        read_head(h);
}
