#include "gateway/records.h"

#include <inttypes.h>

#include "journal/fields.h"
#include "util/parse.h"

void record_start(struct journal *journal, uint64_t generation)
{
    struct journal_record record;
    journal_begin(&record, EVENT_START);
    journal_add_string(&record, FIELD_VERSION, HOLDFAST_VERSION);
    journal_add_u64(&record, FIELD_PID, (uint64_t)getpid());
    journal_send(journal, &record, "holdfastd " HOLDFAST_VERSION " starting, generation %" PRIu64,
                 generation);
}

void record_check(struct journal *journal, const struct check_result *result)
{
    const struct check_config *check = result->check;
    struct journal_record record;
    journal_begin(&record, result->passed ? EVENT_CHECK_PASSED : EVENT_CHECK_FAILED);
    if (!result->passed && !check->required)
        record.priority = LOG_WARNING;
    journal_add_string(&record, FIELD_CHECK, check->name);
    journal_add_string(&record, FIELD_TARGET, check->target);
    journal_add_u64(&record, FIELD_TRIES, result->tries);
    journal_add_u64(&record, FIELD_DURATION_USEC, result->duration);
    if (result->passed) {
        journal_send(journal, &record, "check %s passed", check->name);
        return;
    }
    journal_add_string(&record, FIELD_REASON, result->reason);
    journal_send(journal, &record, "check %s failed%s: %s: %s", check->name,
                 check->required ? "" : ", which is not required", check->target, result->reason);
}

void record_ready(struct journal *journal, const struct plan *plan, usec_t duration)
{
    const struct config *config = plan->config;
    _cleanup_strbuf_ struct strbuf parts = STRBUF_INIT;
    plan_describe(plan, &parts);

    struct journal_record record;
    journal_begin(&record, EVENT_READY);
    journal_add_u64(&record, FIELD_LISTENERS, config->n_listeners);
    journal_add_u64(&record, FIELD_ROUTES, config->n_routes);
    journal_add_u64(&record, FIELD_UPSTREAMS, config->n_upstreams);
    journal_add_u64(&record, FIELD_WORKERS, config->gateway.threads);
    journal_add_u64(&record, FIELD_DURATION_USEC, duration);
    char text[FORMAT_DURATION_MAX];
    journal_send(journal, &record, "ready after %s: %s",
                 format_duration(text, duration / USEC_PER_MSEC * USEC_PER_MSEC), strbuf_string(&parts));
}

void record_wedged(struct journal *journal, size_t worker)
{
    struct journal_record record;
    journal_begin(&record, EVENT_WORKER_WEDGED);
    journal_add_u64(&record, FIELD_WORKER, worker);
    journal_send(journal, &record, "worker %zu does not turn: the watchdog is not fed", worker);
}

void record_predecessor_died(struct journal *journal, const struct flight_death *death)
{
    struct journal_record record;
    journal_begin(&record, EVENT_PREDECESSOR_DIED);
    journal_add_u64(&record, FIELD_PREDECESSOR, death->generation);
    if (!death->readable) {
        journal_send(journal, &record,
                     "generation %" PRIu64
                     " ended without a word; the record of what it had in flight is damaged",
                     death->generation);
        return;
    }
    journal_add_u64(&record, FIELD_IN_FLIGHT, death->requests);
    journal_add_u64(&record, FIELD_CONNECTIONS, death->connections);
    journal_send(journal, &record,
                 "generation %" PRIu64 " (PID %" PRIu64 ") ended without a word (%s): %" PRIu64
                 " request%s in flight on %" PRIu64 " connection%s%s",
                 death->generation, death->pid,
                 death->rebooted ? "a power failure or a reset: the system has been started since"
                                 : "a crash or a kill",
                 death->requests, death->requests == 1 ? "" : "s", death->connections,
                 death->connections == 1 ? "" : "s", death->rebooted ? ", as the disk had it last" : "");
}

void record_stop(struct journal *journal, const struct metrics *metrics)
{
    struct metrics_own_totals totals;
    metrics_own_totals(metrics, &totals);
    struct journal_record record;
    journal_begin(&record, EVENT_STOP);
    journal_add_u64(&record, FIELD_REQUESTS, totals.requests);
    journal_add_u64(&record, FIELD_CUT, totals.cut);
    journal_add_u64(&record, FIELD_RECORDS_LOST, journal_dropped(journal));
    journal_send(journal, &record, "stopped: %" PRIu64 " request%s answered, %" PRIu64 " cut",
                 totals.requests, totals.requests == 1 ? "" : "s", totals.cut);
}

