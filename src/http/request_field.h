#pragma once
/* The fields of a request. */

#include "http/h2o.h"

/* The value of a field; of one that stands there several times, the values joined by commas, in the request's
 * pool. data is NULL when there is none. */
struct slice request_field(h2o_req_t *req, const h2o_token_t *token);
/* The first one of this name, whatever its case; data is NULL when there is none. */
struct slice request_field_named(const h2o_req_t *req, const char *name);
/* The value of a cookie, the first of this name; data is NULL when there is none. */
struct slice request_cookie(const h2o_req_t *req, const char *name);
