#pragma once
/* Whether a request that failed with one target may be tried again. Pure. */

#include "upstream/client.h"

enum retry {
    RETRY_NO,        /* the client is told */
    RETRY_FRESH,     /* the same target is as good as any, on a new connection */
    RETRY_ELSEWHERE, /* another target if there is one */
};

/* RFC 9110 9.2.2: what was not sent may always be sent again; what was sent and not answered only if the
 * request `is_repeatable` (its method is idempotent, or its client has given leave by an Idempotency-Key);
 * what was answered never. `sent` counts the tries of which something was sent, `limit` is how many there may
 * be. */
enum retry retry_decide(const struct client_outcome *outcome, bool is_repeatable, unsigned sent,
                        unsigned limit);
/* Whether trying again takes something of the retry budget: not when nothing was sent. */
bool retry_costs(const struct client_outcome *outcome);
