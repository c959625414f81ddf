#include "gateway/stop.h"

#include "journal/fields.h"
#include "lifecycle/bus.h"
#include "util/parse.h"

/* What systemd grants a unit that does not say (DefaultTimeoutStopSec=), for when it cannot be asked. */
#define TIMEOUT_STOP_DEFAULT (90 * USEC_PER_SEC)

#define TIME_LEFT_MAX (FORMAT_DURATION_MAX + 8)

/* How soon it is noticed that the last connection is gone. */
#define REPEAT_INTERVAL (5 * USEC_PER_SEC) /* of progress that is none */
#define LOOK_INTERVAL (10 * USEC_PER_MSEC)

static bool under_systemd(void)
{
    return getenv("NOTIFY_SOCKET") != NULL;
}

static usec_t ask_timeout_stop(const struct stop *stop)
{
    if (!under_systemd())
        return USEC_INFINITY;
    usec_t timeout;
    const int r = bus_timeout_stop(&timeout);
    if (r == 0)
        return timeout;
    journal_log(stop->journal, EVENT_WARNING,
                "cannot ask systemd for TimeoutStopSec= (%s), assuming the default of 90s",
                strerrordesc_np(-r));
    return TIMEOUT_STOP_DEFAULT;
}

/* For people, whom the microseconds of a deadline do not help. */
static const char *describe_time_left(usec_t left, char buffer[TIME_LEFT_MAX])
{
    if (left == USEC_INFINITY)
        return "no time limit";
    char duration[FORMAT_DURATION_MAX];
    const usec_t unit = left >= 10 * USEC_PER_SEC ? USEC_PER_SEC : 100 * USEC_PER_MSEC;
    snprintf(buffer, TIME_LEFT_MAX, "%s left", format_duration(duration, (left + unit / 2) / unit * unit));
    return buffer;
}

static void add_load(struct journal_record *record, const struct crew_state *crew)
{
    journal_add_u64(record, FIELD_IN_FLIGHT, crew->requests);
    journal_add_u64(record, FIELD_CONNECTIONS, crew->connections);
}

static void tell_begin(struct stop *stop, const char *why, const struct crew_state *crew, usec_t budget)
{
    char text[TIME_LEFT_MAX];
    struct journal_record record;
    journal_begin(&record, EVENT_DRAIN_BEGIN);
    add_load(&record, crew);
    if (budget != USEC_INFINITY)
        journal_add_u64(&record, FIELD_DEADLINE_USEC, budget);
    journal_send(stop->journal, &record, "%s: draining %zu request%s on %zu connection%s, %s", why,
                 crew->requests, crew->requests == 1 ? "" : "s", crew->connections,
                 crew->connections == 1 ? "" : "s", describe_time_left(budget, text));
    stop->told_requests = crew->requests;
    stop->told_connections = crew->connections;
    stop->told_at = now_monotonic();
}

static usec_t begin(struct stop *stop, const char *why)
{
    const usec_t began = now_monotonic();
    stop->timeout_stop = ask_timeout_stop(stop);
    const usec_t budget = drain_budget(stop->config->gateway.drain, stop->timeout_stop);
    drain_begin(&stop->drain, began, budget, stop->timeout_stop);
    tell_begin(stop, why, crew_look(stop->crew), budget);
    return budget;
}

/* Connections must not be open to further requests when what runs is cut. */
static usec_t quiet_time(const struct stop *stop, usec_t budget)
{
    return usec_min(stop->config->gateway.quiet, budget / 2);
}

void stop_begin(struct stop *stop, const char *why)
{
    const usec_t budget = begin(stop, why);
    crew_drain(stop->crew, quiet_time(stop, budget));
}

void stop_begin_restart(struct stop *stop, const char *why, const struct stop_taker *taker)
{
    stop->taker = *taker;
    const usec_t budget = begin(stop, why);
    crew_give_away(stop->crew, quiet_time(stop, budget), taker->take, taker->userdata);
}

void stop_begin_replaced(struct stop *stop, const char *why, const struct stop_taker *taker)
{
    stop->taker = *taker;
    crew_give_away(stop->crew, USEC_INFINITY, taker->take,
                   taker->userdata); /* first of all: it waits for nothing */
    begin(stop, why);
    drain_keep_idle(&stop->drain);
}

static void end_idle(struct stop *stop, usec_t now)
{
    const usec_t quiet = quiet_time(stop, usec_sub(stop->drain.deadline, now));
    if (stop->taker.take)
        crew_give_away(stop->crew, quiet, stop->taker.take, stop->taker.userdata);
    else
        crew_drain(stop->crew, quiet);
}

