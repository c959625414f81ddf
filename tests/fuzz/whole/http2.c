/* Frames of HTTP/2 (RFC 9113), mostly in an order that makes sense, some with a header that says otherwise
 * than is the case. */

#include "grammar.h"

enum {
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION
};
enum { END_STREAM = 0x1, ACK = 0x1, END_HEADERS = 0x4, PADDED = 0x8, WITH_PRIORITY = 0x20 };

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void add_number(struct strbuf *out, unsigned bytes, uint64_t n)
{
    while (bytes-- > 0)
        strbuf_add_char(out, (char)(n >> (8 * bytes)));
}

static void add_frame(struct chance *chance, struct strbuf *out, unsigned type, unsigned flags,
                      uint32_t stream, struct slice payload)
{
    size_t size = payload.size;

    if (chance_in(chance, 4)) /* a header that lies */
        switch (chance_below(chance, 4)) {
        case 0:
            size = chance_below(chance, 0x1000000) >> chance_below(chance, 24);
            break;
        case 1:
            type = (unsigned)chance_below(chance, 16);
            break;
        case 2:
            flags ^= 1u << chance_below(chance, 8);
            break;
        default:
            stream = (uint32_t)chance_next(chance) >> chance_below(chance, 32);
        }
    add_number(out, 3, size);
    add_number(out, 1, type);
    add_number(out, 1, flags);
    add_number(out, 4, stream);
    strbuf_add_slice(out, payload);
}

/* Of the streams that were opened, or the next one. */
static uint32_t some_stream(struct chance *chance, const struct grammar_http2 *http2)
{
    return chance_in(chance, 70) ? http2->stream : (uint32_t)chance_below(chance, http2->stream + 3);
}

static void add_settings(struct chance *chance, struct strbuf *out)
{
    _cleanup_strbuf_ struct strbuf payload = STRBUF_INIT;
    static const uint32_t values[] = {0, 1, 100, 4096, 16384, 65535, 0x7fffffff, 0x80000000, 0xffffffff};

    for (size_t n = chance_few(chance); n > 1; n--) {
        add_number(&payload, 2, 1 + chance_below(chance, 9));
        add_number(&payload, 4, CHANCE_PICK(chance, values));
    }
    add_frame(chance, out, SETTINGS, chance_in(chance, 10) ? ACK : 0, 0,
              slice_make(payload.data, payload.size));
}

static void add_data(struct chance *chance, struct strbuf *out, uint32_t stream, bool end)
{
    _cleanup_strbuf_ struct strbuf payload = STRBUF_INIT;
    const size_t size = chance_in(chance, 3) ? chance_below(chance, 17000) : chance_below(chance, 100);
    const bool padded = chance_in(chance, 15);
    const size_t padding = padded ? chance_below(chance, 40) : 0;

    if (padded)
        add_number(&payload, 1, padding);
    for (size_t i = 0; i < size; i++)
        strbuf_add_char(&payload, (char)('a' + i % 26));
    for (size_t i = 0; i < padding; i++)
        strbuf_add_char(&payload, '\0');
    add_frame(chance, out, DATA, (end ? END_STREAM : 0) | (padded ? PADDED : 0), stream,
              slice_make(payload.data, payload.size));
}

/* A header block, in one frame or in several. */
static void add_headers(struct chance *chance, struct strbuf *out, uint32_t stream, bool end, bool trailers)
{
    _cleanup_strbuf_ struct strbuf block = STRBUF_INIT;
    unsigned flags = end ? END_STREAM : 0;

    if (chance_in(chance, 10)) {
        flags |= WITH_PRIORITY;
        add_number(&block, 4, chance_in(chance, 80) ? 0 : stream);
        add_number(&block, 1, chance_below(chance, 256));
    }
    grammar_header_block(chance, trailers, &block);
    struct slice rest = slice_make(block.data, block.size);
    unsigned type = HEADERS;
    while (rest.size > 16384 || (rest.size > 1 && chance_in(chance, 10))) {
        const size_t n = rest.size > 16384 ? 16384 : chance_below(chance, rest.size);
        add_frame(chance, out, type, flags, stream, slice_make(rest.data, n));
        rest = slice_skip(rest, n);
        type = CONTINUATION;
        flags = 0;
    }
    add_frame(chance, out, type, flags | END_HEADERS, stream, rest);
}

static void add_request(struct chance *chance, struct grammar_http2 *http2, struct strbuf *out)
{
    http2->stream += 2;
    const bool has_body = chance_in(chance, 30), has_trailers = has_body && chance_in(chance, 15);

    add_headers(chance, out, http2->stream, !has_body, false);
    if (!has_body)
        return;
    for (size_t n = chance_few(chance); n > 0; n--)
        add_data(chance, out, http2->stream, n == 1 && !has_trailers);
    if (has_trailers)
        add_headers(chance, out, http2->stream, true, true);
}

static void add_numbers(struct chance *chance, struct strbuf *out, unsigned type, uint32_t stream,
                        size_t size)
{
    char bytes[16];
    const uint64_t a = chance_next(chance) >> chance_below(chance, 64);

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(a >> (8 * (15 - i) % 64));
    add_frame(chance, out, type, type == PING && chance_in(chance, 20) ? ACK : 0, stream,
              slice_make(bytes + sizeof(bytes) - size, size));
}

static void add_something(struct chance *chance, struct grammar_http2 *http2, struct strbuf *out)
{
    switch (chance_below(chance, 20)) {
    case 0:
        add_settings(chance, out);
        break;
    case 1:
        add_numbers(chance, out, PING, 0, 8);
        break;
    case 2:
        add_numbers(chance, out, WINDOW_UPDATE, chance_in(chance, 30) ? 0 : some_stream(chance, http2), 4);
        break;
    case 3:
        add_numbers(chance, out, RST_STREAM, some_stream(chance, http2), 4);
        break;
    case 4:
        add_numbers(chance, out, PRIORITY, some_stream(chance, http2), 5);
        break;
    case 5:
        add_data(chance, out, some_stream(chance, http2), chance_in(chance, 50));
        break;
    case 6:
        add_headers(chance, out, some_stream(chance, http2), chance_in(chance, 50), chance_in(chance, 50));
        break;
    case 7:
        add_numbers(chance, out, (unsigned)chance_below(chance, 256), some_stream(chance, http2),
                    chance_below(chance, 16));
        break;
    case 8:
        if (chance_in(chance, 20))
            add_numbers(chance, out, GOAWAY, 0, 8);
        break;
    default:
        add_request(chance, http2, out);
    }
}

void grammar_http2(struct chance *chance, struct grammar_http2 *http2, struct strbuf *out)
{
    if (!http2->began) {
        strbuf_add(out, preface, sizeof(preface) - 1);
        add_settings(chance, out);
        http2->began = true;
        http2->stream = UINT32_MAX; /* two before the first, which is 1 */
    }
    for (size_t n = chance_few(chance); n > 0; n--)
        add_something(chance, http2, out);
}
