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

/* RFC 6265 4.2.1: pairs, separated by semicolons. */
static struct slice find_pair(struct slice pairs, struct slice name)
{
    while (pairs.size > 0) {
        struct slice value = slice_trim(slice_split(&pairs, ';'));
        const bool has_value = value.size > 0 && memchr(value.data, '=', value.size);
        if (slice_eq(slice_split(&value, '='), name) && has_value)
            return value;
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
