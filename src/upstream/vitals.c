#include "upstream/vitals.h"

static const char *const observed_names[_OBSERVED_MAX] = {
    [OBSERVED_UNKNOWN] = "unknown",
    [OBSERVED_UP] = "up",
    [OBSERVED_DOWN] = "down",
};

const char *observed_to_string(enum observed observed)
{
    assert(observed < _OBSERVED_MAX);
    return observed_names[observed];
}

static bool has_checks(const struct vitals *vitals)
{
    return vitals->config->check != HEALTH_CHECK_OFF;
}

void vitals_init(struct vitals *vitals, const struct health_config *config, uint64_t seed, usec_t now)
{
    *vitals = (struct vitals){
        .config = config,
        .seed = seed,
        .start_until = usec_add(now, config->start_period),
        .last_check = now,
        .look_at = config->check != HEALTH_CHECK_OFF ? now : USEC_INFINITY,
    };
}

enum observed vitals_observed(const struct vitals *vitals)
{
    return vitals->observed;
}

bool vitals_is_steady(const struct vitals *vitals)
{
    return vitals->observed == OBSERVED_UP && vitals->failures == 0;
}

/* --- what it is -------------------------------------------------------------------------------------------
 */

static bool go_up(struct vitals *vitals)
{
    if (vitals->observed == OBSERVED_UP)
        return false;
    vitals->observed = OBSERVED_UP;
    vitals->by_checks = false;
    vitals->failures = 0;
    if (!has_checks(vitals))
        vitals->look_at = USEC_INFINITY;
    return true;
}

static bool go_down(struct vitals *vitals, bool by_checks, usec_t now)
{
    vitals->by_checks |= by_checks;
    if (vitals->observed == OBSERVED_DOWN)
        return false;
    vitals->observed = OBSERVED_DOWN;
    vitals->passed = vitals->failures = 0;
    vitals->looks = 0;
    vitals->went_down = now;
    return true;
}

/* Counts one up and says whether that makes `enough`. */
static bool count_to(unsigned *count, unsigned enough)
{
    if (*count < UINT32_MAX)
        (*count)++;
    return *count >= enough;
}

static bool check_passed(struct vitals *vitals)
{
    vitals->failed = vitals->failures = 0;
    if (vitals->observed == OBSERVED_UP)
        return false;
    return count_to(&vitals->passed, has_checks(vitals) ? vitals->config->rise : 1) && go_up(vitals);
}

static bool check_failed(struct vitals *vitals, usec_t now)
{
    vitals->passed = 0;
    if (!has_checks(vitals) || now < vitals->start_until)
        return false;
    return count_to(&vitals->failed, vitals->config->fall) && go_down(vitals, true, now);
}

bool vitals_check(struct vitals *vitals, bool passed, usec_t now)
{
    vitals->checking = false;
    return passed ? check_passed(vitals) : check_failed(vitals, now);
}

static bool request_answered(struct vitals *vitals)
{
    vitals->failures = 0;
    return !vitals->by_checks && go_up(vitals);
}

static bool request_failed(struct vitals *vitals, bool refused, usec_t now)
{
    if (vitals->config->max_failures == 0 || vitals->observed == OBSERVED_DOWN)
        return false;
    const bool enough = count_to(&vitals->failures, vitals->config->max_failures);
    return (enough || refused) && go_down(vitals, false, now);
}

bool vitals_request(struct vitals *vitals, bool answered, bool refused, usec_t now)
{
    return answered ? request_answered(vitals) : request_failed(vitals, refused, now);
}

bool vitals_went_down_since(const struct vitals *vitals, usec_t when)
{
    return vitals->observed == OBSERVED_DOWN && vitals->went_down > when;
}

/* --- when to look -----------------------------------------------------------------------------------------
 */

/* The splitmix64 generator: any two numbers give unrelated ones. */
static uint64_t scramble(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The interval, give or take a tenth. */
static usec_t interval_with_jitter(const struct vitals *vitals)
{
    const usec_t tenth = vitals->config->interval / 10;
    const uint64_t drawn = scramble(vitals->seed ^ scramble(vitals->n_checks));
    return usec_add(vitals->config->interval - tenth, drawn % (2 * tenth + 1));
}

static usec_t doubled(usec_t first, unsigned times, usec_t maximum)
{
    return times < 16 ? usec_min(first << times, maximum) : maximum;
}

usec_t vitals_next_check(const struct vitals *vitals, bool waiting)
{
    const bool down = vitals->observed == OBSERVED_DOWN;

    if (vitals->checking || (!has_checks(vitals) && !down))
        return USEC_INFINITY;
    usec_t next = vitals->look_at;
    if (has_checks(vitals))
        next = usec_min(next, usec_add(vitals->last_check, interval_with_jitter(vitals)));
    if (!down)
        return next;
    const usec_t since = MAX(vitals->last_check, vitals->went_down);
    if (!has_checks(vitals))
        next =
            usec_min(next, usec_add(since, doubled(VITALS_RECHECK_MIN, vitals->looks, VITALS_RECHECK_MAX)));
    if (waiting)
        next =
            usec_min(next, usec_add(since, doubled(VITALS_WAITING_MIN, vitals->looks, VITALS_WAITING_MAX)));
    return next;
}

void vitals_check_begun(struct vitals *vitals, usec_t now)
{
    vitals->checking = true;
    vitals->last_check = now;
    vitals->n_checks++;
    if (vitals->look_at != USEC_INFINITY)
        vitals->look_at = USEC_INFINITY;
    else if (vitals->looks < UINT32_MAX)
        vitals->looks++;
}

void vitals_look_soon(struct vitals *vitals, usec_t now)
{
    if (!has_checks(vitals) && vitals->observed != OBSERVED_DOWN)
        return;
    vitals->look_at = now;
    vitals->looks = 0;
}

/* --- from process to process ------------------------------------------------------------------------------
 */

json_t *vitals_export(const struct vitals *vitals)
{
    json_t *document = json_object();

    json_object_set_new(document, "observed", json_string(observed_to_string(vitals->observed)));
    if (vitals->observed == OBSERVED_DOWN)
        json_object_set_new(document, "by", json_string(vitals->by_checks ? "checks" : "requests"));
    return document;
}

void vitals_import(struct vitals *vitals, const json_t *document, usec_t now)
{
    const char *observed = json_string_value(json_object_get(document, "observed"));
    const char *by = json_string_value(json_object_get(document, "by"));

    if (!observed)
        return;
    if (streq(observed, observed_names[OBSERVED_UP])) {
        vitals->failed = 0;
        (void)go_up(vitals);
    } else if (streq(observed, observed_names[OBSERVED_DOWN])) {
        /* Checks that are made no more have no say. */
        (void)go_down(vitals, by && streq(by, "checks") && has_checks(vitals), now);
    }
}
