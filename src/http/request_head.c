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

/* Bytes of a request target: visible ASCII, no fragment. What is in a path is path_normalize()'s to say. */
static const bool is_target[256] = {['!' ... '"'] = 1, ['$' ... '~'] = 1};

/* RFC 3986 3.2.2: the bytes of a name, of an address in brackets, and of a port. */
static const bool is_host_name[256] = {
    ['-'] = 1, ['.'] = 1,  ['_'] = 1, ['~'] = 1,         ['!'] = 1,         ['$'] = 1,
    ['&'] = 1, ['\''] = 1, ['('] = 1, [')'] = 1,         ['*'] = 1,         ['+'] = 1,
    [','] = 1, [';'] = 1,  ['='] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};
static const bool is_ip6[256] = {
    [':'] = 1, ['.'] = 1, ['0' ... '9'] = 1, ['A' ... 'F'] = 1, ['a' ... 'f'] = 1,
};
static const bool is_digit[256] = {['0' ... '9'] = 1};

#define METHOD_MAX_SIZE 32

static const char *skip(const char *p, const char *end, const bool class[256])
{
    while (p < end && class[(unsigned char)*p])
        p++;
    return p;
}

enum head_scan request_head_scan(const char *data, size_t size, const struct head_limits *limits,
                                 size_t *offset, size_t *ret_start, size_t *ret_end)
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
        if (at + 1 - start > limits->size)
            break;
        if (at == start || p[-1] != '\r')
            return HEAD_MALFORMED;
        p++;
        if (at >= start + 3 && p[-3] == '\n') {
            *ret_end = at + 1;
            return HEAD_COMPLETE;
        }
        *offset = at + 1;
    }
    if (size - start <= limits->size)
        return HEAD_INCOMPLETE;
    return *offset == start ? HEAD_LINE_TOO_LONG : HEAD_TOO_LARGE;
}

/* Behind the name at `p`, with its escapes. */
static const char *skip_host_name(const char *p, const char *end)
{
    while ((p = skip(p, end, is_host_name)) < end && *p == '%') {
        if (end - p < 3 || !isxdigit((unsigned char)p[1]) || !isxdigit((unsigned char)p[2]))
            break;
        p += 3;
    }
    return p;
}

/* RFC 9110 7.2: a host that is not empty, and a port or none. */
static bool authority_is_valid(struct slice authority)
{
    const char *from = authority.data, *end = from + authority.size, *p;

    if (authority.size == 0 || authority.size > 255 + 6)
        return false;
    if (*from == '[') {
        p = skip(++from, end, is_ip6);
        if (p == from || p == end || *p++ != ']')
            return false;
    } else {
        p = skip_host_name(from, end);
        if (p == from)
            return false;
    }
    return p == end || (*p == ':' && skip(p + 1, end, is_digit) == end);
}

static enum head_error parse_target(struct request_head *head)
{
    struct slice t = head->target;

    if (slice_eq(head->method, SLICE_LITERAL("CONNECT")))
        return HEAD_BAD_REQUEST_LINE; /* that is for forward proxies, which this is not */
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
        return HEAD_BAD_REQUEST_LINE; /* authority-form is CONNECT's */
    head->names_http = scheme == 7;
    head->names_https = scheme == 8;
    const char *from = t.data + scheme, *end = t.data + t.size, *p = from;
    while (p < end && *p != '/' && *p != '?')
        p++;
    if (!authority_is_valid(slice_make(from, (size_t)(p - from))))
        return HEAD_BAD_HOST;
    head->authority = slice_make(from, (size_t)(p - from));
    head->path = p == end ? SLICE_LITERAL("/") : slice_make(p, (size_t)(end - p));
    return HEAD_OK;
}

