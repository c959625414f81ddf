#pragma once
/* The bodies of HTTP/2 requests. h2o would keep each whole, in memory. So what DATA frames carry is taken out
 * before h2o sees them, to where the bodies of all requests are; of a body h2o hears only that it has ended.
 *
 * That makes a request an exchange as soon as its head is there, as in HTTP/1: it is routed, and refused if
 * need be, before its body has come. */

#include "http/http2_internal.h"

/* A header block was read: if it began a request that has a body, this begins it as well. */
void http2_body_begin(struct http2 *http2, h2o_http2_stream_t *stream);
/* Whether DATA on this stream is a body's, rather than a mistake that is h2o's to answer. */
bool http2_body_awaits(h2o_http2_stream_t *stream);
/* Takes a DATA frame of such a stream, whole at `data`. Returns its size, or a negative H2O_HTTP2_ERROR_*. */
ssize_t http2_body_take(struct http2 *http2, h2o_http2_stream_t *stream, const struct http2_scan *scan,
                        const uint8_t *data, const char **error);
/* It comes too late, or too slowly: gives it up, with an answer where none has begun. */
void http2_body_late(struct http2 *http2, h2o_http2_stream_t *stream, bool slow);
/* The client has reset the stream: it needs not be told to stop. */
void http2_body_forget(h2o_http2_stream_t *stream);
/* It has ended: with END_STREAM on DATA, or on trailer fields. The request is answered, unless it was.
 * Returns 0, or a negative H2O_HTTP2_ERROR_*. */
ssize_t http2_body_end(struct http2 *http2, h2o_http2_stream_t *stream, const char **error);
