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