/* "GET /path HTTP/1.1"; leaves *pp behind the CRLF. */
static enum head_error parse_request_line(const char **pp, const char *end, struct request_head *head)
{
    const char *p = *pp, *from = p;
    p = skip(p, end, is_token);
    if (p == from || p == end || *p != ' ')
        return HEAD_BAD_REQUEST_LINE;
    if (p - from > METHOD_MAX_SIZE)
        return HEAD_METHOD_TOO_LONG;
    head->method = slice_make(from, (size_t)(p - from));
    from = ++p;
    p = skip(p, end, is_target);
    if (p == from || p == end || *p != ' ')
        return HEAD_BAD_REQUEST_LINE;
    head->target = slice_make(from, (size_t)(p - from));
    p++;
    if (end - p < 10 || memcmp(p, "HTTP/", 5) != 0)
        return HEAD_BAD_REQUEST_LINE;
    if (!isdigit((unsigned char)p[5]) || p[6] != '.' || !isdigit((unsigned char)p[7]) ||
        memcmp(p + 8, "\r\n", 2) != 0)
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

static bool list_has(struct slice list, struct slice name)
{
    struct slice element;
    while (next_element(&list, &element))
        if (slice_caseeq(element, name))
            return true;
    return false;
}

/* All Transfer-Encoding fields together. */
struct codings {
    bool any;
    bool just_chunked; /* one field, with nothing but that */
    bool has_unknown;
    bool ends_chunked;
    bool goes_on; /* behind chunked */
};

static void add_codings(struct codings *codings, struct slice value)
{
    struct slice coding;

    codings->just_chunked = !codings->any && slice_caseeq(value, SLICE_LITERAL("chunked"));
    codings->any = true;
    while (next_element(&value, &coding)) {
        codings->goes_on |= codings->ends_chunked;
        codings->ends_chunked = slice_caseeq(coding, SLICE_LITERAL("chunked"));
        codings->has_unknown |= !codings->ends_chunked;
    }
}

/* RFC 9112 6.1 and 6.3. Nothing but chunked is taken, not even with an empty element beside it, which another
 * party might read otherwise. An unknown coding within chunks is told apart, since it is no error of framing.
 */
static enum head_error judge_codings(const struct codings *codings, const struct request_head *head)
{
    if (head->minor_version == 0)
        return HEAD_BAD_TRANSFER_ENCODING;
    if (codings->just_chunked)
        return HEAD_OK;
    return codings->has_unknown && codings->ends_chunked && !codings->goes_on ? HEAD_UNKNOWN_TRANSFER_CODING
                                                                              : HEAD_BAD_TRANSFER_ENCODING;
}

/* What Connection names is for this hop and goes no further (RFC 9110 7.6.1); nobody may list there what is
 * for the app. Left out, it would be gone without a word, and with it what it is for: who is asking, for
 * whom, and what the body is. */
static bool is_for_the_app(struct slice name)
{
    static const struct slice names[] = {
        SLICE_LITERAL("authorization"), SLICE_LITERAL("cookie"),         SLICE_LITERAL("host"),
        SLICE_LITERAL("content-type"),  SLICE_LITERAL("content-length"), SLICE_LITERAL("content-encoding"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (slice_caseeq(names[i], name))
            return true;
    return false;
}

struct seen {
    bool host, length, close, keep_alive;
    struct slice host_value;
    struct codings codings;
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
            if (f->value.size && !authority_is_valid(f->value))
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
        /* RFC 9110 7.8: nobody of HTTP/1.0 can upgrade. And h2c, which RFC 9113 has no more, would let a
         * client talk to an app past everything that is judged here. */
        if (slice_caseeq(f->name, SLICE_LITERAL("upgrade")) && head->minor_version >= 1 &&
            !list_has(f->value, SLICE_LITERAL("h2c")))
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
                else if (is_for_the_app(option))
                    return HEAD_BAD_CONNECTION;
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
        if (slice_caseeq(f->name, SLICE_LITERAL("transfer-encoding")))
            add_codings(&seen->codings, f->value);
        break;
    }
    return HEAD_OK;
}

enum head_error request_head_parse(const char *data, size_t size, const struct head_limits *limits,
                                   struct request_head *head)
{
    const size_t max_fields = MIN(limits->fields, (size_t)REQUEST_HEAD_FIELDS_LIMIT);
    const char *p = data, *end = data + size;
    struct seen seen = {0};

    head->authority = head->upgrade = (struct slice){NULL, 0};
    head->n_fields = 0;
    head->content_length = UINT64_MAX;
    head->names_http = head->names_https = false;
    head->chunked = head->expects_continue = head->connection_has_upgrade = false;

    enum head_error error = parse_request_line(&p, end, head);
    if (error == HEAD_OK)
        error = parse_target(head);
    if (error != HEAD_OK)
        return error;

    while (*p != '\r') {
        if (head->n_fields == max_fields)
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
    if (seen.codings.any) {
        if (seen.length)
            return HEAD_LENGTH_AND_ENCODING;
        error = judge_codings(&seen.codings, head);
        if (error != HEAD_OK)
            return error;
        head->chunked = true;
    }
    head->keep_alive = !seen.close && (head->minor_version >= 1 || seen.keep_alive);
    return HEAD_OK;
}

static bool consists_of(struct slice s, const bool class[256])
{
    return s.size > 0 && skip(s.data, s.data + s.size, class) == s.data + s.size;
}

enum head_error request_head_judge_line(struct slice method, struct slice path, struct slice authority)
{
    if (!consists_of(method, is_token) || slice_eq(method, SLICE_LITERAL("CONNECT")))
        return HEAD_BAD_REQUEST_LINE;
    if (method.size > METHOD_MAX_SIZE)
        return HEAD_METHOD_TOO_LONG;
    if (!consists_of(path, is_target))
        return HEAD_BAD_REQUEST_LINE;
    return authority.size == 0 || authority_is_valid(authority) ? HEAD_OK : HEAD_BAD_HOST;
}

enum head_error request_head_judge_field(struct slice name, struct slice value)
{
    if (!consists_of(name, is_token))
        return HEAD_BAD_FIELD;
    if (value.size == 0)
        return HEAD_OK;
    const char first = value.data[0], last = value.data[value.size - 1];
    if (first == ' ' || first == '\t' || last == ' ' || last == '\t')
        return HEAD_BAD_FIELD;
    return consists_of(value, is_value) ? HEAD_OK : HEAD_BAD_FIELD;
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
    case HEAD_MISDIRECTED:
        return 421;
    case HEAD_METHOD_TOO_LONG:
    case HEAD_UNKNOWN_TRANSFER_CODING:
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
        [HEAD_METHOD_TOO_LONG] = "No method is as long as this one.",
        [HEAD_BAD_VERSION] = "Only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here.",
        [HEAD_BAD_FIELD] = "A header field is malformed.",
        [HEAD_TOO_MANY_FIELDS] = "The request has too many header fields.",
        [HEAD_FOLDED_LINE] = "Folded header lines are not accepted.",
        [HEAD_MISSING_HOST] = "The Host field is missing.",
        [HEAD_DUPLICATE_HOST] = "There is more than one Host field.",
        [HEAD_BAD_HOST] = "The host name is malformed.",
        [HEAD_BAD_CONTENT_LENGTH] = "Content-Length is malformed.",
        [HEAD_DUPLICATE_CONTENT_LENGTH] = "There is more than one Content-Length field.",
        [HEAD_BAD_TRANSFER_ENCODING] = "Transfer-Encoding does not say where the body ends.",
        [HEAD_UNKNOWN_TRANSFER_CODING] = "The only transfer coding accepted is chunked.",
        [HEAD_LENGTH_AND_ENCODING] = "Content-Length and Transfer-Encoding exclude each other.",
        [HEAD_BAD_CONNECTION] = "Connection names a field that is not for this connection alone.",
        [HEAD_OTHER_HOST] = "Host and :authority name different hosts.",
        [HEAD_WRONG_CONTENT_LENGTH] = "Content-Length is not the length of the body.",
        [HEAD_MISDIRECTED] = "This connection is not one of the scheme that the request names.",
        [HEAD_BAD_EXPECTATION] = "The only expectation known is 100-continue.",
    };
    return texts[error];
}
