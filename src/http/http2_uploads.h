#pragma once
/* The request bodies that are arriving on one HTTP/2 connection, and which of them has waited longest for its
 * next byte. Pure. A list in the order of their last arrivals; there are at most as many as there may be
 * streams, and mostly one. */

#include "util/clock.h"

struct http2_upload {
    uint32_t stream;
    usec_t arrived_at; /* its head, or its last bytes */
};

struct http2_uploads {
    struct http2_upload *list; /* the oldest first */
    size_t n, capacity;
};

void http2_uploads_deinit(struct http2_uploads *uploads);
/* A body is to come on this stream, or some of it came. */
void http2_uploads_arrived(struct http2_uploads *uploads, uint32_t stream, usec_t now);
/* It is whole, or given up. Harmless when there is none on this stream. */
void http2_uploads_ended(struct http2_uploads *uploads, uint32_t stream);
/* The one that has waited longest, or NULL. */
static inline const struct http2_upload *http2_uploads_oldest(const struct http2_uploads *uploads)
{
    return uploads->n > 0 ? &uploads->list[0] : NULL;
}
