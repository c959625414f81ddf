#pragma once
/* Header blocks that do not begin a request: the trailer fields of one that has a body (RFC 9113 8.1), and
 * what comes too late, on a stream that was answered or reset before its client knew.
 *
 * h2o would add trailer fields to those of the request, for the app to take them for what was judged and
 * routed by; and would end the connection for the late ones, with all other streams. So it sees neither.
 * Trailer fields are thrown away (RFC 9110 6.5.1), as those of HTTP/1 are, once they are found to be
 * well-formed; but always decoded, for the blocks that follow depend on it. */

#include "http/http2_internal.h"

/* A stream was given up, and its client may not know yet that it need not send the rest of its request. */
void http2_trailers_may_be_late(struct http2 *http2, uint32_t stream);
/* Whether a frame that is HEADERS or CONTINUATION is of such a block. */
bool http2_trailers_own(const struct http2 *http2, const struct http2_frame *frame,
                        const h2o_http2_stream_t *stream);
/* Takes one that is, whole at `data`. With the last of its block the request's body has ended; a block that
 * is malformed, or in a place where none may be, ends its stream. Returns the frame's size, or a negative
 * H2O_HTTP2_ERROR_*, an error of the connection: what cannot be decoded. */
ssize_t http2_trailers_take(struct http2 *http2, const struct http2_scan *scan, const uint8_t *data,
                            const char **error);
