/* Any sequence of calls, checks and pauses against a breaker, the vitals of its target and a retry budget:
 * states change along their edges only, a trial never has more calls than it may, no budget is exceeded, and
 * when all is well for long enough, all recovers. Any document may come from another process on the way.
 *
 * The first bytes are the configuration; then each pair is what happens, and how much of it. */

#include "upstream/breaker.h"
#include "upstream/budget.h"
#include "upstream/vitals.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS_MAX 64
#define CONFIG_SIZE 12

enum operation {
    OP_CALL,
    OP_SUCCEED,
    OP_FAIL,
    OP_SLOW,
    OP_RELEASE,
    OP_PASS_TIME,
    OP_JUMP,
    OP_CHECK,
    OP_REQUEST,
    OP_BUDGET,
    OP_HAND_OVER,
    OP_IMPORT,
    OP_LOOK_SOON,
    OP_RESET,
    _OP_MAX,
};

struct world {
    struct breaker_config breaker_config;
    struct health_config health_config;
    struct breaker *breaker;
    struct vitals vitals;
    struct budget budget;
    usec_t now;
    uint32_t calls[CALLS_MAX]; /* their epochs */
    size_t n_calls;
    enum breaker_state state;
    usec_t opened_until;
    uint32_t trial;   /* the epoch of the trial that was last seen */
    unsigned n_trial; /* its calls, less those that were released */
};

static void begin(struct world *world, const uint8_t *c)
{
    world->now = (usec_t)c[0] << (c[1] % 56);
    world->breaker_config = (struct breaker_config){
        .window = c[2] % 2 ? BREAKER_TIME : BREAKER_COUNT,
        .size = 1 + (c[3] < 200 ? c[3] % 32 : c[3] * 10u),
        .minimum_calls = 1 + c[4] % 32,
        .failure_rate = 1 + c[5] % 100,
        .slow_rate = 1 + c[6] % 100,
        .slow_call = USEC_PER_SEC,
        .open = (1 + (usec_t)c[7]) << (c[7] % 32),
        .half_open = 1 + c[8] % 8,
    };
    world->health_config = (struct health_config){
        .check = c[9] % _HEALTH_CHECK_MAX,
        .interval = USEC_PER_MSEC << (c[9] / 8 % 32),
        .start_period = (usec_t)(c[10] % 4) * USEC_PER_SEC,
        .rise = 1 + c[10] / 4 % 4,
        .fall = 1 + c[10] / 16 % 4,
        .max_failures = c[11] % 4,
    };
    world->breaker = breaker_new(&world->breaker_config);
    vitals_init(&world->vitals, &world->health_config, c[0], world->now);
    budget_init(&world->budget, c[11] % 101, c[10] % 8, 1 + c[9] % 8, world->now);
}

/* --- breaker ----------------------------------------------------------------------------------------------
 */

static void check_breaker(struct world *world)
{
    const struct breaker *breaker = world->breaker;
    const enum breaker_state state = breaker_state(breaker, world->now);
    struct breaker_figures figures;

    /* Every edge but from closed to half open: that takes being open in between. */
    assert(world->state != BREAKER_CLOSED || state != BREAKER_HALF_OPEN);
    if (world->state == BREAKER_OPENED && state != BREAKER_OPENED)
        assert(state == BREAKER_HALF_OPEN && world->now >= world->opened_until);
    const usec_t next = breaker_next(breaker, world->now);
    assert((state == BREAKER_OPENED) == (next != USEC_INFINITY));
    if (state == BREAKER_OPENED) {
        assert(next > world->now && next - world->now <= world->breaker_config.open);
        assert(!breaker_may_permit(breaker, world->now));
        world->opened_until = next;
    }
    assert(state != BREAKER_CLOSED || breaker_may_permit(breaker, world->now));
    breaker_figures(breaker, world->now, &figures);
    assert(figures.failed <= figures.calls && figures.slow <= figures.calls);
    assert(figures.failure_rate >= -1 && figures.failure_rate <= 100);
    assert(figures.slow_rate >= -1 && figures.slow_rate <= 100);
    assert(state != BREAKER_HALF_OPEN || figures.calls < world->breaker_config.half_open);
    world->state = state;
}

static void begin_call(struct world *world)
{
    const bool may = breaker_may_permit(world->breaker, world->now);

    if (world->n_calls == CALLS_MAX)
        return;
    const bool permitted = breaker_permit(world->breaker, world->now);
    assert(permitted == may);
    if (!permitted)
        return;
    const uint32_t epoch = breaker_epoch(world->breaker);
    if (breaker_state(world->breaker, world->now) == BREAKER_HALF_OPEN) {
        if (world->trial != epoch)
            world->n_trial = 0;
        world->trial = epoch;
        world->n_trial++;
        assert(world->n_trial <= world->breaker_config.half_open);
    }
    world->calls[world->n_calls++] = epoch;
}

