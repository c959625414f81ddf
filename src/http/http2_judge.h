#pragma once
/* Requests of HTTP/2, judged as those of HTTP/1 are: h2o sees to their framing (RFC 9113 8.1) and
 * pseudo-header fields, and is lax about what these and the others hold. */

#include "http/conn.h"
#include "http/request_head.h"

/* From now on h2o passes on Host, which it would leave out, so that it can be compared. Before there are
 * threads. */
void http2_judge_init(void);
/* What is wrong with a request's head, or HEAD_OK. One without :authority gets that of its Host. */
enum head_error http2_judge(const struct conn *conn, h2o_req_t *req);
/* What is wrong with one of its fields, or one of its trailer fields. */
enum head_error http2_judge_field(const h2o_header_t *header);
/* What a field is to a table of them beside its text (RFC 9113 6.5.2). */
#define HTTP2_FIELD_OVERHEAD 32
/* … and in all: that is what the setting limits that we announce. */
size_t http2_field_size(const h2o_header_t *header);
/* RFC 9113 8.1.1: whether a body of that size is the one that was announced. */
bool http2_length_is_right(h2o_req_t *req, uint64_t size);
