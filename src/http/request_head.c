#include "http/request_head.h"

#include <ctype.h>

/* RFC 9110 5.6.2: the bytes of a token. */
static const bool is_token[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,         ['&'] = 1,         ['\''] = 1,
    ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,         ['^'] = 1,         ['_'] = 1,
    ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

/* RFC 9110 5.5: visible bytes, obs-text, blanks. */
static const bool is_value[256] = {['\t'] = 1, [' ' ... '~'] = 1, [0x80 ... 0xff] = 1};

/* Bytes of a request target: visible ASCII. What a path may hold is path_normalize()'s to say. */
static const bool is_target[256] = {['!' ... '~'] = 1};

/* RFC 3986 3.2.2: what a host with an optional port is written with. */
static const bool is_host[256] = {
    ['-'] = 1, ['.'] = 1,         ['_'] = 1,         ['~'] = 1,         [':'] = 1, ['['] = 1,
    [']'] = 1, ['%'] = 1,         ['!'] = 1,         ['$'] = 1,         ['&'] = 1, ['\''] = 1,
    ['('] = 1, [')'] = 1,         ['*'] = 1,         ['+'] = 1,         [','] = 1, [';'] = 1,
    ['='] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

static const char *skip(const char *p, const char *end, const bool class[256])
{
    while (p < end && class[(unsigned char)*p])
        p++;
    return p;
}

enum head_scan request_head_scan(const char *data, size_t size, size_t *offset, size_t *ret_start,
                                 size_t *ret_end)
{
    size_t start = *ret_start;

    /* Empty lines in front of a request are tolerated, a few of them. */
    while (*offset == start && size - start >= 2 && data[start] == '\r' && data[start + 1] == '\n') {
        start += 2;
        *offset = start;
        if (start > 8)
            return HEAD_MALFORMED;
    }
    *ret_start = start;

    const char *p = data + *offset, *end = data + size;
    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        size_t at = (size_t)(p - data);
        if (at == start || p[-1] != '\r')
            return HEAD_MALFORMED;
        p++;
        if (at >= start + 3 && p[-3] == '\n') {
            if (at + 1 - start > REQUEST_HEAD_MAX_SIZE)
                return HEAD_TOO_LARGE;
            *ret_end = at + 1;
            return HEAD_COMPLETE;
        }
        *offset = at + 1;
    }
    return size - start > REQUEST_HEAD_MAX_SIZE ? HEAD_TOO_LARGE : HEAD_INCOMPLETE;
}

static bool host_is_valid(struct slice host)
{
    return host.size <= 255 + 6 && skip(host.data, host.data + host.size, is_host) == host.data + host.size;
}

static enum head_error parse_target(struct request_head *head)
{
    struct slice t = head->target;

    if (t.data[0] == '/') {
        head->path = t;
        return HEAD_OK;
    }
    if (t.size == 1 && t.data[0] == '*') {
        head->path = t;
        return slice_eq(head->method, SLICE_LITERAL("OPTIONS")) ? HEAD_OK : HEAD_BAD_REQUEST_LINE;
    }
    /* absolute-form (RFC 9112 3.2.2): its authority overrides Host. */
    size_t scheme = 0;
    if (t.size > 7 && strncasecmp(t.data, "http://", 7) == 0)
        scheme = 7;
    else if (t.size > 8 && strncasecmp(t.data, "https://", 8) == 0)
        scheme = 8;
    if (scheme == 0)
        return HEAD_BAD_REQUEST_LINE; /* authority-form is for CONNECT to proxies, which this is not */
    const char *from = t.data + scheme, *end = t.data + t.size, *p = from;
    while (p < end && *p != '/' && *p != '?')
        p++;
    if (p == from || !host_is_valid(slice_make(from, (size_t)(p - from))))
        return HEAD_BAD_HOST;
    head->authority = slice_make(from, (size_t)(p - from));
    if (p == end || *p == '?')
        head->path = p == end ? SLICE_LITERAL("/") : (struct slice){NULL, 0};
    else
        head->path = slice_make(p, (size_t)(end - p));
    return head->path.data ? HEAD_OK : HEAD_BAD_REQUEST_LINE;
}

/* "GET /path HTTP/1.1"; leaves *pp behind the CRLF. */
static enum head_error parse_request_line(const char **pp, const char *end, struct request_head *head)
{
    const char *p = *pp, *from = p;
    p = skip(p, end, is_token);
    if (p == from || p == end || *p != ' ' || p - from > 32)
        return HEAD_BAD_REQUEST_LINE;
    head->method = slice_make(from, (size_t)(p - from));
    from = ++p;
    p = skip(p, end, is_target);
    if (p == from || p == end || *p != ' ')
        return HEAD_BAD_REQUEST_LINE;
    head->target = slice_make(from, (size_t)(p - from));
    p++;
    if (end - p < 10 || memcmp(p, "HTTP/", 5) != 0)
        return HEAD_BAD_REQUEST_LINE;
    if (!isdigit((unsigned char)p[5]) || p[6] != '.' || !isdigit((unsigned char)p[7]) || p[8] != '\r')
        return HEAD_BAD_REQUEST_LINE;
    if (p[5] != '1')
        return HEAD_BAD_VERSION;
    head->minor_version = p[7] == '0' ? 0 : 1;
    *pp = p + 10;
    return HEAD_OK;
}

static bool parse_length(struct slice s, uint64_t *ret)
{
    uint64_t n = 0;
    if (s.size == 0 || s.size > 18)
        return false;
    for (size_t i = 0; i < s.size; i++) {
        if (!isdigit((unsigned char)s.data[i]))
            return false;
        n = n * 10 + (uint64_t)(s.data[i] - '0');
    }
    *ret = n;
    return true;
}

/* Walks the elements of a comma-separated list; false at its end. */
static bool next_element(struct slice *list, struct slice *ret)
{
    while (list->size) {
        const char *comma = memchr(list->data, ',', list->size);
        size_t n = comma ? (size_t)(comma - list->data) : list->size;
        struct slice element = {list->data, n};
        size_t used = comma ? n + 1 : n;
        *list = slice_make(list->data + used, list->size - used);
        while (element.size && (*element.data == ' ' || *element.data == '\t'))
            element = slice_make(element.data + 1, element.size - 1);
        while (element.size &&
               (element.data[element.size - 1] == ' ' || element.data[element.size - 1] == '\t'))
            element.size--;
        if (element.size) {
            *ret = element;
            return true;
        }
    }
    return false;
}

struct seen {
    bool host, length, encoding, close, keep_alive;
    struct slice host_value;
};

static enum head_error judge_field(struct request_head *head, const struct request_field *f,
                                   struct seen *seen)
{
    /* By length first: most fields are none of these. */
    switch (f->name.size) {
    case 4:
        if (slice_caseeq(f->name, SLICE_LITERAL("host"))) {
            if (seen->host)
                return HEAD_DUPLICATE_HOST;
            seen->host = true;
            seen->host_value = f->value;
            if (!host_is_valid(f->value))
                return HEAD_BAD_HOST;
        }
        break;
    case 6:
        if (slice_caseeq(f->name, SLICE_LITERAL("expect")) && head->minor_version >= 1) {
            if (!slice_caseeq(f->value, SLICE_LITERAL("100-continue")))
                return HEAD_BAD_EXPECTATION;
            head->expects_continue = true;
        }
        break;
    case 7:
        if (slice_caseeq(f->name, SLICE_LITERAL("upgrade")))
            head->upgrade = f->value;
        break;
    case 10:
        if (slice_caseeq(f->name, SLICE_LITERAL("connection"))) {
            struct slice rest = f->value, option;
            while (next_element(&rest, &option)) {
                if (slice_caseeq(option, SLICE_LITERAL("close")))
                    seen->close = true;
                else if (slice_caseeq(option, SLICE_LITERAL("keep-alive")))
                    seen->keep_alive = true;
                else if (slice_caseeq(option, SLICE_LITERAL("upgrade")))
                    head->connection_has_upgrade = true;
            }
        }
        break;
    case 14:
        if (slice_caseeq(f->name, SLICE_LITERAL("content-length"))) {
            if (seen->length)
                return HEAD_DUPLICATE_CONTENT_LENGTH;
            seen->length = true;
            if (!parse_length(f->value, &head->content_length))
                return HEAD_BAD_CONTENT_LENGTH;
        }
        break;
    case 17:
        if (slice_caseeq(f->name, SLICE_LITERAL("transfer-encoding"))) {
            if (seen->encoding || !slice_caseeq(f->value, SLICE_LITERAL("chunked")))
                return HEAD_BAD_TRANSFER_ENCODING;
            seen->encoding = true;
            head->chunked = true;
        }
        break;
    }
    return HEAD_OK;
}

enum head_error request_head_parse(const char *data, size_t size, struct request_head *head)
{
    const char *p = data, *end = data + size;
    struct seen seen = {0};

    head->authority = head->upgrade = (struct slice){NULL, 0};
    head->n_fields = 0;
    head->content_length = UINT64_MAX;
    head->chunked = head->expects_continue = head->connection_has_upgrade = false;

    enum head_error error = parse_request_line(&p, end, head);
    if (error == HEAD_OK)
        error = parse_target(head);
    if (error != HEAD_OK)
        return error;

    while (*p != '\r') {
        if (head->n_fields == REQUEST_HEAD_MAX_FIELDS)
            return HEAD_TOO_MANY_FIELDS;
        struct request_field *f = &head->fields[head->n_fields++];

        if (*p == ' ' || *p == '\t')
            return HEAD_FOLDED_LINE;
        const char *from = p;
        p = skip(p, end, is_token);
        if (p == from || *p != ':')
            return HEAD_BAD_FIELD;
        f->name = slice_make(from, (size_t)(p - from));
        p++;
        while (*p == ' ' || *p == '\t')
            p++;
        from = p;
        p = skip(p, end, is_value);
        if (end - p < 2 || p[0] != '\r' || p[1] != '\n')
            return HEAD_BAD_FIELD;
        const char *last = p;
        while (last > from && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        f->value = slice_make(from, (size_t)(last - from));
        p += 2;
        error = judge_field(head, f, &seen);
        if (error != HEAD_OK)
            return error;
    }
    if (end - p != 2)
        return HEAD_BAD_FIELD; /* a CR that does not end the head */

    if (head->minor_version >= 1 && !seen.host)
        return HEAD_MISSING_HOST;
    if (!head->authority.data)
        head->authority = seen.host_value;
    if (seen.encoding && seen.length)
        return HEAD_LENGTH_AND_ENCODING;
    if (seen.encoding && head->minor_version == 0)
        return HEAD_BAD_TRANSFER_ENCODING;
    head->keep_alive = !seen.close && (head->minor_version >= 1 || seen.keep_alive);
    return HEAD_OK;
}

int head_error_status(enum head_error error)
{
    switch (error) {
    case HEAD_BAD_VERSION:
        return 505;
    case HEAD_TOO_MANY_FIELDS:
        return 431;
    case HEAD_BAD_EXPECTATION:
        return 417;
    case HEAD_BAD_TRANSFER_ENCODING:
        return 501;
    default:
        return 400;
    }
}

const char *head_error_text(enum head_error error)
{
    static const char *const texts[_HEAD_ERROR_MAX] = {
        [HEAD_OK] = "no error",
        [HEAD_BAD_REQUEST_LINE] = "The request line is malformed.",
        [HEAD_BAD_VERSION] = "Only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here.",
        [HEAD_BAD_FIELD] = "A header field is malformed.",
        [HEAD_TOO_MANY_FIELDS] = "The request has too many header fields.",
        [HEAD_FOLDED_LINE] = "Folded header lines are not accepted.",
        [HEAD_MISSING_HOST] = "The Host field is missing.",
        [HEAD_DUPLICATE_HOST] = "There is more than one Host field.",
        [HEAD_BAD_HOST] = "The host name is malformed.",
        [HEAD_BAD_CONTENT_LENGTH] = "Content-Length is malformed.",
        [HEAD_DUPLICATE_CONTENT_LENGTH] = "There is more than one Content-Length field.",
        [HEAD_BAD_TRANSFER_ENCODING] = "The only transfer coding accepted is chunked, in HTTP/1.1.",
        [HEAD_LENGTH_AND_ENCODING] = "Content-Length and Transfer-Encoding exclude each other.",
        [HEAD_BAD_EXPECTATION] = "The only expectation known is 100-continue.",
    };
    return texts[error];
}
