#include "upstream/retry.h"

enum retry retry_decide(const struct client_outcome *outcome, bool is_repeatable, unsigned sent,
                        unsigned limit)
{
    if (outcome->error == CLIENT_OK || outcome->response_began || sent >= limit)
        return RETRY_NO;
    if (outcome->sent && !is_repeatable)
        return RETRY_NO;
    switch (outcome->error) {
    case CLIENT_CONNECT_FAILED:
    case CLIENT_CONNECT_TIMEOUT:
    case CLIENT_TRY_TIMEOUT: /* the limit of one try is there for this */
        return RETRY_ELSEWHERE;
    case CLIENT_SEND_FAILED:
    case CLIENT_CLOSED_EARLY:
        /* A pooled connection that the target had closed says nothing about the target. */
        return outcome->reused ? RETRY_FRESH : RETRY_ELSEWHERE;
    default:
        /* A target that is slow or talks nonsense has been asked, and has spent the client's time. */
        return RETRY_NO;
    }
}

bool retry_costs(const struct client_outcome *outcome)
{
    return outcome->sent;
}
