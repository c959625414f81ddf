#include "http/request_field.h"

struct slice request_field(h2o_req_t *req, const h2o_token_t *token)
{
    ssize_t first = h2o_find_header(&req->headers, token, -1);
    if (first < 0)
        return slice_make(NULL, 0);
    struct slice value = slice_of_iovec(req->headers.entries[first].value);
    if (!value.data)
        value = SLICE_LITERAL("");

    size_t size = value.size;
    bool is_single = true;
    for (ssize_t i = first; (i = h2o_find_header(&req->headers, token, i)) >= 0; is_single = false)
        size += 2 + req->headers.entries[i].value.len;
    if (is_single)
        return value;

    char *joined = h2o_mem_alloc_pool(&req->pool, size), *to = joined;
    for (ssize_t i = first; i >= 0; i = h2o_find_header(&req->headers, token, i)) {
        if (i != first) {
            *to++ = ',';
            *to++ = ' ';
        }
        h2o_iovec_t part = req->headers.entries[i].value;
        if (part.len)
            memcpy(to, part.base, part.len);
        to += part.len;
    }
    return slice_make(joined, size);
}

struct slice request_field_named(const h2o_req_t *req, const char *name)
{
    for (size_t i = 0; i < req->headers.size; i++)
        if (slice_caseeq(slice_of_iovec(*req->headers.entries[i].name), slice_of(name)))
            return slice_of_iovec(req->headers.entries[i].value);
    return slice_make(NULL, 0);
}

static struct slice trim(struct slice s)
{
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_make(s.data + 1, s.size - 1);
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

/* RFC 6265 4.2.1: pairs, separated by semicolons. */
static struct slice find_pair(struct slice pairs, struct slice name)
{
    while (pairs.size > 0) {
        const char *end = memchr(pairs.data, ';', pairs.size);
        const size_t size = end ? (size_t)(end - pairs.data) : pairs.size;
        const struct slice pair = trim(slice_make(pairs.data, size));
        const char *equals = pair.size > 0 ? memchr(pair.data, '=', pair.size) : NULL;
        if (equals && slice_eq(slice_make(pair.data, (size_t)(equals - pair.data)), name))
            return slice_make(equals + 1, (size_t)(pair.data + pair.size - equals - 1));
        pairs = slice_make(pairs.data + size + (end ? 1 : 0), pairs.size - size - (end ? 1 : 0));
    }
    return slice_make(NULL, 0);
}

struct slice request_cookie(const h2o_req_t *req, const char *name)
{
    for (ssize_t i = -1; (i = h2o_find_header(&req->headers, H2O_TOKEN_COOKIE, i)) >= 0;) {
        const struct slice value = find_pair(slice_of_iovec(req->headers.entries[i].value), slice_of(name));
        if (value.data)
            return value;
    }
    return slice_make(NULL, 0);
}
