#include "http/forward.h"

#include <inttypes.h>

#include "http/client_certificate.h"
#include "http/forwarding.h"
#include "http/request_body.h"
#include "http/request_field.h"
#include "http/server_internal.h"

/* RFC 9110 7.6.1, and what practice adds to it. */
static const struct slice hop_by_hop[] = {
    SLICE_LITERAL("connection"),
    SLICE_LITERAL("keep-alive"),
    SLICE_LITERAL("proxy-connection"),
    SLICE_LITERAL("te"),
    SLICE_LITERAL("trailer"),
    SLICE_LITERAL("transfer-encoding"),
    SLICE_LITERAL("upgrade"),
    SLICE_LITERAL("http2-settings"),
    SLICE_LITERAL("proxy-authenticate"),
    SLICE_LITERAL("proxy-authorization"),
};

/* Whether a comma-separated list names `name`. */
static bool list_has(struct slice list, struct slice name)
{
    const char *p = list.data, *end = p + list.size;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *next = comma ? comma + 1 : end, *last = comma ? comma : end;
        while (p < last && (*p == ' ' || *p == '\t'))
            p++;
        while (last > p && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        if (slice_caseeq(slice_make(p, (size_t)(last - p)), name))
            return true;
        p = next;
    }
    return false;
}

bool forward_is_hop_by_hop(struct slice name, struct slice connection)
{
    for (size_t i = 0; i < ARRAY_SIZE(hop_by_hop); i++)
        if (hop_by_hop[i].size == name.size && slice_caseeq(hop_by_hop[i], name))
            return true;
    return connection.size && list_has(connection, name);
}

/* Whether a field is this one to somebody who knows no '-': CGI and its heirs (WSGI, Rack, PHP) have
 * X_REAL_IP for both X-Real-IP and X_Real_IP. `wanted` is lower case. */
static bool is_named(struct slice name, struct slice wanted)
{
    for (size_t i = 0; i < wanted.size; i++) {
        const char c = name.data[i];
        if ((c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c) != wanted.data[i])
            return false;
    }
    return name.size == wanted.size;
}

/* Fields that we write ourselves. */
static bool is_ours(struct slice name)
{
    switch (name.size) {
    case 4:
        return is_named(name, SLICE_LITERAL("host"));
    case 6:
        return is_named(name, SLICE_LITERAL("expect")) || is_named(name, SLICE_LITERAL("cookie"));
    case 9:
        return is_named(name, SLICE_LITERAL("forwarded")) || is_named(name, SLICE_LITERAL("x-real-ip"));
    case 12:
        return is_named(name, SLICE_LITERAL("x-request-id"));
    case 14:
        return is_named(name, SLICE_LITERAL("content-length"));
    case 15:
        return is_named(name, SLICE_LITERAL("x-forwarded-for"));
    case 16:
        return is_named(name, SLICE_LITERAL("x-forwarded-host")) ||
               is_named(name, SLICE_LITERAL("x-forwarded-port"));
    case 17:
        return is_named(name, SLICE_LITERAL("x-forwarded-proto"));
    case 18:
        return is_named(name, SLICE_LITERAL("x-forwarded-server"));
    }
    return false;
}

/* What nobody may see in the answer to a TRACE (RFC 9110 9.3.8), beside cookies. */
static bool is_secret(struct slice name)
{
    return slice_caseeq(name, SLICE_LITERAL("authorization"));
}

static struct slice header_name(const h2o_header_t *header)
{
    return slice_make(header->orig_name ? header->orig_name : header->name->base, header->name->len);
}

static char *add(char *to, const char *s, size_t size)
{
    memcpy(to, s, size);
    return to + size;
}
#define add_literal(to, s) add(to, s, STRLEN(s))

static char *add_field(char *to, struct slice name, struct slice value)
{
    to = add(to, name.data, name.size);
    to = add_literal(to, ": ");
    to = add(to, value.data, value.size);
    return add_literal(to, "\r\n");
}

static bool needs_length(const struct exchange *exchange)
{
    return exchange->req->entity.base || exchange->method == METHOD_POST || exchange->method == METHOD_PUT ||
           exchange->method == METHOD_PATCH;
}

