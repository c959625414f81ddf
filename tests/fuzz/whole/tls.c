/* Records of TLS (RFC 8446), as far as a client gets that knows no keys. */

#include "grammar.h"

static void add_number(struct strbuf *out, unsigned bytes, uint64_t n)
{
    while (bytes-- > 0)
        strbuf_add_char(out, (char)(n >> (8 * bytes)));
}

static void add_random(struct chance *chance, struct strbuf *out, size_t n)
{
    while (n-- > 0)
        strbuf_add_char(out, (char)chance_next(chance));
}

/* With its size in front, in so many bytes. */
static void add_vector(struct strbuf *out, unsigned bytes, const struct strbuf *vector)
{
    add_number(out, bytes, vector->size);
    strbuf_add(out, strbuf_string(vector), vector->size);
}

static void add_extension(struct strbuf *out, unsigned type, struct slice payload)
{
    add_number(out, 2, type);
    add_number(out, 2, payload.size);
    strbuf_add_slice(out, payload);
}

static void add_key_share(struct chance *chance, struct strbuf *out)
{
    _cleanup_strbuf_ struct strbuf payload = STRBUF_INIT;

    add_number(&payload, 2, 36);
    add_number(&payload, 2, 0x001d); /* x25519: any 32 bytes are a key */
    add_number(&payload, 2, 32);
    add_random(chance, &payload, 32);
    add_extension(out, 51, slice_make(payload.data, payload.size));
}

static void add_extensions(struct chance *chance, struct strbuf *out)
{
    add_extension(out, 0, SLICE_LITERAL("\x00\x0c\x00\x00\x09localhost"));
    add_extension(out, 10, SLICE_LITERAL("\x00\x04\x00\x1d\x00\x17"));
    add_extension(out, 13, SLICE_LITERAL("\x00\x08\x04\x03\x08\x04\x04\x01\x05\x03"));
    add_extension(out, 16, SLICE_LITERAL("\x00\x0c\x02h2\x08http/1.1"));
    if (chance_in(chance, 70)) {
        add_extension(out, 43, SLICE_LITERAL("\x04\x03\x04\x03\x03"));
        add_key_share(chance, out);
    }
    if (chance_in(chance, 20)) { /* a ticket, of which nobody knows */
        _cleanup_strbuf_ struct strbuf ticket = STRBUF_INIT;
        add_random(chance, &ticket, chance_below(chance, 200));
        add_extension(out, 35, slice_make(ticket.data, ticket.size));
    }
    if (chance_in(chance, 20))
        add_extension(out, 5, SLICE_LITERAL("\x01\x00\x00\x00\x00")); /* a staple is asked for */
}

static void add_client_hello(struct chance *chance, struct strbuf *out)
{
    _cleanup_strbuf_ struct strbuf extensions = STRBUF_INIT;

    add_number(out, 2, 0x0303);
    add_random(chance, out, 32);
    add_number(out, 1, 32);
    add_random(chance, out, 32);
    strbuf_add_slice(out, SLICE_LITERAL("\x00\x0c\x13\x01\x13\x03\xc0\x2b\xc0\x2f\xcc\xa9\x00\xff\x01\x00"));
    add_extensions(chance, &extensions);
    add_vector(out, 2, &extensions);
}

static void add_record(struct strbuf *out, unsigned type, const struct strbuf *payload)
{
    add_number(out, 1, type);
    add_number(out, 2, 0x0301);
    add_vector(out, 2, payload);
}

void grammar_tls(struct chance *chance, struct strbuf *out)
{
    _cleanup_strbuf_ struct strbuf hello = STRBUF_INIT, handshake = STRBUF_INIT;

    add_client_hello(chance, &hello);
    add_number(&handshake, 1, 1);
    add_vector(&handshake, 3, &hello);
    add_record(out, 22, &handshake);
    for (size_t n = chance_few(chance); n > 1; n--) {
        _cleanup_strbuf_ struct strbuf payload = STRBUF_INIT;
        add_random(chance, &payload, chance_below(chance, 100));
        add_record(out, 20 + (unsigned)chance_below(chance, 5), &payload);
    }
}
