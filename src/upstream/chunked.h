#pragma once
/* The chunked transfer coding (RFC 9112 7.1), undone in place. Pure.
 *
 * Chunk extensions and trailer fields are checked for form, bounded and dropped. */

#include "util/macros.h"

#define CHUNKED_LINE_MAX 1024u     /* a chunk's size and extensions */
#define CHUNKED_TRAILER_MAX 16384u /* all trailer fields together */

enum {
    CHUNKED_MORE = 1, /* fine so far, the body goes on */
    CHUNKED_MALFORMED,
};

/* A decoder between two calls. All zero is the initial state. */
struct chunked {
    int state;
    unsigned digits;    /* of the chunk size, seen so far */
    uint64_t remaining; /* bytes of the current chunk */
    size_t overhead;    /* bytes of the current chunk line, or of the trailer */
};

/* Decodes the next `size` bytes of a body where they are: `*ret_size` decoded bytes stand at `data`
 * afterwards. Returns 0 when the body is whole, and `*ret_rest`, how many bytes at the end are not part of
 * it; or one of the conditions above. What was decoded before something malformed is in *ret_size too. */
int chunked_decode(struct chunked *decoder, char *data, size_t size, size_t *ret_size, size_t *ret_rest)
    _warn_unused_;
