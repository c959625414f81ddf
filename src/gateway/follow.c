#include "gateway/root.h"

/* A process that dies closes its descriptors one by one: its record may still be locked when its channel has
 * ended. In so many rounds it is looked for. */
#define DEATH_ROUNDS 10

static void on_dead(void *userdata, const struct flight_death *death)
{
    struct gateway *gateway = userdata;
    record_predecessor_died(gateway->journal, death);
    gateway->crashes_found++;
    gateway->lineage.crashes++;
    if (!gateway->heir)
        gateway->origin = ORIGIN_CRASH;
}

/* Tells of generations that died, each once. */
void gateway_find_dead(struct gateway *gateway)
{
    flight_find_dead(gateway->plan.config->gateway.state_directory, on_dead, gateway);
}

struct state_parts gateway_state_parts(struct gateway *gateway)
{
    return (struct state_parts){
        .plan = &gateway->plan,
        .roster = gateway->roster,
        .rate_limits = gateway->rate_limits,
        .lineage = &gateway->lineage,
        .metrics = gateway->metrics,
    };
}

static void on_go(void *userdata)
{
    struct gateway *gateway = userdata;
    if (gateway->state == STATE_PREPARED)
        gateway_set_state(gateway, STATE_ACCEPTING);
}

static void on_lead(void *userdata, const json_t *document)
{
    struct gateway *gateway = userdata;
    if (gateway->state != STATE_UNLED)
        return;
    const struct state_parts parts = gateway_state_parts(gateway);
    state_import(&parts, document, STATE_UPSTREAMS | STATE_RATES | STATE_LINEAGE | STATE_METRICS);
    gateway->lineage.crashes += gateway->crashes_found; /* which the predecessor has not seen */
    gateway->lineage.reloads++;
    heir_times(gateway->heir, &gateway->lineage.last.start, &gateway->lineage.last.hand_over);
    gateway_set_state(gateway, STATE_SERVING);
}

static void on_disowned(void *userdata, const char *reason)
{
    struct gateway *gateway = userdata;
    journal_log(gateway->journal, EVENT_WARNING, "%s: this process ends", reason);
    if (gateway->state == STATE_ACCEPTING || gateway->state == STATE_UNLED) {
        gateway->stop_reason = reason; /* there may be requests already */
        gateway_set_state(gateway, STATE_DRAINING);
    } else if (gateway->state < STATE_SERVING) {
        gateway_end(gateway, EXIT_UNAVAILABLE);
    }
}

static json_t *describe_at_start(void *userdata)
{
    struct gateway *gateway = userdata;
    const struct state_parts parts = gateway_state_parts(gateway);
    return state_export(&parts, gateway->generation,
                        STATE_TLS | STATE_RATE_SECRET | STATE_UPSTREAMS | STATE_LINEAGE);
}

static json_t *describe_at_lead(void *userdata)
{
    struct gateway *gateway = userdata;
    const struct state_parts parts = gateway_state_parts(gateway);
    return state_export(&parts, gateway->generation,
                        STATE_UPSTREAMS | STATE_RATES | STATE_LINEAGE | STATE_METRICS);
}

/* What was counted since it was told last. */
json_t *gateway_describe_counters(struct gateway *gateway)
{
    const struct state_parts parts = gateway_state_parts(gateway);
    return state_export(&parts, gateway->generation, STATE_METRICS);
}

static void on_replaced(void *userdata, uint64_t generation)
{
    struct gateway *gateway = userdata;
    gateway->replaced = true;
    gateway->stop_reason = "replaced";
    control_retire(gateway->control);
    gateway_follow_wanted(gateway);
    gateway_set_state(gateway, STATE_DRAINING);
}

static void on_orphaned(void *userdata, bool orderly)
{
    struct gateway *gateway = userdata;
    gateway->orphaned = !orderly;
    if (gateway->state != STATE_DRAINING)
        return;
    stop_end_taking(&gateway->stop);
    journal_log(gateway->journal, EVENT_MESSAGE,
                "the generation that replaced this one has %s: idle connections cannot go to it any more",
                orderly ? "ended" : "died");
    if (gateway->told_to_stop && gateway->orphaned)
        stop_shorten(&gateway->stop, ORPHAN_GRACE);
}

static void on_reload_failed(void *userdata, const char *reason)
{
    struct gateway *gateway = userdata;
    gateway->lineage.reloads_failed++;
    gateway->orphaned = notify_is_silent(gateway->notify);
    gateway_find_dead(gateway); /* the successor may have left something behind */
}

static void on_moved(void *userdata)
{
    struct gateway *gateway = userdata;
    gateway->lineage.moved++;
}

static void on_counters(void *userdata, const json_t *document)
{
    const struct state_parts parts = gateway_state_parts(userdata);
    state_import(&parts, document, STATE_METRICS);
}

static void on_ancestor_end(void *userdata, const struct ancestor *ancestor)
{
    struct gateway *gateway = userdata;
    gateway->lineage.closed += ancestor->not_moved;
    if (ancestor->farewell) {
        record_predecessor_ended(gateway->journal, ancestor->generation, ancestor->answered, ancestor->cut);
        return;
    }
    gateway->death_rounds = DEATH_ROUNDS;
    gateway_find_dead(gateway);
}

/* Who waits for a reload. */
struct reload_waiting {
    admin_reload_done done;
    void *userdata;
};

static void on_reload_done(void *userdata, const struct succession_outcome *outcome)
{
    struct reload_waiting *waiting = userdata;
    const struct admin_reload result = {
        .generation = outcome->generation,
        .reason = outcome->reason,
        .start = outcome->times.start,
        .hand_over = outcome->times.hand_over,
    };
    waiting->done(waiting->userdata, &result);
    free(waiting);
}

int gateway_begin_reload(void *userdata, admin_reload_done done, void *done_userdata, struct strbuf *error)
{
    struct gateway *gateway = userdata;
    if (gateway->state != STATE_SERVING) {
        strbuf_addf(error, "the gateway is %s",
                    gateway->state == STATE_DRAINING ? "draining" : "still starting");
        return -EBUSY;
    }
    struct reload_waiting *waiting = xcalloc(1, sizeof(*waiting));
    *waiting = (struct reload_waiting){done, done_userdata};
    const int r = succession_reload(gateway->succession, on_reload_done, waiting, error);
    if (r < 0)
        free(waiting);
    return r;
}

void gateway_build_succession(struct gateway *gateway)
{
    const struct succession_options options = {
        .loop = gateway->loop,
        .config = gateway->plan.config,
        .journal = gateway->journal,
        .notify = gateway->notify,
        .descriptors = gateway->descriptors,
        .crew = gateway->crew,
        .heir = gateway->heir,
        .generation = gateway->generation,
        .on_go = on_go,
        .on_lead = on_lead,
        .on_disowned = on_disowned,
        .next_generation = gateway_next_generation,
        .at_start = describe_at_start,
        .at_lead = describe_at_lead,
        .on_replaced = on_replaced,
        .on_orphaned = on_orphaned,
        .on_failed = on_reload_failed,
        .on_moved = on_moved,
        .on_counters = on_counters,
        .on_ancestor_end = on_ancestor_end,
        .userdata = gateway,
    };
    gateway->succession = succession_new(&options);
}