/* What the target learns of the client beside its request. */
struct client_told {
    struct slice x_for, forwarded; /* whole values */
    struct slice proto, host;
};

static struct slice append(h2o_mem_pool_t *pool, struct slice list, struct slice element)
{
    char *value = h2o_mem_alloc_pool(pool, list.size + element.size);
    add(add(value, list.data, list.size), element.data, element.size);
    return slice_make(value, list.size + element.size);
}

/* Two lists of the same field's as one. */
static struct slice join(h2o_mem_pool_t *pool, struct slice list, struct slice more)
{
    return append(pool, append(pool, list, SLICE_LITERAL(",")), more);
}

/* The sender itself is added to what it says of others, if it is believed; otherwise it stands alone. */
static struct client_told client_told(struct exchange *exchange)
{
    h2o_req_t *req = exchange->req;
    struct conn *conn = exchange->conn;
    const struct slice scheme = slice_of_iovec(req->scheme->name), host = slice_of_iovec(req->authority);
    struct client_told told = {.x_for = slice_of(conn_client_text(conn)), .proto = scheme, .host = host};
    _cleanup_strbuf_ struct strbuf element = STRBUF_INIT;

    forwarding_add_element(&element, conn_client(conn), scheme, host);
    told.forwarded = slice_make(strbuf_string(&element), element.size);
    if (!exchange->forwarding) {
        told.forwarded = append(&req->pool, (struct slice){"", 0}, told.forwarded);
        return told;
    }
    told.x_for = append(&req->pool, forwarding_list(exchange, FORWARDED_FOR), told.x_for);
    told.forwarded = append(&req->pool, forwarding_list(exchange, FORWARDED_ALL), told.forwarded);
    if (exchange->forwarding->client.proto.size > 0)
        told.proto = exchange->forwarding->client.proto;
    if (exchange->forwarding->client.host.size > 0)
        told.host = exchange->forwarding->client.host;
    return told;
}

/* One Cookie field, whatever HTTP/2 split it into (RFC 9113 8.2.3). */
static char *add_cookies(char *to, const h2o_req_t *req)
{
    bool any = false;
    for (size_t i = 0; i < req->headers.size; i++) {
        const h2o_header_t *header = &req->headers.entries[i];
        if (header->name != &H2O_TOKEN_COOKIE->buf)
            continue;
        to = any ? add_literal(to, "; ") : add_literal(to, "Cookie: ");
        to = add(to, header->value.base, header->value.len);
        any = true;
    }
    return any ? add_literal(to, "\r\n") : to;
}

/* What the target is told of the client's certificate, where clients are asked for one. */
static struct slice certificate_fields(const struct exchange *exchange)
{
    if (exchange->conn->origin->listener->client_verify == CLIENT_VERIFY_NONE)
        return slice_make("", 0);
    return client_certificate_fields(exchange->conn->certificate, exchange->route->certificate_fields);
}

struct slice forward_head(struct exchange *exchange)
{
    h2o_req_t *req = exchange->req;
    const struct slice host = slice_of_iovec(req->authority);
    const struct client_told told = client_told(exchange);
    struct slice connection = request_field(req, H2O_TOKEN_CONNECTION);
    const struct slice certificate = certificate_fields(exchange);

    size_t room = 512 + req->method.len + exchange->path.size + exchange->query.size + host.size +
                  req->upgrade.len + exchange->request_id.size + told.x_for.size + told.forwarded.size +
                  told.proto.size + told.host.size + certificate.size;
    for (size_t i = 0; i < req->headers.size; i++)
        room += req->headers.entries[i].name->len + req->headers.entries[i].value.len + STRLEN(": \r\n");
    char *head = h2o_mem_alloc_pool(&req->pool, room), *p = head;

