#include "websocket.h"

#include <openssl/sha.h>

#define FRAME_MAX (1 << 20)
#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum opcode {
    OPCODE_CLOSE = 8,
    OPCODE_PING = 9,
    OPCODE_PONG = 10,
};

struct frame {
    unsigned char first; /* FIN and the opcode */
    unsigned char mask[4];
    size_t payload; /* where it begins */
    uint64_t size;
};

/* Returns 1, 0 when more bytes are needed, -1 when it is not what a client may send. */
static int parse_frame(struct slice in, struct frame *ret)
{
    const unsigned char *data = (const unsigned char *)in.data;
    if (in.size < 2)
        return 0;
    if (!(data[1] & 0x80))
        return -1;
    size_t extra = (data[1] & 0x7f) == 126 ? 2 : (data[1] & 0x7f) == 127 ? 8 : 0;
    if (in.size < 2 + extra + 4)
        return 0;
    uint64_t size = data[1] & 0x7f;
    if (extra > 0) {
        size = 0;
        for (size_t i = 0; i < extra; i++)
            size = size << 8 | data[2 + i];
    }
    if (size > FRAME_MAX)
        return -1;
    ret->first = data[0];
    ret->size = size;
    ret->payload = 2 + extra + 4;
    memcpy(ret->mask, data + 2 + extra, 4);
    return in.size - ret->payload >= size ? 1 : 0;
}

static void send_frame(struct connection *c, unsigned char first, const char *payload, size_t size)
{
    strbuf_add_char(&c->out, (char)first);
    if (size < 126) {
        strbuf_add_char(&c->out, (char)size);
    } else {
        unsigned bytes = size < 65536 ? 2 : 8;
        strbuf_add_char(&c->out, bytes == 2 ? 126 : 127);
        while (bytes-- > 0)
            strbuf_add_char(&c->out, (char)(size >> (8 * bytes) & 0xff));
    }
    strbuf_add(&c->out, payload, size);
}

static void on_frames(struct connection *c)
{
    struct frame frame;
    size_t used = 0;
    int r;
    while ((r = parse_frame(slice_make(c->in.data + used, c->in.size - used), &frame)) > 0) {
        char *payload = c->in.data + used + frame.payload;
        for (size_t i = 0; i < frame.size; i++)
            payload[i] = (char)(payload[i] ^ frame.mask[i % 4]);
        unsigned opcode = frame.first & 0x0f;
        if (opcode == OPCODE_PING)
            send_frame(c, 0x80 | OPCODE_PONG, payload, (size_t)frame.size);
        else if (opcode != OPCODE_PONG)
            send_frame(c, frame.first, payload, (size_t)frame.size);
        used += frame.payload + (size_t)frame.size;
        if (opcode == OPCODE_CLOSE) {
            c->close_after = true;
            break;
        }
    }
    if (r < 0)
        c->close_after = true;
    if (used > 0) {
        memmove(c->in.data, c->in.data + used, c->in.size - used);
        c->in.size -= used;
    }
}

void serve_websocket(struct connection *c)
{
    struct slice key = request_field(c, "sec-websocket-key");
    if (!slice_caseeq(request_field(c, "upgrade"), SLICE_LITERAL("websocket")) || key.size != 24) {
        answer_text(c, 426, "/ws is for WebSocket\n");
        return;
    }
    unsigned char text[24 + STRLEN(ACCEPT_GUID)], digest[SHA_DIGEST_LENGTH];
    char accept[32];
    memcpy(text, key.data, 24);
    memcpy(text + 24, ACCEPT_GUID, STRLEN(ACCEPT_GUID));
    SHA1(text, sizeof(text), digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
    strbuf_addf(&c->out,
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Accept: %s\r\n\r\n",
                accept);
    answer_upgrade(c, on_frames);
}
