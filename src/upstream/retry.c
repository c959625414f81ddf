#include "upstream/retry.h"

enum retry retry_decide(const struct client_outcome *outcome, enum method method, unsigned tries,
                        unsigned limit)
{
    if (outcome->error == CLIENT_OK || outcome->response_began || tries >= limit)
        return RETRY_NO;
    if (outcome->sent && !method_is_idempotent(method))
        return RETRY_NO;
    switch (outcome->error) {
    case CLIENT_CONNECT_FAILED:
    case CLIENT_CONNECT_TIMEOUT:
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