static const char *milliseconds(char text[FORMAT_DURATION_MAX], usec_t t)
{
    return format_duration(text, t / USEC_PER_MSEC * USEC_PER_MSEC);
}

void record_reload(struct journal *journal, uint64_t successor)
{
    struct journal_record record;
    journal_begin(&record, EVENT_RELOAD);
    journal_add_u64(&record, FIELD_SUCCESSOR, successor);
    journal_send(journal, &record, "reload: starting generation %" PRIu64, successor);
}

void record_reload_failed(struct journal *journal, uint64_t successor, const char *reason)
{
    /* The successor has written a record for each; here the first stands for them. */
    const size_t first = strcspn(reason, "\n");
    size_t more = 0;
    for (const char *p = reason + first; *p; p++)
        more += *p == '\n';
    struct journal_record record;
    journal_begin(&record, EVENT_RELOAD_FAILED);
    journal_add_u64(&record, FIELD_SUCCESSOR, successor);
    journal_add_string(&record, FIELD_REASON, reason);
    if (more == 0)
        journal_send(journal, &record, "reload failed, this generation serves on: %s", reason);
    else
        journal_send(journal, &record, "reload failed, this generation serves on: %.*s (and %zu more)",
                     (int)first, reason, more);
}

void record_replaced(struct journal *journal, uint64_t successor, pid_t pid, const struct reload_times *times)
{
    char start[FORMAT_DURATION_MAX], hand_over[FORMAT_DURATION_MAX];
    struct journal_record record;
    journal_begin(&record, EVENT_REPLACED);
    journal_add_u64(&record, FIELD_SUCCESSOR, successor);
    journal_add_u64(&record, FIELD_SUCCESSOR_PID, (uint64_t)pid);
    journal_add_u64(&record, FIELD_START_USEC, times->start);
    journal_add_u64(&record, FIELD_HAND_OVER_USEC, times->hand_over);
    journal_send(journal, &record,
                 "replaced by generation %" PRIu64 " (PID %d), ready after %s, leading %s later", successor,
                 (int)pid, milliseconds(start, times->start), milliseconds(hand_over, times->hand_over));
}

void record_took_over(struct journal *journal, uint64_t predecessor, usec_t duration)
{
    char text[FORMAT_DURATION_MAX];
    struct journal_record record;
    journal_begin(&record, EVENT_TOOK_OVER);
    journal_add_u64(&record, FIELD_PREDECESSOR, predecessor);
    journal_add_u64(&record, FIELD_DURATION_USEC, duration);
    journal_send(journal, &record, "took over from generation %" PRIu64 " after %s", predecessor,
                 milliseconds(text, duration));
}

void record_predecessor_ended(struct journal *journal, uint64_t predecessor, uint64_t answered, uint64_t cut)
{
    struct journal_record record;
    journal_begin(&record, EVENT_PREDECESSOR_ENDED);
    journal_add_u64(&record, FIELD_PREDECESSOR, predecessor);
    journal_add_u64(&record, FIELD_REQUESTS, answered);
    journal_add_u64(&record, FIELD_CUT, cut);
    journal_send(journal, &record,
                 "generation %" PRIu64 " has ended: %" PRIu64 " request%s answered, %" PRIu64 " cut",
                 predecessor, answered, answered == 1 ? "" : "s", cut);
}

void record_parked(struct journal *journal, uint64_t parked, uint64_t closed)
{
    struct journal_record record;
    journal_begin(&record, EVENT_PARKED);
    if (closed > 0)
        record.priority = LOG_WARNING;
    journal_add_u64(&record, FIELD_MOVED, parked);
    journal_add_u64(&record, FIELD_NOT_MOVED, closed);
    if (closed == 0)
        journal_send(journal, &record, "restart: %" PRIu64 " idle connection%s parked for the next process",
                     parked, parked == 1 ? "" : "s");
    else
        journal_send(journal, &record,
                     "restart: %" PRIu64 " idle connection%s parked for the next process, %" PRIu64
                     " closed for want of room",
                     parked, parked == 1 ? "" : "s", closed);
}

void record_taken_back(struct journal *journal, uint64_t n)
{
    struct journal_record record;
    journal_begin(&record, EVENT_TAKEN_BACK);
    journal_add_u64(&record, FIELD_MOVED, n);
    journal_send(journal, &record, "took back %" PRIu64 " parked connection%s", n, n == 1 ? "" : "s");
}
