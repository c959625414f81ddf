#include "upstream/breaker.h"

#include "upstream/window.h"

static const char *const state_names[_BREAKER_STATE_MAX] = {
    [BREAKER_CLOSED] = "closed",
    [BREAKER_OPENED] = "open",
    [BREAKER_HALF_OPEN] = "half-open",
};

struct breaker {
    const struct breaker_config *config;
    enum breaker_state state;
    uint32_t epoch;
    usec_t opened_until;  /* OPENED */
    bool opened_by_trial; /* OPENED: the trial's figures are those that tell why */
    unsigned running;     /* HALF_OPEN: trial calls that have not come to an end */
    struct tally trial;   /* those that have */
    struct window *window;
};

const char *breaker_state_to_string(enum breaker_state state)
{
    assert(state < _BREAKER_STATE_MAX);
    return state_names[state];
}

struct breaker *breaker_new(const struct breaker_config *config)
{
    if (config->window == BREAKER_OFF)
        return NULL;
    struct breaker *breaker = xcalloc(1, sizeof(*breaker));
    breaker->config = config;
    breaker->window = window_new(config->window, config->size);
    return breaker;
}

struct breaker *breaker_free(struct breaker *breaker)
{
    if (!breaker)
        return NULL;
    window_free(breaker->window);
    free(breaker);
    return NULL;
}

static void set_state(struct breaker *breaker, enum breaker_state state, usec_t now)
{
    breaker->opened_by_trial = state == BREAKER_OPENED && breaker->state == BREAKER_HALF_OPEN;
    breaker->state = state;
    breaker->epoch++;
    breaker->running = 0;
    switch (state) {
    case BREAKER_CLOSED:
        window_clear(breaker->window);
        return;
    case BREAKER_OPENED:
        breaker->opened_until = usec_add(now, breaker->config->open);
        return;
    case BREAKER_HALF_OPEN:
        breaker->trial = (struct tally){0};
        return;
    default:
        WRONG("no such state");
    }
}

void breaker_reset(struct breaker *breaker)
{
    if (breaker)
        set_state(breaker, BREAKER_CLOSED, 0);
}

enum breaker_state breaker_state(const struct breaker *breaker, usec_t now)
{
    if (!breaker)
        return BREAKER_CLOSED;
    if (breaker->state == BREAKER_OPENED && now >= breaker->opened_until)
        return BREAKER_HALF_OPEN;
    return breaker->state;
}

usec_t breaker_next(const struct breaker *breaker, usec_t now)
{
    return breaker_state(breaker, now) == BREAKER_OPENED ? breaker->opened_until : USEC_INFINITY;
}

bool breaker_may_permit(const struct breaker *breaker, usec_t now)
{
    switch (breaker_state(breaker, now)) {
    case BREAKER_CLOSED:
        return true;
    case BREAKER_OPENED:
        return false;
    case BREAKER_HALF_OPEN:
        return breaker->state == BREAKER_OPENED ||
               breaker->running + breaker->trial.calls < breaker->config->half_open;
    default:
        WRONG("no such state");
    }
}

bool breaker_permit(struct breaker *breaker, usec_t now)
{
    if (!breaker)
        return true;
    if (!breaker_may_permit(breaker, now))
        return false;
    if (breaker->state == BREAKER_OPENED)
        set_state(breaker, BREAKER_HALF_OPEN, now);
    if (breaker->state == BREAKER_HALF_OPEN)
        breaker->running++;
    return true;
}

uint32_t breaker_epoch(const struct breaker *breaker)
{
    return breaker ? breaker->epoch : 0;
}

void breaker_release(struct breaker *breaker, uint32_t epoch)
{
    if (breaker && epoch == breaker->epoch && breaker->running > 0)
        breaker->running--;
}

static unsigned minimum_of_window(const struct breaker_config *config)
{
    return config->window == BREAKER_COUNT ? MIN(config->minimum_calls, config->size) : config->minimum_calls;
}

static bool reaches_threshold(const struct breaker_config *config, const struct tally *tally)
{
    return tally->failed * 100 >= tally->calls * config->failure_rate ||
           tally->slow * 100 >= tally->calls * config->slow_rate;
}

static bool judge_window(struct breaker *breaker, usec_t now)
{
    const struct tally tally = window_tally(breaker->window, now);

    if (tally.calls < minimum_of_window(breaker->config) || !reaches_threshold(breaker->config, &tally))
        return false;
    set_state(breaker, BREAKER_OPENED, now);
    return true;
}

static bool judge_trial(struct breaker *breaker, usec_t now)
{
    if (breaker->trial.calls < breaker->config->half_open)
        return false;
    const bool failed = reaches_threshold(breaker->config, &breaker->trial);
    set_state(breaker, failed ? BREAKER_OPENED : BREAKER_CLOSED, now);
    return true;
}

