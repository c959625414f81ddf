/* Any bytes as a chunked body, whole and in pieces: both must come to the same. The first byte says how the
 * pieces are cut. */

#include "upstream/chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    int r;
    size_t decoded, rest;
};

static struct result decode(char *out, const uint8_t *data, size_t size, size_t piece)
{
    struct result result = {CHUNKED_MORE, 0, 0};
    struct chunked decoder = {0};

    for (size_t at = 0; at < size && result.r == CHUNKED_MORE;) {
        size_t n = MIN(piece, size - at), decoded, rest = 0;
        /* A block of its own, so that a sanitizer sees an access beyond it. */
        _cleanup_free_ char *copy = xcalloc(1, n);
        memcpy(copy, data + at, n);
        result.r = chunked_decode(&decoder, copy, n, &decoded, &rest);
        assert(decoded <= n && rest <= n);
        memcpy(out + result.decoded, copy, decoded);
        result.decoded += decoded;
        at += n;
        result.rest = size - at + rest;
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const size_t piece = 1 + data[0] % 37;
    data++;
    size--;

    _cleanup_free_ char *whole = xcalloc(1, size), *pieces = xcalloc(1, size);
    struct result a = decode(whole, data, size, size), b = decode(pieces, data, size, piece);
    assert(a.r == b.r && a.decoded == b.decoded && memcmp(whole, pieces, a.decoded) == 0);
    assert(a.r != 0 || a.rest == b.rest);
    return 0;
}
