/* Any bytes as the head of a response: what is accepted must keep what response.h promises. The first byte
 * says whether a HEAD request is answered, and how many bytes at a time are looked at. */

#include "upstream/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct slice s, const char *begin, const char *end)
{
    assert(s.size == 0 || (s.data >= begin && s.data + s.size <= end));
    for (size_t i = 0; i < s.size; i++)
        assert(s.data[i] == '\t' || ((unsigned char)s.data[i] >= ' ' && s.data[i] != 0x7f));
}

static void check(const struct response_head *head, const char *begin, const char *end, bool to_head)
{
    const struct client_response *response = &head->response;

    assert(response->status >= 100 && response->status <= 599);
    assert(response->n_headers <= RESPONSE_HEADERS_MAX);
    check_text(response->reason, begin, end);
    for (size_t i = 0; i < response->n_headers; i++) {
        assert(response->headers[i].name.size > 0);
        check_text(response->headers[i].name, begin, end);
        check_text(response->headers[i].value, begin, end);
        assert(!memchr(response->headers[i].name.data, ' ', response->headers[i].name.size));
    }
    switch (head->framing) {
    case RESPONSE_NO_BODY:
    case RESPONSE_SWITCHED:
        assert(response->content_length == 0 && !response->has_body);
        break;
    case RESPONSE_LENGTH:
        assert(response->content_length > 0 && response->content_length <= INT64_MAX && response->has_body);
        break;
    case RESPONSE_UNTIL_CLOSE:
        assert(!head->keep_alive);
        __attribute__((fallthrough));
    case RESPONSE_CHUNKED:
        assert(response->content_length == UINT64_MAX && response->has_body);
        break;
    }
    assert(!response->has_body || (!to_head && response->status >= 200));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const bool to_head = data[0] & 1;
    const size_t piece = 1 + (data[0] >> 1) % 41;
    data++;
    size--;

    struct response_head head;
    const char *why = NULL;
    size_t line = 0, found = 0, line_in_pieces = 0, found_in_pieces = 0;
    int in_pieces = RESPONSE_INCOMPLETE;
    _cleanup_free_ char *copy = xcalloc(1, size);
    memcpy(copy, data, size);

    int r = response_head_find(copy, size, &line, &found, &why);
    for (size_t seen = 0; seen < size && in_pieces == RESPONSE_INCOMPLETE;) {
        seen = MIN(seen + piece, size);
        in_pieces = response_head_find(copy, seen, &line_in_pieces, &found_in_pieces, &why);
    }
    assert(r == in_pieces && found == found_in_pieces);
    assert(r != RESPONSE_MALFORMED || why);
    if (r)
        return 0;

    /* A block of its own, so that a sanitizer sees a read behind the head. */
    _cleanup_free_ char *exact = xcalloc(1, found);
    memcpy(exact, data, found);
    r = response_head_parse(exact, found, to_head, &head, &why);
    if (r == 0)
        check(&head, exact, exact + found, to_head);
    else
        assert(r == RESPONSE_MALFORMED && why);
    return 0;
}
