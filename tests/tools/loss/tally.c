#include "tally.h"

static const char *const outcome_names[] = {
    [OUTCOME_2XX] = "2xx",
    [OUTCOME_3XX] = "3xx",
    [OUTCOME_4XX] = "4xx",
    [OUTCOME_5XX] = "5xx",
    [OUTCOME_REFUSED] = "refused",
    [OUTCOME_CONNECT_TIMEOUT] = "connect_timeout",
    [OUTCOME_CONNECT_FAILED] = "connect_failed",
    [OUTCOME_RESET] = "reset",
    [OUTCOME_EOF] = "eof",
    [OUTCOME_TRUNCATED] = "truncated",
    [OUTCOME_TIMEOUT] = "timeout",
    [OUTCOME_BAD_RESPONSE] = "bad_response",
    [OUTCOME_MISMATCH] = "mismatch",
};
_Static_assert(ARRAY_SIZE(outcome_names) == _OUTCOME_MAX, "every outcome has a name");

const char *outcome_to_string(enum outcome outcome)
{
    return outcome_names[outcome];
}

uint64_t tally_lost(const struct tally *tally)
{
    uint64_t lost = 0;
    for (enum outcome outcome = 0; outcome < _OUTCOME_MAX; outcome++)
        if (outcome_is_lost(outcome))
            lost += tally->outcomes[outcome];
    return lost;
}

static void answered(struct tally *tally, usec_t now)
{
    usec_t since = MAX(tally->last_answer, tally->started);
    tally->gap = MAX(tally->gap, usec_sub(now, since));
    tally->last_answer = now;
}

void tally_add(struct tally *tally, const struct loss *loss, usec_t now)
{
    tally->requests++;
    tally->outcomes[loss->outcome]++;
    if (loss->status > 0)
        tally->statuses[loss->status]++;
    tally->stall = MAX(tally->stall, loss->after);
    if (!outcome_is_lost(loss->outcome)) {
        histogram_add(&tally->latency, loss->after);
        answered(tally, now);
    } else if (tally->n_losses < TALLY_LOSSES) {
        tally->losses[tally->n_losses++] = *loss;
    }
}

void tally_end(struct tally *tally, usec_t now)
{
    tally->ended = now;
    /* Nothing answered at the end is a gap as well, but the wait for one's own last request is not. */
    if (tally_lost(tally) > 0)
        answered(tally, now);
}
