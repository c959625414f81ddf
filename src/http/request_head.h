#pragma once
/* The head of an HTTP/1 request: found, parsed and judged, strictly by RFC 9112. Pure.
 *
 * What two parties could read in two ways is refused here, before anything is routed or forwarded: bare LF,
 * folded lines, blanks before a colon, control bytes, more than one Host or Content-Length, Content-Length
 * beside Transfer-Encoding, codings other than chunked, names of hosts that are none. */

#include "router/method.h"
#include "util/slice.h"

/* More fields than this are never taken, whatever the limits say. */
#define REQUEST_HEAD_FIELDS_LIMIT 1000

/* What a head may have: MaxHeadSize= and MaxHeaders= of the configuration. */
struct head_limits {
    size_t size;   /* bytes, with the empty line */
    size_t fields; /* at most REQUEST_HEAD_FIELDS_LIMIT */
};

enum head_scan {
    HEAD_INCOMPLETE,
    HEAD_COMPLETE,
    HEAD_MALFORMED, /* a bare LF */
    HEAD_TOO_LARGE,
    HEAD_LINE_TOO_LONG, /* the request line alone */
};

/* Looks for the end of the head in `data`; *offset is where to go on looking (0 at first) and is moved.
 * Empty lines before the request line are counted into *ret_start (RFC 9112 2.2). When complete, *ret_end is
 * the offset just behind the empty line. */
enum head_scan request_head_scan(const char *data, size_t size, const struct head_limits *limits,
                                 size_t *offset, size_t *ret_start, size_t *ret_end);

struct request_field {
    struct slice name;
    struct slice value; /* without surrounding blanks */
};

struct request_head {
    struct slice method;
    struct slice target; /* as sent */
    struct slice path;   /* with query; "*" for OPTIONS *; "?…" of an absolute target: "/" is before it */
    struct slice authority;       /* from an absolute-form target, else the Host field; may be empty */
    unsigned minor_version;       /* 0 or 1 */
    bool names_http, names_https; /* an absolute target's scheme */
    struct request_field fields[REQUEST_HEAD_FIELDS_LIMIT];
    size_t n_fields;

    /* What the fields say about the message and the connection. */
    uint64_t content_length; /* UINT64_MAX: no such field */
    bool chunked;
    bool keep_alive;
    bool expects_continue;
    bool connection_has_upgrade;
    struct slice upgrade; /* the Upgrade field, or empty; an upgrade to HTTP/2 is passed over */
};

enum head_error {
    HEAD_OK,
    HEAD_BAD_REQUEST_LINE,
    HEAD_METHOD_TOO_LONG, /* 501 */
    HEAD_BAD_VERSION,     /* 505 */
    HEAD_BAD_FIELD,
    HEAD_TOO_MANY_FIELDS, /* 431 */
    HEAD_FOLDED_LINE,
    HEAD_MISSING_HOST,
    HEAD_DUPLICATE_HOST,
    HEAD_BAD_HOST,
    HEAD_BAD_CONTENT_LENGTH,
    HEAD_DUPLICATE_CONTENT_LENGTH,
    HEAD_BAD_TRANSFER_ENCODING,
    HEAD_UNKNOWN_TRANSFER_CODING, /* 501 */
    HEAD_LENGTH_AND_ENCODING,
    HEAD_BAD_EXPECTATION, /* 417 */
    HEAD_BAD_CONNECTION,
    HEAD_OTHER_HOST,
    HEAD_WRONG_CONTENT_LENGTH,
    HEAD_MISDIRECTED, /* 421 */
    _HEAD_ERROR_MAX,
};

/* Parses a complete head (data[0] is the first byte of the request line, size includes the empty line). The
 * slices point into `data`. */
enum head_error request_head_parse(const char *data, size_t size, const struct head_limits *limits,
                                   struct request_head *ret);

/* Judges what HTTP/2 has instead of a request line and Host, by the same measure: it becomes a line of HTTP/1
 * on the way to an app. What is in `path` before a query is path_normalize()'s to say. */
enum head_error request_head_judge_line(struct slice method, struct slice path, struct slice authority);
/* The same of a field (RFC 9113 8.2.1). */
enum head_error request_head_judge_field(struct slice name, struct slice value);

/* The status to answer with, and a sentence for people. */
int head_error_status(enum head_error error);
const char *head_error_text(enum head_error error);