void stop_end_taking(struct stop *stop)
{
    stop->taker.take = NULL;
    stop->drain.idle_end = USEC_INFINITY;
    end_idle(stop, now_monotonic());
}

void stop_shorten(struct stop *stop, usec_t budget)
{
    if (stop->drain.phase != DRAIN_RUNNING)
        return;
    const usec_t now = now_monotonic();
    if (budget == USEC_INFINITY)
        budget = drain_budget(stop->config->gateway.drain, stop->timeout_stop);
    stop->drain.deadline = usec_min(stop->drain.deadline, usec_add(now, budget));
    stop->drain.idle_end = USEC_INFINITY;
    end_idle(stop, now);
}

void stop_shorten_to_timeout(struct stop *stop)
{
    stop_shorten(stop, drain_budget(USEC_INFINITY, stop->timeout_stop));
}

void stop_hasten(struct stop *stop)
{
    if (stop->drain.phase == DRAIN_RUNNING)
        stop->drain.deadline = 0;
}

static void tell_progress(struct stop *stop, const struct crew_state *crew, usec_t now)
{
    if (crew->requests == stop->told_requests && crew->connections == stop->told_connections &&
        now - stop->told_at < REPEAT_INTERVAL)
        return;
    struct journal_record record;
    journal_begin(&record, EVENT_DRAIN_PROGRESS);
    add_load(&record, crew);
    const usec_t left = stop_time_left(stop, now);
    if (left != USEC_INFINITY)
        journal_add_u64(&record, FIELD_DEADLINE_USEC, left);
    char text[TIME_LEFT_MAX];
    journal_send(stop->journal, &record, "draining: %zu request%s on %zu connection%s, %s", crew->requests,
                 crew->requests == 1 ? "" : "s", crew->connections, crew->connections == 1 ? "" : "s",
                 describe_time_left(left, text));
    stop->told_requests = crew->requests;
    stop->told_connections = crew->connections;
    stop->told_at = now_monotonic();
}

static void tell_end(struct stop *stop, const struct crew_state *crew, usec_t now)
{
    char text[FORMAT_DURATION_MAX];
    const usec_t duration = usec_sub(now, stop->drain.began);
    struct journal_record record;
    journal_begin(&record, EVENT_DRAIN_END);
    journal_add_u64(&record, FIELD_DURATION_USEC, duration);
    journal_add_u64(&record, FIELD_CUT, crew->cut);
    if (crew->cut > 0)
        record.priority = LOG_WARNING;
    journal_send(stop->journal, &record, "drained in %s, %zu request%s cut",
                 format_duration(text, duration / USEC_PER_MSEC * USEC_PER_MSEC), crew->cut,
                 crew->cut == 1 ? "" : "s");
}

/* A worker without connections may have given them away a moment ago, and they may come back. */
static bool is_empty(struct stop *stop)
{
    const struct crew_state *crew = crew_look(stop->crew);
    if (crew->n_drained == crew->n_workers && stop->taker.flush) {
        stop->taker.flush(stop->taker.userdata);
        crew = crew_look(stop->crew);
    }
    return crew->n_drained == crew->n_workers;
}

usec_t stop_step(struct stop *stop)
{
    const usec_t now = now_monotonic();
    const bool empty = is_empty(stop);
    const struct crew_state *crew = crew_look(stop->crew);
    struct drain_actions actions;
    const usec_t next = drain_step(&stop->drain, now, empty, &actions);

    if (actions.extend)
        notify_extend_timeout(stop->notify, stop->drain.extend_by);
    if (actions.log_progress)
        tell_progress(stop, crew, now);
    if (actions.end_idle)
        end_idle(stop, now);
    if (actions.cut)
        crew_cut(stop->crew);
    if (actions.done) {
        tell_end(stop, crew, now);
        return 0;
    }
    return usec_min(next, now + LOOK_INTERVAL);
}

usec_t stop_time_left(const struct stop *stop, usec_t now)
{
    return usec_sub(stop->drain.deadline, now);
}

void stop_describe(const struct stop *stop, usec_t now, struct strbuf *out)
{
    const struct crew_state *crew = crew_look(stop->crew);
    char left[TIME_LEFT_MAX];
    strbuf_addf(out, "draining: %zu request%s in flight, %zu connection%s, %s", crew->requests,
                crew->requests == 1 ? "" : "s", crew->connections, crew->connections == 1 ? "" : "s",
                describe_time_left(stop_time_left(stop, now), left));
}
