#pragma once
/* Error responses of our own: problem+json (RFC 9457), plain text or a small page, as the client's Accept
 * says. */

#include "http/h2o.h"

/* Sends the whole response. Fields already in req->res.headers (Allow, Retry-After) are kept. `detail` is a
 * sentence; `request_id` may be empty. */
void problem_send(h2o_req_t *req, int status, const char *detail, struct slice request_id);
/* The reason phrase of a status, RFC 9110 15; never NULL. Static storage. */
const char *problem_reason(int status);
