#pragma once
/* A request of HTTP/2, from its head to the point where it is an exchange as any other. */

#include "http/exchange.h"

/* The head is complete: judges it, and makes the exchange. *ret_status is 0, or the status that the request
 * is to be refused with, and *ret_detail says why. */
struct exchange *http2_request_begin(struct conn *conn, h2o_req_t *req, int *ret_status,
                                     const char **ret_detail);
/* The exchange of a request that has begun, or NULL. */
struct exchange *http2_exchange_of(h2o_req_t *req);
/* The request is whole: has it answered. */
void http2_request_run(h2o_req_t *req);
