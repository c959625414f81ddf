#pragma once
/* The head of an HTTP/1 response, and how its body is framed (RFC 9112). Pure.
 *
 * Stricter than most: what two readers could understand differently is refused, not repaired. Lines end in
 * CR LF, names are tokens followed at once by a colon, values hold no control characters, nothing is folded.
 * The one leniency is a status line without the space before an empty reason, which many servers send. */

#include "upstream/client.h"

#define RESPONSE_HEAD_MAX 65536u
#define RESPONSE_HEADERS_MAX 128u

enum {
    RESPONSE_INCOMPLETE = 1, /* fine so far, more bytes are needed */
    RESPONSE_MALFORMED,
};

enum response_framing {
    RESPONSE_NO_BODY,
    RESPONSE_LENGTH, /* exactly content_length bytes, more than 0 */
    RESPONSE_CHUNKED,
    RESPONSE_UNTIL_CLOSE,
    RESPONSE_SWITCHED, /* 101: what follows is not HTTP */
};

struct response_head {
    struct client_response
        response; /* its slices point into the parsed bytes, its headers to the array below */
    enum response_framing framing;
    bool keep_alive;             /* the connection may carry another exchange */
    unsigned keep_alive_timeout; /* seconds for which the server keeps it idle; UINT_MAX: not said */
    struct client_header headers[RESPONSE_HEADERS_MAX];
};

/* Looks for the end of a head. `*line` is where the line begins at which to look on: 0 at first, and kept
 * between calls with more of the same bytes, so that a head in many pieces is looked at once. Returns 0 and
 * the size of the head with its empty line, or one of the conditions above with `*ret_why`, a constant text.
 */
int response_head_find(const char *data, size_t size, size_t *line, size_t *ret_size, const char **ret_why)
    _warn_unused_;

/* Takes a head of exactly the size that was found apart. `to_head`: it answers a HEAD request. Returns 0 or
 * RESPONSE_MALFORMED with `*ret_why`; *ret is unspecified then. */
int response_head_parse(const char *data, size_t size, bool to_head, struct response_head *ret,
                        const char **ret_why) _warn_unused_;
