#pragma once
/* Error responses of our own: application/problem+json (RFC 9457), or a small page or plain text where the
 * client prefers that. */

#include "http/h2o.h"
#include "util/strbuf.h"

/* Answers the request. `detail` is a sentence for people, or NULL; the request id is shown and echoed as
 * X-Request-ID unless it is empty. Response fields that are set already (Allow, Retry-After) are kept. */
void problem_send(h2o_req_t *req, int status, const char *detail, struct slice request_id);

/* The reason phrase that RFC 9110 has for a status; that of its class for another. */
const char *problem_reason(int status);

/* The bodies, for tests and for what is sent by other means. */
void problem_format_json(struct strbuf *out, int status, const char *detail, struct slice request_id);
void problem_format_html(struct strbuf *out, int status, const char *detail, struct slice request_id);
void problem_format_text(struct strbuf *out, int status, const char *detail, struct slice request_id);