    p = add(p, req->method.base, req->method.len);
    *p++ = ' ';
    p = add(p, exchange->path.data, exchange->path.size);
    p = add(p, exchange->query.data ? exchange->query.data : "", exchange->query.size);
    p = add_literal(p, " HTTP/1.1\r\n");
    p = add_field(p, SLICE_LITERAL("Host"), host.size ? host : SLICE_LITERAL("localhost"));
    const bool is_trace = exchange->method == METHOD_TRACE;
    for (size_t i = 0; i < req->headers.size; i++) {
        const h2o_header_t *header = &req->headers.entries[i];
        struct slice name = header_name(header);
        if (is_ours(name) || client_certificate_owns_field(name) || forward_is_hop_by_hop(name, connection) ||
            (is_trace && is_secret(name)))
            continue;
        p = add_field(p, name, slice_of_iovec(header->value));
    }
    if (!is_trace)
        p = add_cookies(p, req);
    if (req->upgrade.len) {
        p = add_literal(p, "Connection: Upgrade\r\n");
        p = add_field(p, SLICE_LITERAL("Upgrade"), slice_of_iovec(req->upgrade));
    }
    if (needs_length(exchange))
        p += snprintf(p, 48, "Content-Length: %" PRIu64 "\r\n", request_body_size(exchange));
    p = add_field(p, SLICE_LITERAL("X-Forwarded-For"), told.x_for);
    p = add_field(p, SLICE_LITERAL("X-Forwarded-Proto"), told.proto);
    if (told.host.size)
        p = add_field(p, SLICE_LITERAL("X-Forwarded-Host"), told.host);
    p = add_field(p, SLICE_LITERAL("Forwarded"), told.forwarded);
    p = add(p, certificate.data, certificate.size);
    p = add_field(p, SLICE_LITERAL("X-Request-ID"), exchange->request_id);
    p = add_literal(p, "\r\n");
    assert((size_t)(p - head) <= room);
    return slice_make(head, (size_t)(p - head));
}

/* The fields that the response to the client gets from elsewhere. */
static bool response_field_is_ours(struct slice name)
{
    switch (name.size) {
    case 4:
        return slice_caseeq(name, SLICE_LITERAL("date"));
    case 14:
        return slice_caseeq(name, SLICE_LITERAL("content-length"));
    }
    return false;
}

void forward_response_headers(struct exchange *exchange, const struct client_response *response)
{
    h2o_req_t *req = exchange->req;
    struct slice connection = {NULL, 0};
    size_t bytes = 0;

    for (size_t i = 0; i < response->n_headers; i++) {
        const struct slice value = response->headers[i].value;
        if (slice_caseeq(response->headers[i].name, SLICE_LITERAL("connection")))
            connection = connection.size ? join(&req->pool, connection, value) : value;
        bytes += 2 * response->headers[i].name.size + response->headers[i].value.size + sizeof(h2o_iovec_t);
    }
    h2o_vector_reserve(&req->pool, &req->res.headers, req->res.headers.size + response->n_headers + 2);

    /* The slices go with the connection's buffer: one block holds what is kept of them. */
    char *names = h2o_mem_alloc_pool(&req->pool, bytes + response->n_headers);
    bool has_id = false;
    for (size_t i = 0; i < response->n_headers; i++) {
        const struct client_header *from = &response->headers[i];
        if (response_field_is_ours(from->name) || forward_is_hop_by_hop(from->name, connection))
            continue;
        has_id |= slice_caseeq(from->name, SLICE_LITERAL("x-request-id"));
        h2o_header_t *to = &req->res.headers.entries[req->res.headers.size++];
        char *orig = names, *lower = orig + from->name.size, *value = lower + from->name.size;
        memcpy(orig, from->name.data, from->name.size);
        for (size_t j = 0; j < from->name.size; j++)
            lower[j] = orig[j] >= 'A' && orig[j] <= 'Z' ? (char)(orig[j] | 0x20) : orig[j];
        if (from->value.size)
            memcpy(value, from->value.data, from->value.size);
        names = value + from->value.size;
        const h2o_token_t *token = h2o_lookup_token(lower, from->name.size);
        if (token) {
            to->name = (h2o_iovec_t *)(uintptr_t)&token->buf;
        } else {
            to->name = h2o_mem_alloc_pool(&req->pool, sizeof(*to->name));
            *to->name = h2o_iovec_init(lower, from->name.size);
        }
        to->orig_name = orig;
        to->value = h2o_iovec_init(value, from->value.size);
    }
    if (!has_id)
        exchange_add_common_headers(exchange);
}
