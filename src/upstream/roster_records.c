/* What the journal is told of targets: changes only. */

#include "journal/fields.h"
#include "upstream/roster_internal.h"

static void begin(struct journal_record *record, enum journal_event event,
                  const struct roster_upstream *upstream, const struct target_config *target)
{
    journal_begin(record, event);
    journal_add_string(record, FIELD_UPSTREAM, upstream->config->name);
    if (target)
        journal_add_string(record, FIELD_TARGET, target->address.text);
}

void roster_tell_observed(struct roster *roster, const struct roster_upstream *upstream,
                          const struct target_config *target, enum observed observed, const char *why)
{
    struct journal_record record;
    const bool up = observed == OBSERVED_UP;

    begin(&record, up ? EVENT_UPSTREAM_UP : EVENT_UPSTREAM_DOWN, upstream, target);
    if (!up && why)
        journal_add_string(&record, FIELD_REASON, why);
    journal_send(roster->options.journal, &record, "upstream %s: target %s is %s%s%s", upstream->config->name,
                 target->address.text, up ? "up again" : "down", !up && why ? ": " : "",
                 !up && why ? why : "");
}

void roster_tell_breaker(struct roster *roster, const struct roster_upstream *upstream,
                         const struct target_config *target, enum breaker_state state,
                         const struct breaker_figures *figures)
{
    struct journal_record record;

    begin(&record, EVENT_BREAKER, upstream, target);
    if (state == BREAKER_CLOSED)
        record.priority = LOG_NOTICE;
    journal_add_string(&record, FIELD_BREAKER, breaker_state_to_string(state));
    if (state == BREAKER_OPENED && figures)
        journal_send(roster->options.journal, &record,
                     "upstream %s: the breaker of target %s is open: of %u calls %u failed and %u were slow",
                     upstream->config->name, target->address.text, figures->calls, figures->failed,
                     figures->slow);
    else
        journal_send(roster->options.journal, &record, "upstream %s: the breaker of target %s is %s",
                     upstream->config->name, target->address.text, breaker_state_to_string(state));
}

void roster_tell_come(struct roster *roster, const struct roster_upstream *upstream,
                      const struct roster_target *target, bool come)
{
    struct journal_record record;

    if (atomic_load(&roster->importing))
        return;
    begin(&record, come ? EVENT_TARGET_COME : EVENT_TARGET_GONE, upstream, &target->config);
    journal_send(roster->options.journal, &record, "upstream %s: target %s has %s (%s%s%s)",
                 upstream->config->name, target->config.address.text, come ? "come" : "gone",
                 target_origin_to_string(target->origin), target->of ? " from " : "",
                 target->of ? target->of->address.text : "");
}

void roster_tell_ready(struct roster *roster, const struct roster_upstream *upstream, bool ready,
                       usec_t duration)
{
    struct journal_record record;
    const unsigned held = atomic_load(&upstream->held);

    begin(&record, ready ? EVENT_UPSTREAM_READY : EVENT_UPSTREAM_UNREADY, upstream, NULL);
    if (ready) {
        journal_add_u64(&record, FIELD_DURATION_USEC, duration);
        journal_add_u64(&record, FIELD_HELD, held);
        journal_send(roster->options.journal, &record,
                     "upstream %s: a target is ready again after %llums, %u request%s",
                     upstream->config->name, (unsigned long long)(duration / USEC_PER_MSEC), held,
                     held == 1 ? " waits" : "s wait");
    } else {
        journal_send(roster->options.journal, &record, "upstream %s: no target is ready, requests %s",
                     upstream->config->name, upstream->config->hold > 0 ? "wait" : "are answered with 503");
    }
}
