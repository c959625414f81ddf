#pragma once
/* The request bodies that are arriving on one HTTP/2 connection, and which of them comes too slowly. Pure.
 * Each has a pace of its own: window is given back as soon as bytes are taken, so that it is never we who
 * make a body wait. There are at most as many as there may be streams, and mostly one. */

#include "http/pace.h"

struct http2_upload {
    uint32_t stream;
    struct pace pace; /* since its head */
};

struct http2_uploads {
    struct http2_upload *list; /* in no order */
    size_t n, capacity;
};

void http2_uploads_deinit(struct http2_uploads *uploads);
/* A body is to come on this stream (0 bytes), or so many bytes of it came. */
void http2_uploads_arrived(struct http2_uploads *uploads, uint32_t stream, uint64_t bytes,
                           const struct pace_limits *limits, usec_t now);
/* It is whole, or given up. Harmless when there is none on this stream. */
void http2_uploads_ended(struct http2_uploads *uploads, uint32_t stream);
/* One that is not in time, and how, or 0. */
uint32_t http2_uploads_late(const struct http2_uploads *uploads, const struct pace_limits *limits, usec_t now,
                            enum pace_verdict *ret_verdict);