static uint32_t take_call(struct world *world, unsigned which)
{
    const size_t i = which % world->n_calls;
    const uint32_t epoch = world->calls[i];
    world->calls[i] = world->calls[--world->n_calls];
    return epoch;
}

static void record_call(struct world *world, unsigned which, bool failed, usec_t duration)
{
    if (world->n_calls == 0)
        return;
    const enum breaker_state before = breaker_state(world->breaker, world->now);
    const uint32_t current = breaker_epoch(world->breaker), epoch = take_call(world, which);
    const bool changed = breaker_record(world->breaker, epoch, failed, duration, world->now);
    const enum breaker_state after = breaker_state(world->breaker, world->now);
    assert(changed == (breaker_epoch(world->breaker) != current));
    assert(!changed || epoch == current);
    assert(changed == (before != after));
}

static void release_call(struct world *world, unsigned which)
{
    if (world->n_calls == 0)
        return;
    const uint32_t epoch = take_call(world, which);
    if (epoch == world->trial && epoch == breaker_epoch(world->breaker))
        world->n_trial--;
    breaker_release(world->breaker, epoch);
}

/* Another process goes on with it; the calls of this one are not its own. */
static void hand_over(struct world *world)
{
    json_t *document = breaker_export(world->breaker, world->now);
    struct breaker *next = breaker_new(&world->breaker_config);
    breaker_import(next, document, world->now);
    assert(breaker_state(next, world->now) == breaker_state(world->breaker, world->now));
    assert(breaker_next(next, world->now) == breaker_next(world->breaker, world->now));
    json_decref(document);
    breaker_free(world->breaker);
    world->breaker = next;
    world->n_calls = 0;
    world->trial = 0;

    document = vitals_export(&world->vitals);
    const enum observed observed = vitals_observed(&world->vitals);
    vitals_init(&world->vitals, &world->health_config, 1, world->now);
    vitals_import(&world->vitals, document, world->now);
    assert(vitals_observed(&world->vitals) == observed);
    json_decref(document);
}

/* Something like a document, with numbers of any size. */
static void import(struct world *world, unsigned argument)
{
    static const char *const words[] = {"open", "half-open", "closed", "up", "down", "unknown", "checks", ""};
    static const char *const sums[] = {"left_usec", "calls", "failed", "slow", "age_sec"};
    json_t *document = json_object();

    json_object_set_new(document, "state", json_string(words[argument % 8]));
    json_object_set_new(document, "observed", json_string(words[argument / 2 % 8]));
    json_object_set_new(document, "by", json_string(words[argument / 4 % 8]));
    for (unsigned i = 0; i < ARRAY_SIZE(sums); i++) {
        const unsigned shift = (argument * (i + 3)) % 67;
        const uint64_t value = shift < 64 ? (uint64_t)(argument | 1) << shift : 0;
        json_object_set_new(document, sums[i], shift == 66 ? json_real(1) : json_integer((json_int_t)value));
    }
    breaker_import(world->breaker, document, world->now);
    vitals_import(&world->vitals, document, world->now);
    json_decref(document);
    /* What comes from outside keeps to no edges. */
    world->state = breaker_state(world->breaker, world->now);
}

/* --- vitals -----------------------------------------------------------------------------------------------
 */

static void check_vitals(struct world *world, enum observed before, bool changed)
{
    const enum observed after = vitals_observed(&world->vitals);

    assert(changed == (before != after));
    assert(before == OBSERVED_UNKNOWN || after != OBSERVED_UNKNOWN);
    const usec_t next = vitals_next_check(&world->vitals, false);
    const usec_t next_waiting = vitals_next_check(&world->vitals, true);
    assert(next_waiting <= next);
    if (after == OBSERVED_DOWN) /* a target that is down is looked at */
        assert(next_waiting <= usec_add(world->now, VITALS_WAITING_MAX));
    else
        assert(next_waiting == next);
    if (world->health_config.check == HEALTH_CHECK_OFF)
        assert((next != USEC_INFINITY) == (after == OBSERVED_DOWN));
    else
        assert(next <= usec_add(world->now, world->health_config.interval / 10 * 11 + 10));
}