bool breaker_record(struct breaker *breaker, uint32_t epoch, bool failed, usec_t duration, usec_t now)
{
    if (!breaker || epoch != breaker->epoch)
        return false;
    const bool slow = duration > breaker->config->slow_call;
    switch (breaker->state) {
    case BREAKER_CLOSED:
        window_add(breaker->window, failed, slow, now);
        return judge_window(breaker, now);
    case BREAKER_OPENED:
        return false; /* no call was permitted in this epoch */
    case BREAKER_HALF_OPEN:
        if (breaker->running == 0)
            return false; /* no trial call */
        breaker->running--;
        breaker->trial.calls++;
        breaker->trial.failed += failed;
        breaker->trial.slow += slow;
        return judge_trial(breaker, now);
    default:
        WRONG("no such state");
    }
}

/* --- figures ----------------------------------------------------------------------------------------------
 */

static unsigned saturate(uint64_t n)
{
    return (unsigned)MIN(n, (uint64_t)UINT32_MAX);
}

static void set_figures(struct breaker_figures *figures, const struct tally *tally, unsigned minimum)
{
    *figures = (struct breaker_figures){.calls = saturate(tally->calls),
                                        .failed = saturate(tally->failed),
                                        .slow = saturate(tally->slow),
                                        .failure_rate = -1,
                                        .slow_rate = -1};
    if (tally->calls == 0 || tally->calls < minimum)
        return;
    figures->failure_rate = 100 * (double)tally->failed / (double)tally->calls;
    figures->slow_rate = 100 * (double)tally->slow / (double)tally->calls;
}

void breaker_figures(const struct breaker *breaker, usec_t now, struct breaker_figures *ret)
{
    struct tally tally = {0};

    if (!breaker) {
        set_figures(ret, &tally, 1);
    } else if (breaker_state(breaker, now) == BREAKER_HALF_OPEN) {
        /* One whose time is over has made no trial call yet. */
        set_figures(ret, breaker->state == BREAKER_HALF_OPEN ? &breaker->trial : &tally,
                    breaker->config->half_open);
    } else if (breaker->opened_by_trial) {
        set_figures(ret, &breaker->trial, breaker->config->half_open);
    } else {
        tally = window_tally(breaker->window, now);
        set_figures(ret, &tally, minimum_of_window(breaker->config));
    }
}

/* --- from process to process ------------------------------------------------------------------------------
 */

static void set_integer(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX)));
}

json_t *breaker_export(const struct breaker *breaker, usec_t now)
{
    if (!breaker)
        return json_null();
    const enum breaker_state state = breaker_state(breaker, now);
    json_t *document = json_object();
    json_object_set_new(document, "state", json_string(breaker_state_to_string(state)));
    if (state == BREAKER_OPENED)
        set_integer(document, "left_usec", usec_sub(breaker->opened_until, now));
    if (state == BREAKER_CLOSED) {
        const struct tally tally = window_tally(breaker->window, now);
        set_integer(document, "calls", tally.calls);
        set_integer(document, "failed", tally.failed);
        set_integer(document, "slow", tally.slow);
        set_integer(document, "age_sec", window_age(breaker->window, now));
    }
    return document;
}

/* False, and *ret untouched, when there is no such number. */
static bool get_integer(const json_t *document, const char *key, uint64_t *ret)
{
    const json_t *value = json_object_get(document, key);

    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret = (uint64_t)json_integer_value(value);
    return true;
}

static void import_closed(struct breaker *breaker, const json_t *document, usec_t now)
{
    struct tally tally = {0};
    uint64_t age = 0;

    if (breaker->state != BREAKER_CLOSED)
        set_state(breaker, BREAKER_CLOSED, now);
    if (get_integer(document, "calls", &tally.calls) && get_integer(document, "failed", &tally.failed) &&
        get_integer(document, "slow", &tally.slow) && get_integer(document, "age_sec", &age))
        window_fill(breaker->window, &tally, age, now);
}

static void import_opened(struct breaker *breaker, const json_t *document, usec_t now)
{
    usec_t left;

    if (!get_integer(document, "left_usec", &left))
        return;
    set_state(breaker, BREAKER_OPENED, now);
    breaker->opened_until = usec_add(now, usec_min(left, breaker->config->open));
}

void breaker_import(struct breaker *breaker, const json_t *document, usec_t now)
{
    const char *state = json_string_value(json_object_get(document, "state"));

    if (!breaker || !state)
        return;
    if (streq(state, state_names[BREAKER_CLOSED]))
        import_closed(breaker, document, now);
    else if (streq(state, state_names[BREAKER_OPENED]))
        import_opened(breaker, document, now);
    else if (streq(state, state_names[BREAKER_HALF_OPEN]))
        set_state(breaker, BREAKER_HALF_OPEN, now);
}
