#pragma once
/* What is recorded of requests: metrics always, an access record if asked for, and the exceptional ends. */

#include "http/exchange.h"
#include "upstream/client.h"

/* The exchange is over, whatever came of it. */
void access_end(struct exchange *exchange);
/* We answered with an error of our own. */
void access_refused(struct exchange *exchange, int status, const char *detail);
/* A body was refused with 503. `error`: a negative errno of the disk's, or BODY_NO_ROOM. */
void access_body_refused(struct exchange *exchange, int error);
/* A request that was ended at the drain deadline; `exchange` or, for one whose head was still arriving over
 * HTTP/2, `req` alone. */
void access_cut(struct server *server, struct exchange *exchange, h2o_req_t *req);
/* A connection was ended whose request had only begun to arrive. */
void access_cut_head(struct server *server, struct conn *conn);
/* A tunnel was ended. */
void access_cut_tunnel(struct server *server, struct conn *conn);
/* A try at a target failed; `again` tells what happens next. */
void access_try_failed(struct exchange *exchange, const struct client_outcome *outcome, bool again);
/* A request that waited for a target, or was to, is answered with 503; `held`: for how long it has. */
void access_hold_ended(struct exchange *exchange, usec_t held, const char *reason);
