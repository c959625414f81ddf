#include "response.h"

#define HEAD_MAX 65536
#define LINE_MAX_SIZE 8192

void response_reset(struct response *response, bool is_head)
{
    response->phase = RESPONSE_HEAD;
    response->began = false;
    response->is_head = is_head;
    response->close = false;
    response->status = 0;
    response->interim = 0;
    response->remaining = 0;
    strbuf_clear(&response->partial);
}

void response_deinit(struct response *response)
{
    strbuf_deinit(&response->partial);
}

static struct slice trim(struct slice s)
{
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

/* Whether a comma-separated list has this member. */
static bool list_has(struct slice list, struct slice member)
{
    while (list.size > 0) {
        const char *comma = memchr(list.data, ',', list.size);
        size_t size = comma ? (size_t)(comma - list.data) : list.size;
        if (slice_caseeq(trim(slice_make(list.data, size)), member))
            return true;
        size_t step = comma ? size + 1 : size;
        list = slice_make(list.data + step, list.size - step);
    }
    return false;
}

static bool parse_length(struct slice s, uint64_t *ret)
{
    uint64_t value = 0;
    if (s.size == 0 || s.size > 18)
        return false;
    for (size_t i = 0; i < s.size; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(s.data[i] - '0');
    }
    *ret = value;
    return true;
}

static bool parse_status_line(struct slice line, int *ret_status, bool *ret_http10)
{
    if (line.size < 12 || memcmp(line.data, "HTTP/1.", 7) != 0 ||
        (line.data[7] != '0' && line.data[7] != '1') || line.data[8] != ' ' ||
        (line.size > 12 && line.data[12] != ' '))
        return false;
    uint64_t status;
    if (!parse_length(slice_make(line.data + 9, 3), &status) || status < 100 || status > 599)
        return false;
    *ret_status = (int)status;
    *ret_http10 = line.data[7] == '0';
    return true;
}

/* `head` is the status line and the fields, each ended by CRLF, without the empty line. */
static bool parse_head(struct response *r, struct slice head)
{
    bool chunked = false, has_length = false, http10 = false, keep_alive = false, first = true;
    uint64_t length = 0;
    r->close = false;
    while (head.size > 0) {
        const char *end = memmem(head.data, head.size, "\r\n", 2);
        if (!end)
            return false;
        struct slice line = slice_make(head.data, (size_t)(end - head.data));
        head = slice_make(end + 2, head.size - line.size - 2);
        if (first) {
            if (!parse_status_line(line, &r->status, &http10))
                return false;
            first = false;
            continue;
        }
        const char *colon = memchr(line.data, ':', line.size);
        if (!colon || colon == line.data || line.data[0] == ' ' || line.data[0] == '\t')
            return false;
        struct slice name = slice_make(line.data, (size_t)(colon - line.data));
        struct slice value = trim(slice_make(colon + 1, line.size - name.size - 1));
        if (slice_caseeq(name, SLICE_LITERAL("content-length"))) {
            uint64_t previous = length;
            if (!parse_length(value, &length) || (has_length && length != previous))
                return false;
            has_length = true;
        } else if (slice_caseeq(name, SLICE_LITERAL("transfer-encoding"))) {
            if (!slice_caseeq(value, SLICE_LITERAL("chunked")) || chunked)
                return false;
            chunked = true;
        } else if (slice_caseeq(name, SLICE_LITERAL("connection"))) {
            r->close |= list_has(value, SLICE_LITERAL("close"));
            keep_alive |= list_has(value, SLICE_LITERAL("keep-alive"));
        }
    }
    if (first || (chunked && has_length))
        return false;
    if (http10 && !keep_alive)
        r->close = true;
    if (r->status < 200)
        return r->status != 101; /* nothing here asks for an upgrade */
    if (r->is_head || r->status == 204 || r->status == 304) {
        r->phase = RESPONSE_DONE;
    } else if (chunked) {
        r->phase = RESPONSE_CHUNK_SIZE;
    } else if (has_length) {
        r->remaining = length;
        r->phase = length > 0 ? RESPONSE_BODY_LENGTH : RESPONSE_DONE;
    } else {
        r->close = true;
        r->phase = RESPONSE_BODY_UNTIL_EOF;
    }
    return true;
}

/* Takes bytes up to and including `mark` from *data. Returns 1 with everything before it in *ret (valid
 * until the next call), 0 when it has not come yet, -1 when it does not come within `limit`. */
static int take_until(struct response *r, struct slice *data, const char *mark, size_t limit,
                      struct slice *ret)
{
    size_t mark_size = strlen(mark);
    if (r->partial.size == 0) {
        const char *end = memmem(data->data, data->size, mark, mark_size);
        if (end) {
            *ret = slice_make(data->data, (size_t)(end - data->data));
            *data = slice_make(end + mark_size, data->size - ret->size - mark_size);
            return ret->size > limit ? -1 : 1;
        }
    }
    size_t had = r->partial.size;
    strbuf_add_slice(&r->partial, *data);
    size_t from = had >= mark_size ? had - mark_size + 1 : 0;
    const char *end = memmem(r->partial.data + from, r->partial.size - from, mark, mark_size);
    if (!end) {
        *data = slice_make(data->data + data->size, 0);
        return r->partial.size > limit ? -1 : 0;
    }
    size_t size = (size_t)(end - r->partial.data);
    size_t used = size + mark_size - had;
    *data = slice_make(data->data + used, data->size - used);
    *ret = slice_make(r->partial.data, size);
    r->partial.size = 0; /* strbuf_clear() would write into what is returned */
    return size > limit ? -1 : 1;
}

static bool parse_chunk_size(struct slice line, uint64_t *ret)
{
    uint64_t value = 0;
    size_t digits = 0;
    for (; digits < line.size; digits++) {
        char c = line.data[digits];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            break;
        if (digits >= 15)
            return false;
        value = value << 4 | (uint64_t)digit;
    }
    if (digits == 0)
        return false;
    struct slice rest = trim(slice_make(line.data + digits, line.size - digits));
    if (rest.size > 0 && rest.data[0] != ';')
        return false;
    *ret = value;
    return true;
}

static struct slice take_body(struct response *r, struct slice *data)
{
    size_t size = r->remaining < data->size ? (size_t)r->remaining : data->size;
    struct slice body = slice_make(data->data, size);
    *data = slice_make(data->data + size, data->size - size);
    r->remaining -= size;
    if (size > 0 && r->on_body)
        r->on_body(r->userdata, body);
    return body;
}

/* One step of the current phase. False when the response is bad; *ret_starved when it needs more bytes. */
static bool step(struct response *r, struct slice *data, bool *ret_starved)
{
    struct slice line;
    int found;
    switch (r->phase) {
    case RESPONSE_HEAD:
        found = take_until(r, data, "\r\n\r\n", HEAD_MAX, &line);
        *ret_starved = found == 0;
        if (found <= 0)
            return found == 0;
        /* The mark's first half ends the last line. */
        if (!parse_head(r, slice_make(line.data, line.size + 2)))
            return false;
        if (r->status < 200) {
            r->interim++;
            r->began = data->size > 0;
        }
        return true;
    case RESPONSE_BODY_LENGTH:
        take_body(r, data);
        *ret_starved = r->remaining > 0;
        if (r->remaining == 0)
            r->phase = RESPONSE_DONE;
        return true;
    case RESPONSE_BODY_UNTIL_EOF:
        r->remaining = UINT64_MAX;
        take_body(r, data);
        *ret_starved = true;
        return true;
    case RESPONSE_CHUNK_SIZE:
        found = take_until(r, data, "\r\n", LINE_MAX_SIZE, &line);
        *ret_starved = found == 0;
        if (found <= 0)
            return found == 0;
        if (!parse_chunk_size(line, &r->remaining))
            return false;
        r->phase = r->remaining == 0 ? RESPONSE_TRAILERS : RESPONSE_CHUNK_DATA;
        return true;
    case RESPONSE_CHUNK_DATA:
        take_body(r, data);
        *ret_starved = r->remaining > 0;
        if (r->remaining == 0)
            r->phase = RESPONSE_CHUNK_END;
        return true;
    case RESPONSE_CHUNK_END:
        found = take_until(r, data, "\r\n", 1, &line);
        *ret_starved = found == 0;
        if (found <= 0)
            return found == 0;
        r->phase = RESPONSE_CHUNK_SIZE;
        return line.size == 0;
    case RESPONSE_TRAILERS:
        found = take_until(r, data, "\r\n", LINE_MAX_SIZE, &line);
        *ret_starved = found == 0;
        if (found <= 0)
            return found == 0;
        if (line.size == 0)
            r->phase = RESPONSE_DONE;
        return true;
    case RESPONSE_DONE:
        return true;
    default:
        WRONG("phase");
    }
}

enum response_progress response_feed(struct response *r, struct slice data, size_t *ret_consumed)
{
    size_t size = data.size;
    bool starved = size == 0;
    if (size > 0)
        r->began = true;
    while (r->phase != RESPONSE_DONE && !starved) {
        if (!step(r, &data, &starved))
            return RESPONSE_BAD;
        if (data.size == 0 && r->phase != RESPONSE_DONE)
            break;
    }
    *ret_consumed = size - data.size;
    return r->phase == RESPONSE_DONE ? RESPONSE_COMPLETE : RESPONSE_MORE;
}

bool response_ends_at_eof(const struct response *response)
{
    return response->phase == RESPONSE_BODY_UNTIL_EOF;
}
