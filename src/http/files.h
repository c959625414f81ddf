#pragma once
/* Static= routes: files beneath a folder, with conditions, ranges and ready-made compressed variants. */

#include "config/config.h"
#include "http/h2o.h"

/* Answers the request with the file that `path` names: the value of the route's catch-all, else the
 * normalised request path. A folder is answered by its index file, and without a closing '/' by a redirect to
 * itself with one.
 *
 * Beside a compressible file a FILE.br or FILE.gz that is not older than it is sent instead to clients that
 * prefer it. */
void files_respond(h2o_req_t *req, const struct route_config *route, struct slice path,
                   struct slice request_id);
