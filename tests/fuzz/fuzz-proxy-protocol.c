/* Any bytes as the beginning of a connection: the answer must not depend on how they come, and what is
 * accepted must keep what proxy_protocol.h promises. */

#include "http/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int parse(const uint8_t *data, size_t size, struct proxy_header *ret, const char **ret_problem)
{
    /* A block of its own, so that a sanitizer sees a read behind the end. */
    _cleanup_free_ uint8_t *exact = xcalloc(1, size);
    memcpy(exact, data, size);
    return proxy_header_parse(exact, size, ret, ret_problem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header header = {0}, piece = {0};
    const char *problem = NULL, *ignored;

    const int r = parse(data, size, &header, &problem);
    if (r == PROXY_HEADER_MALFORMED) {
        assert(problem);
        return 0;
    }
    if (r == PROXY_HEADER_MORE) {
        assert(size < PROXY_HEADER_MAX); /* or a reader with so much room would wait for ever */
        return 0;
    }
    assert(r == 0 && header.size <= size && header.size <= PROXY_HEADER_MAX && header.size >= 15);
    assert(!header.is_local || header.source.family == IP_NONE);
    assert((header.source.family == IP_NONE) == (header.destination.family == IP_NONE));
    for (size_t n = 0; n < header.size; n++)
        assert(parse(data, n, &piece, &ignored) == PROXY_HEADER_MORE);
    assert(parse(data, header.size, &piece, &ignored) == 0 && ip_address_eq(&piece.source, &header.source));
    return 0;
}