static void check_target(struct world *world, bool passed)
{
    const enum observed before = vitals_observed(&world->vitals);

    if (vitals_next_check(&world->vitals, false) == USEC_INFINITY)
        return;
    vitals_check_begun(&world->vitals, world->now);
    assert(vitals_next_check(&world->vitals, true) == USEC_INFINITY);
    check_vitals(world, before, vitals_check(&world->vitals, passed, world->now));
}

static void request(struct world *world, bool answered, bool refused)
{
    const enum observed before = vitals_observed(&world->vitals);
    const bool changed = vitals_request(&world->vitals, answered, refused, world->now);

    check_vitals(world, before, changed);
    if (world->health_config.max_failures == 0)
        assert(vitals_observed(&world->vitals) != OBSERVED_DOWN || before == OBSERVED_DOWN);
    else if (!answered && refused)
        assert(vitals_observed(&world->vitals) == OBSERVED_DOWN);
}

/* --- budget -----------------------------------------------------------------------------------------------
 */

static void spend(struct world *world, unsigned argument)
{
    struct budget *budget = &world->budget;
    uint64_t requests = 0, retries = 0;

    for (unsigned i = 0; i < argument; i++)
        budget_request(budget, world->now);
    const usec_t next = budget_next(budget, world->now);
    const bool taken = budget_take(budget, world->now);
    assert(taken == (next == world->now) && next >= world->now);
    for (unsigned i = 0; i < BUDGET_SECONDS; i++) {
        requests += budget->seconds[i].requests;
        retries += budget->seconds[i].retries;
    }
    if (taken)
        assert(retries <= requests * budget->percent / 100 + (uint64_t)budget->minimum * BUDGET_SECONDS);
    else if (next != USEC_INFINITY && budget->percent == 0) {
        struct budget later = *budget;
        const bool exact = !budget_take(&later, next - 1) && budget_take(&later, next);
        assert(exact);
    }
}

/* --- all --------------------------------------------------------------------------------------------------
 */

static void step(struct world *world, enum operation operation, unsigned argument)
{
    switch (operation) {
    case OP_CALL:
        for (unsigned i = 0; i <= argument % 16; i++)
            begin_call(world);
        return;
    case OP_SUCCEED:
        record_call(world, argument, false, argument);
        return;
    case OP_FAIL:
        record_call(world, argument, true, argument);
        return;
    case OP_SLOW:
        record_call(world, argument, argument & 1, USEC_PER_SEC + argument);
        return;
    case OP_RELEASE:
        release_call(world, argument);
        return;
    case OP_PASS_TIME:
        world->now = usec_min(usec_add(world->now, argument * USEC_PER_SEC / 16), USEC_INFINITY / 2);
        return;
    case OP_JUMP:
        world->now = usec_min(usec_add(world->now, UINT64_C(1) << (argument % 62)), USEC_INFINITY / 2);
        return;
    case OP_CHECK:
        check_target(world, argument & 1);
        return;
    case OP_REQUEST:
        request(world, argument & 1, argument & 2);
        return;
    case OP_BUDGET:
        spend(world, argument);
        return;
    case OP_HAND_OVER:
        hand_over(world);
        return;
    case OP_IMPORT:
        import(world, argument);
        return;
    case OP_LOOK_SOON:
        vitals_look_soon(&world->vitals, world->now);
        return;
    case OP_RESET:
        breaker_reset(world->breaker);
        world->state = BREAKER_CLOSED;
        return;
    default:
        WRONG("no such operation");
    }
}

/* When calls end, and go well, and time goes on, whatever was is over. */
static void recover(struct world *world)
{
    while (world->n_calls > 0)
        release_call(world, 0);
    for (unsigned i = 0; breaker_state(world->breaker, world->now) != BREAKER_CLOSED; i++) {
        assert(i < 20); /* eight trial calls and one wait suffice */
        world->now = usec_add(world->now, world->breaker_config.open);
        begin_call(world);
        record_call(world, 0, false, 0);
    }
    for (unsigned i = 0; vitals_observed(&world->vitals) == OBSERVED_DOWN; i++) {
        assert(i < 5);
        world->now = usec_add(world->now, VITALS_WAITING_MAX);
        assert(vitals_next_check(&world->vitals, true) <= world->now);
        check_target(world, true);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < CONFIG_SIZE)
        return 0;
    struct world world = {0};
    begin(&world, data);
    for (size_t i = CONFIG_SIZE; i + 1 < size; i += 2) {
        step(&world, data[i] % _OP_MAX, data[i + 1]);
        check_breaker(&world);
    }
    recover(&world);
    breaker_free(world.breaker);
    return 0;
}
