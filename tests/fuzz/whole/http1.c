/* Requests of HTTP/1 (RFC 9112). */

#include "grammar.h"

#define WEBSOCKET                      \
    "Connection: upgrade, x-empty\r\n" \
    "Upgrade: websocket\r\n"           \
    "Sec-WebSocket-Version: 13\r\n"    \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define H2C                                   \
    "Connection: Upgrade, HTTP2-Settings\r\n" \
    "Upgrade: h2c\r\n"                        \
    "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"

/* Fields of a connection, which HTTP/2 has not. */
static const char *const connection_fields[] = {
    "Connection: keep-alive\r\n",
    "Connection: close\r\n",
    WEBSOCKET,
    H2C,
    "Keep-Alive: timeout=5\r\n",
    "Proxy-Connection: keep-alive\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "X: a\r\n b\r\n",
    "X : a\r\n",
};

static const char *const hosts[] = {"localhost", "a", "shop.example.com", "[::1]:8080", "a:b", ""};

static void add_bytes(struct chance *chance, size_t n, struct strbuf *out)
{
    for (size_t i = 0; i < n; i++)
        strbuf_add_char(out, (char)(' ' + chance_below(chance, 95)));
}

static size_t body_size(struct chance *chance)
{
    return chance_in(chance, 4) ? chance_below(chance, 70000) : chance_below(chance, 200);
}

static void add_chunks(struct chance *chance, struct strbuf *out)
{
    for (size_t n = chance_few(chance); n > 0; n--) {
        const size_t size = 1 + body_size(chance);
        strbuf_addf(out, chance_in(chance, 50) ? "%zx" : "%zX", size);
        if (chance_in(chance, 10))
            strbuf_add_string(out, ";a=\"b\"");
        strbuf_add_string(out, "\r\n");
        add_bytes(chance, size, out);
        strbuf_add_string(out, "\r\n");
    }
    strbuf_add_string(out, "0\r\n");
    if (chance_in(chance, 20))
        strbuf_add_string(out, "X-Checksum: abc\r\n");
    strbuf_add_string(out, "\r\n");
}

/* The fields of a body, the end of the head, and the body. */
static void add_body(struct chance *chance, struct strbuf *out)
{
    switch (chance_below(chance, 8)) {
    case 0: {
        const size_t size = body_size(chance);
        strbuf_addf(out, "Content-Length: %zu\r\n\r\n", size);
        add_bytes(chance, size, out);
        return;
    }
    case 1: /* less or more than was said */
        strbuf_addf(out, "Content-Length: %zu\r\n\r\n", body_size(chance));
        add_bytes(chance, body_size(chance), out);
        return;
    case 2:
        strbuf_add_string(out, "Transfer-Encoding: chunked\r\n\r\n");
        add_chunks(chance, out);
        return;
    case 3:
        strbuf_add_string(out, "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n");
        add_chunks(chance, out);
        return;
    default:
        strbuf_add_string(out, "\r\n");
        return;
    }
}

static void add_field(struct chance *chance, struct strbuf *out)
{
    struct slice name, value;

    if (chance_in(chance, 15)) {
        strbuf_add_string(out, CHANCE_PICK(chance, connection_fields));
        return;
    }
    grammar_field(chance, &name, &value);
    strbuf_add_slice(out, name);
    strbuf_add_string(out, ": ");
    strbuf_add_slice(out, value);
    strbuf_add_string(out, "\r\n");
}

static void add_request(struct chance *chance, bool admin, struct strbuf *out)
{
    strbuf_add_slice(out, grammar_method(chance));
    strbuf_add_char(out, ' ');
    strbuf_add_slice(out, grammar_target(chance, admin));
    strbuf_add_string(out, chance_in(chance, 90) ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
    if (chance_in(chance, 95))
        strbuf_addf(out, "Host: %s\r\n", CHANCE_PICK(chance, hosts));
    for (size_t n = chance_few(chance); n > 1; n--)
        add_field(chance, out);
    if (chance_in(chance, 1)) /* about as many as are taken */
        for (size_t n = 80 + chance_below(chance, 60); n > 0; n--)
            strbuf_addf(out, "x-%zu: y\r\n", n);
    add_body(chance, out);
}

void grammar_http1(struct chance *chance, bool admin, struct strbuf *out)
{
    for (size_t n = chance_few(chance); n > 0; n--)
        add_request(chance, admin, out);
}
