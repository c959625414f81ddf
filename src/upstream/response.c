#include "upstream/response.h"

#include <limits.h>

#define VERSION_PREFIX "HTTP/1."

/* Bytes of a token (RFC 9110 5.6.2): field names. */
static const bool is_token[256] = {
    ['!'] = true,         ['#'] = true,         ['$'] = true,         ['%'] = true, ['&'] = true,
    ['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true, ['.'] = true,
    ['^'] = true,         ['_'] = true,         ['`'] = true,         ['|'] = true, ['~'] = true,
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

/* Bytes of a field value or a reason: visible ones, space, tab, and anything beyond ASCII. */
static const bool is_text[256] = {
    ['\t'] = true,
    [' ' ... '~'] = true,
    [0x80 ... 0xff] = true,
};

static int malformed(const char **ret_why, const char *why)
{
    *ret_why = why;
    return RESPONSE_MALFORMED;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool text_is_valid(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!is_text[(unsigned char)s.data[i]])
            return false;
    return true;
}

/* Takes the next member of a comma-separated list off `rest`, trimmed. False at the end of the list. */
static bool list_next(struct slice *rest, struct slice *ret_member)
{
    if (!rest->data)
        return false;
    const char *comma = memchr(rest->data, ',', rest->size);
    if (comma) {
        size_t size = (size_t)(comma - rest->data);
        *ret_member = slice_trim(slice_make(rest->data, size));
        *rest = slice_make(comma + 1, rest->size - size - 1);
    } else {
        *ret_member = slice_trim(*rest);
        *rest = slice_make(NULL, 0);
    }
    return true;
}

int response_head_find(const char *data, size_t size, size_t *line, size_t *ret_size, const char **ret_why)
{
    /* What does not begin like HTTP/1 is told at once: no line end may ever come. */
    if (*line == 0 && memcmp(data, VERSION_PREFIX, MIN(size, STRLEN(VERSION_PREFIX))) != 0)
        return malformed(ret_why, "it does not begin with HTTP/1");

    const char *end;
    while (*line < size && (end = memchr(data + *line, '\n', size - *line))) {
        size_t at = (size_t)(end - data);
        if (at >= RESPONSE_HEAD_MAX)
            return malformed(ret_why, "its head is larger than 64 KiB");
        if (at == *line || data[at - 1] != '\r')
            return malformed(ret_why, "a line of its head does not end in CR LF");
        bool is_empty = at == *line + 1;
        *line = at + 1;
        if (is_empty) {
            *ret_size = at + 1;
            return 0;
        }
    }
    if (size >= RESPONSE_HEAD_MAX)
        return malformed(ret_why, "its head is larger than 64 KiB");
    return RESPONSE_INCOMPLETE;
}

/* HTTP/1.1 200 OK */
static int parse_status_line(struct slice s, unsigned *ret_minor, struct client_response *response,
                             const char **ret_why)
{
    const size_t version = STRLEN(VERSION_PREFIX) + 1, status = version + STRLEN(" 200");

    if (s.size < status || !slice_starts_with(s, SLICE_LITERAL(VERSION_PREFIX)) ||
        !is_digit(s.data[version - 1]) || s.data[version] != ' ')
        return malformed(ret_why, "its status line is malformed");
    const char *digits = s.data + version + 1;
    if (!is_digit(digits[0]) || !is_digit(digits[1]) || !is_digit(digits[2]))
        return malformed(ret_why, "its status is not a number of three digits");
    response->status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
    if (response->status < 100 || response->status > 599)
        return malformed(ret_why, "its status is not between 100 and 599");

    struct slice rest = slice_make(s.data + status, s.size - status);
    if (rest.size > 0 && rest.data[0] != ' ')
        return malformed(ret_why, "its status line is malformed");
    response->reason = slice_trim(rest);
    if (!text_is_valid(response->reason))
        return malformed(ret_why, "its reason holds a control character");
    *ret_minor = (unsigned)(s.data[version - 1] - '0');
    return 0;
}

static int parse_field(struct slice line, struct client_header *ret, const char **ret_why)
{
    size_t name = 0;
    while (name < line.size && is_token[(unsigned char)line.data[name]])
        name++;
    if (name == 0 && line.size > 0 && is_blank(line.data[0]))
        return malformed(ret_why, "a field is folded over two lines");
    if (name == 0 || name == line.size || line.data[name] != ':')
        return malformed(ret_why, "a field name is malformed");
    ret->name = slice_make(line.data, name);
    ret->value = slice_trim(slice_make(line.data + name + 1, line.size - name - 1));
    if (!text_is_valid(ret->value))
        return malformed(ret_why, "a field value holds a control character");
    return 0;
}

/* A length that says the same several times over is accepted (RFC 9112 6.3), as the caller frames anew. */
static int parse_content_length(struct slice value, uint64_t *length, const char **ret_why)
{
    struct slice member;

    while (list_next(&value, &member)) {
        uint64_t n = 0;
        if (member.size == 0)
            return malformed(ret_why, "its Content-Length is not a number");
        for (size_t i = 0; i < member.size; i++) {
            if (!is_digit(member.data[i]))
                return malformed(ret_why, "its Content-Length is not a number");
            uint64_t digit = (uint64_t)(member.data[i] - '0');
            if (n > (INT64_MAX - digit) / 10)
                return malformed(ret_why, "its Content-Length is too large");
            n = n * 10 + digit;
        }
        if (*length != UINT64_MAX && *length != n)
            return malformed(ret_why, "it has two Content-Lengths that differ");
        *length = n;
    }
    return 0;
}

/* Only "chunked", once: any other coding could neither be undone here nor be announced to the client. */
static int parse_transfer_encoding(struct slice value, bool *chunked, const char **ret_why)
{
    struct slice member;

    while (list_next(&value, &member)) {
        if (!slice_caseeq(member, SLICE_LITERAL("chunked")))
            return malformed(ret_why, "its Transfer-Encoding is not chunked");
        if (*chunked)
            return malformed(ret_why, "its Transfer-Encoding is chunked twice");
        *chunked = true;
    }
    return 0;
}

static void parse_connection(struct slice value, bool *close, bool *keep_alive)
{
    struct slice member;

    while (list_next(&value, &member)) {
        if (slice_caseeq(member, SLICE_LITERAL("close")))
            *close = true;
        else if (slice_caseeq(member, SLICE_LITERAL("keep-alive")))
            *keep_alive = true;
    }
}

/* "timeout=5, max=100": a hint only, so what is malformed is as good as not there. */
static void parse_keep_alive(struct slice value, unsigned *timeout)
{
    static const struct slice key = {"timeout=", STRLEN("timeout=")};
    struct slice member;

    while (list_next(&value, &member)) {
        if (member.size <= key.size || !slice_caseeq(slice_make(member.data, key.size), key))
            continue;
        unsigned n = 0;
        for (size_t i = key.size; i < member.size; i++) {
            if (!is_digit(member.data[i]))
                return;
            n = MIN(n * 10 + (unsigned)(member.data[i] - '0'), 1000000u);
        }
        *timeout = n;
    }
}

/* What the fields say about framing and the connection's future. */
struct framing_fields {
    uint64_t content_length; /* UINT64_MAX: none */
    bool chunked;
    bool close;
    bool keep_alive;
    unsigned keep_alive_timeout;
};

/* Few fields matter here, and their lengths tell most others apart. */
static int note_field(const struct client_header *header, struct framing_fields *fields, const char **ret_why)
{
    switch (header->name.size) {
    case STRLEN("Connection"):
        if (slice_caseeq(header->name, SLICE_LITERAL("Connection")))
            parse_connection(header->value, &fields->close, &fields->keep_alive);
        else if (slice_caseeq(header->name, SLICE_LITERAL("Keep-Alive")))
            parse_keep_alive(header->value, &fields->keep_alive_timeout);
        break;
    case STRLEN("Content-Length"):
        if (slice_caseeq(header->name, SLICE_LITERAL("Content-Length")))
            return parse_content_length(header->value, &fields->content_length, ret_why);
        break;
    case STRLEN("Transfer-Encoding"):
        if (slice_caseeq(header->name, SLICE_LITERAL("Transfer-Encoding")))
            return parse_transfer_encoding(header->value, &fields->chunked, ret_why);
        break;
    }
    return 0;
}

/* RFC 9112 6.3, in its order. */
static int decide_framing(const struct framing_fields *fields, unsigned minor, bool to_head,
                          struct response_head *head, const char **ret_why)
{
    struct client_response *response = &head->response;

    if (fields->chunked && fields->content_length != UINT64_MAX)
        return malformed(ret_why, "it has both Content-Length and Transfer-Encoding");
    if (fields->chunked && minor == 0)
        return malformed(ret_why, "it is HTTP/1.0 with Transfer-Encoding");

    head->keep_alive = !fields->close && (minor > 0 || fields->keep_alive);
    head->keep_alive_timeout = fields->keep_alive_timeout;
    response->declared_length = fields->content_length;
    response->content_length = 0;

    /* A 1xx or 204 must not announce a body (RFC 9110 8.6, RFC 9112 6.1). After an interim response there is
     * no telling where the next one begins; after a 204 the connection is given up. */
    bool announces = fields->chunked || (fields->content_length != UINT64_MAX && fields->content_length > 0);
    if (response->status < 200 && announces)
        return malformed(ret_why, "it is interim and announces a body");
    if (response->status == 204 && announces)
        head->keep_alive = false;

    if (response->status == 101) {
        head->framing = RESPONSE_SWITCHED;
    } else if (to_head || response->status < 200 || response->status == 204 || response->status == 304) {
        head->framing = RESPONSE_NO_BODY;
    } else if (fields->chunked) {
        head->framing = RESPONSE_CHUNKED;
        response->content_length = UINT64_MAX;
    } else if (fields->content_length != UINT64_MAX) {
        head->framing = fields->content_length > 0 ? RESPONSE_LENGTH : RESPONSE_NO_BODY;
        response->content_length = fields->content_length;
    } else {
        head->framing = RESPONSE_UNTIL_CLOSE;
        head->keep_alive = false;
        response->content_length = UINT64_MAX;
    }
    response->has_body = head->framing != RESPONSE_NO_BODY && head->framing != RESPONSE_SWITCHED;
    return 0;
}

int response_head_parse(const char *data, size_t size, bool to_head, struct response_head *ret,
                        const char **ret_why)
{
    struct framing_fields fields = {.content_length = UINT64_MAX, .keep_alive_timeout = UINT_MAX};
    struct client_response *response = &ret->response;
    unsigned minor = 0;
    size_t n = 0;
    int r;

    for (const char *p = data, *end = data + size, *line; p < end; p = line) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf || lf == p || lf[-1] != '\r')
            return malformed(ret_why, "a line of its head does not end in CR LF");
        struct slice s = slice_make(p, (size_t)(lf - p) - 1);
        line = lf + 1;

        if (p == data) {
            r = parse_status_line(s, &minor, response, ret_why);
        } else if (s.size == 0) {
            if (line != end)
                return malformed(ret_why, "its head holds an empty line");
            response->headers = ret->headers;
            response->n_headers = n;
            return decide_framing(&fields, minor, to_head, ret, ret_why);
        } else {
            if (n == RESPONSE_HEADERS_MAX)
                return malformed(ret_why, "it has more than 128 fields");
            r = parse_field(s, &ret->headers[n], ret_why);
            if (r == 0)
                r = note_field(&ret->headers[n++], &fields, ret_why);
        }
        if (r)
            return r;
    }
    return malformed(ret_why, "its head does not end in an empty line");
}
