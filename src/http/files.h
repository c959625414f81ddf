#pragma once
/* Static files for `Static=` routes. */

#include "config/config.h"
#include "http/h2o.h"

/* Answers the request. `path` is what the route's catch-all took, or the whole path: it begins with '/'. */
void files_respond(h2o_req_t *req, const struct route_config *route, struct slice path,
                   struct slice request_id);
