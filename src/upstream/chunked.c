#include "upstream/chunked.h"

enum state {
    STATE_SIZE,  /* zero: where a decoder begins */
    STATE_BLANK, /* behind the size */
    STATE_EXTENSION,
    STATE_SIZE_LF,
    STATE_DATA,
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_TRAILER, /* at the start of a line */
    STATE_TRAILER_NAME,
    STATE_TRAILER_VALUE,
    STATE_TRAILER_LF,
    STATE_END_LF,
    STATE_END,
};

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_control(char c)
{
    return (unsigned char)c < ' ' ? c != '\t' : c == 0x7f;
}

/* Blanks with no extension behind them are tolerated: some apps pad the size. */
static int behind_size(char c)
{
    if (c == '\r')
        return STATE_SIZE_LF;
    if (c == ' ' || c == '\t')
        return STATE_BLANK;
    return c == ';' ? STATE_EXTENSION : -CHUNKED_MALFORMED;
}

/* The state that follows on one byte outside of chunk data, or CHUNKED_MALFORMED negated. */
static int step(struct chunked *d, char c)
{
    int digit;

    switch ((enum state)d->state) {
    case STATE_SIZE:
        digit = hex_value(c);
        if (digit >= 0) {
            if (d->remaining > (uint64_t)(INT64_MAX >> 4))
                return -CHUNKED_MALFORMED;
            d->remaining = d->remaining << 4 | (unsigned)digit;
            d->digits++;
            return STATE_SIZE;
        }
        if (d->digits == 0)
            return -CHUNKED_MALFORMED;
        return behind_size(c);
    case STATE_BLANK:
        return behind_size(c);
    case STATE_EXTENSION:
        if (c == '\r')
            return STATE_SIZE_LF;
        return is_control(c) ? -CHUNKED_MALFORMED : STATE_EXTENSION;
    case STATE_SIZE_LF:
        d->digits = 0;
        d->overhead = 0;
        if (c != '\n')
            return -CHUNKED_MALFORMED;
        return d->remaining > 0 ? STATE_DATA : STATE_TRAILER;
    case STATE_DATA_CR:
        return c == '\r' ? STATE_DATA_LF : -CHUNKED_MALFORMED;
    case STATE_DATA_LF:
        d->overhead = 0;
        return c == '\n' ? STATE_SIZE : -CHUNKED_MALFORMED;
    case STATE_TRAILER:
        if (c == '\r')
            return STATE_END_LF;
        return is_control(c) || c == ' ' || c == '\t' || c == ':' ? -CHUNKED_MALFORMED : STATE_TRAILER_NAME;
    case STATE_TRAILER_NAME:
        if (c == ':')
            return STATE_TRAILER_VALUE;
        return is_control(c) || c == ' ' || c == '\t' ? -CHUNKED_MALFORMED : STATE_TRAILER_NAME;
    case STATE_TRAILER_VALUE:
        if (c == '\r')
            return STATE_TRAILER_LF;
        return is_control(c) ? -CHUNKED_MALFORMED : STATE_TRAILER_VALUE;
    case STATE_TRAILER_LF:
        return c == '\n' ? STATE_TRAILER : -CHUNKED_MALFORMED;
    case STATE_END_LF:
        return c == '\n' ? STATE_END : -CHUNKED_MALFORMED;
    case STATE_DATA:
    case STATE_END:
        break;
    }
    WRONG("a byte of chunk data, or after the end");
}

static bool overhead_is_bounded(struct chunked *d)
{
    return ++d->overhead <= (d->state <= STATE_SIZE_LF ? CHUNKED_LINE_MAX : CHUNKED_TRAILER_MAX);
}

int chunked_decode(struct chunked *d, char *data, size_t size, size_t *ret_size, size_t *ret_rest)
{
    size_t in = 0, out = 0;
    int r = CHUNKED_MORE;

    while (in < size && d->state != STATE_END) {
        if (d->state == STATE_DATA) {
            size_t n = (size_t)MIN((uint64_t)(size - in), d->remaining);
            if (in != out)
                memmove(data + out, data + in, n);
            in += n;
            out += n;
            d->remaining -= n;
            if (d->remaining == 0)
                d->state = STATE_DATA_CR;
            continue;
        }
        int next = overhead_is_bounded(d) ? step(d, data[in++]) : -CHUNKED_MALFORMED;
        if (next < 0) {
            r = CHUNKED_MALFORMED;
            break;
        }
        d->state = next;
    }
    *ret_size = out;
    if (d->state == STATE_END) {
        *ret_rest = size - in;
        return 0;
    }
    return r;
}
