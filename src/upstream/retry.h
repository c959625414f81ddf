#pragma once
/* Whether a request that failed with one target may be tried again. Pure. */

#include "router/method.h"
#include "upstream/client.h"

enum retry {
    RETRY_NO,        /* the client is told */
    RETRY_FRESH,     /* the same target is as good as any, on a new connection */
    RETRY_ELSEWHERE, /* another target if there is one */
};

/* RFC 9110 9.2.2: what was not sent may always be sent again; what was sent and not answered only if the
 * method is idempotent; what was answered never. `tries` counts those made, `limit` is how many there may be.
 */
enum retry retry_decide(const struct client_outcome *outcome, enum method method, unsigned tries,
                        unsigned limit);
