#include "lifecycle/drain.h"

#define MARGIN_MIN (500 * USEC_PER_MSEC)
#define MARGIN_MAX (5 * USEC_PER_SEC)
#define PROGRESS_INTERVAL USEC_PER_SEC

/* Each extension names a time that is three times as long as the way to the next one: two may get lost. */
#define EXTEND_INTERVAL (5 * USEC_PER_SEC)
#define EXTEND_MAX (3 * EXTEND_INTERVAL)

/* For the responses' last bytes and the records of what was cut. */
#define CUT_GRACE (250 * USEC_PER_MSEC)

static usec_t margin_of(usec_t timeout_stop)
{
    return usec_min(MAX(timeout_stop / 10, MARGIN_MIN), MARGIN_MAX);
}

usec_t drain_budget(usec_t configured, usec_t timeout_stop)
{
    if (configured != USEC_INFINITY)
        return configured;
    if (timeout_stop == USEC_INFINITY)
        return USEC_INFINITY;
    return usec_sub(timeout_stop, margin_of(timeout_stop));
}

void drain_begin(struct drain *drain, usec_t now, usec_t budget, usec_t timeout_stop)
{
    const bool fits =
        timeout_stop == USEC_INFINITY || usec_add(budget, margin_of(timeout_stop)) <= timeout_stop;
    /* A budget that was made from the timeout fits by definition, even where the margin is all of it. */
    const bool extends = !fits && budget > 0;
    *drain = (struct drain){
        .phase = DRAIN_RUNNING,
        .began = now,
        .deadline = usec_add(now, budget),
        .next_progress = usec_add(now, PROGRESS_INTERVAL),
        .idle_end = USEC_INFINITY,
        .next_extend = extends ? now : USEC_INFINITY,
    };
}

void drain_keep_idle(struct drain *drain)
{
    if (drain->deadline != USEC_INFINITY)
        drain->idle_end = usec_add(drain->began, usec_sub(drain->deadline, drain->began) / 4 * 3);
}

static void extend(struct drain *drain, usec_t now, struct drain_actions *actions)
{
    const usec_t needed = usec_add(usec_sub(drain->deadline, now), MARGIN_MAX);
    drain->extend_by = MIN(needed, EXTEND_MAX);
    drain->next_extend = usec_add(now, EXTEND_INTERVAL);
    actions->extend = true;
}

usec_t drain_step(struct drain *drain, usec_t now, bool empty, struct drain_actions *ret)
{
    *ret = (struct drain_actions){0};
    switch (drain->phase) {
    case DRAIN_RUNNING:
        if (empty)
            break;
        if (now >= drain->deadline) {
            drain->phase = DRAIN_CUT;
            drain->deadline = usec_add(now, CUT_GRACE);
            ret->cut = true;
            return drain->deadline;
        }
        if (now >= drain->next_extend)
            extend(drain, now, ret);
        if (now >= drain->next_progress) {
            ret->log_progress = true;
            drain->next_progress = usec_add(now, PROGRESS_INTERVAL);
        }
        if (now >= drain->idle_end) {
            ret->end_idle = true;
            drain->idle_end = USEC_INFINITY;
        }
        return usec_min(usec_min(drain->deadline, drain->idle_end),
                        usec_min(drain->next_progress, drain->next_extend));
    case DRAIN_CUT:
        if (empty || now >= drain->deadline)
            break;
        return drain->deadline;
    case DRAIN_DONE:
        break;
    case DRAIN_NONE:
        return USEC_INFINITY;
    default:
        WRONG("drain phase");
    }
    drain->phase = DRAIN_DONE;
    ret->done = true;
    return USEC_INFINITY;
}
