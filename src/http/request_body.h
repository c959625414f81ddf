#pragma once
/* The body of an exchange as it arrives, whatever the protocol: held to every limit there is, and stored.
 * What cannot be taken is a refusal: 413 for what is too large, 503 with Retry-After for what there is no
 * room for.
 *
 * Why 503, and not a pause until there is room: each that pauses keeps what it has, so that all could wait
 * for each other until their clients give up. A refused one makes room at once. */

#include "http/exchange.h"

/* A body follows; `expected` is its size, UINT64_MAX where that is not known. Returns 0, or the status to
 * refuse it with at once, with a sentence for that in *ret_detail. */
int request_body_begin(struct exchange *exchange, uint64_t expected, const char **ret_detail) _warn_unused_;
/* So much has come. Returns the same; what was stored is gone then. */
int request_body_add(struct exchange *exchange, const char *data, size_t size, const char **ret_detail)
    _warn_unused_;
/* It is whole. */
void request_body_end(struct exchange *exchange);

/* Bytes of it, wherever they are. */
static inline uint64_t request_body_size(const struct exchange *exchange)
{
    return exchange->body.size ? exchange->body.size : exchange->req->entity.len;
}
