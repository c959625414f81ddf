#include "http/files.h"

#include "http/problem.h"

void files_respond(h2o_req_t *req, const struct route_config *route, struct slice path,
                   struct slice request_id)
{
    problem_send(req, 404, "There is nothing at this address.", request_id);
}
