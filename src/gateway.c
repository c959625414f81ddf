#include "gateway.h"

#include <signal.h>

#include "gateway/root.h"
#include "gateway/tell.h"

/* How often the control thread has its round when nothing happens, and while it waits for the workers. */
#define ROUND_INTERVAL USEC_PER_SEC
#define ACCEPT_INTERVAL USEC_PER_MSEC

void gateway_end(struct gateway *gateway, int exit_status)
{
    gateway->exit_status = exit_status;
    gateway_set_state(gateway, STATE_ENDED);
}

static void set_status(struct gateway *gateway, const char *format, ...) _printf_(2, 3);
static void set_status(struct gateway *gateway, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(gateway->status, sizeof(gateway->status), format, args);
    va_end(args);
    notify_status(gateway->notify, now_monotonic(), "%s", gateway->status);
}

/* --- start ------------------------------------------------------------------------------------------------
 */

static void tell_fault(struct gateway *gateway)
{
    if (gateway->heir && gateway->fault.size > 0)
        heir_failed(gateway->heir, strbuf_string(&gateway->fault));
}

int gateway_new(struct gateway **ret, const struct gateway_options *options)
{
    struct gateway *gateway = xcalloc(1, sizeof(*gateway));
    gateway->descriptors = options->descriptors;
    gateway->began = now_monotonic();
    gateway->started_realtime = now_realtime();
    signals_block();
    server_prepare();
    const int prepared = gateway_prepare_descriptors(); /* before there is a thread */
    int r = journal_new(&gateway->journal, JOURNAL_AUTO);
    if (r < 0)
        fprintf(stderr, "holdfastd: cannot start the journal: %s\n", strerrordesc_np(-r));
    gateway->notify = notify_new();
    if (options->channel >= 0) {
        gateway->heir = heir_new(options->channel);
        gateway->origin = ORIGIN_RELOAD;
        notify_silence(gateway->notify, true); /* systemd listens to the predecessor */
    }
    if (prepared < 0)
        journal_log(gateway->journal, EVENT_WARNING, "cannot raise the limit of open files (%s), ignoring",
                    strerrordesc_np(-prepared));

    int status = gateway_load(gateway, options->config_file);
    if (status == 0) {
        gateway_take_generation(gateway);
        r = gateway_build(gateway);
        if (r < 0) {
            journal_log(gateway->journal, EVENT_WARNING, "cannot start: %s", strerrordesc_np(-r));
            strbuf_addf(&gateway->fault, "cannot start: %s", strerrordesc_np(-r));
            status = EXIT_SOFTWARE_ERROR;
        }
    }
    if (status != 0) {
        tell_fault(gateway);
        gateway_free(gateway);
        return status;
    }
    *ret = gateway;
    return 0;
}

/* --- checks -----------------------------------------------------------------------------------------------
 */

static void on_checks_done(void *userdata)
{
    struct gateway *gateway = userdata;
    if (gateway->state != STATE_CHECKING)
        return; /* told to stop meanwhile */
    size_t failed;
    const struct check_result *results = preflight_results(gateway->preflight, &failed);
    for (size_t i = 0; i < gateway->plan.config->n_checks; i++) {
        record_check(gateway->journal, &results[i]);
        if (!results[i].passed && results[i].check->required)
            strbuf_addf(&gateway->fault, "%scheck %s failed: %s: %s", gateway->fault.size > 0 ? "\n" : "",
                        results[i].check->name, results[i].check->target, results[i].reason);
    }
    if (failed == 0) {
        gateway_set_state(gateway, gateway->heir ? STATE_PREPARED : STATE_ACCEPTING);
        return;
    }
    tell_fault(gateway);
    set_status(gateway, "not started: %zu required check%s failed", failed, failed == 1 ? "" : "s");
    gateway_end(gateway, EXIT_UNAVAILABLE);
}

static void start_checks(struct gateway *gateway)
{
    const int r =
        preflight_new(&gateway->preflight, gateway->plan.config, gateway->loop, on_checks_done, gateway);
    if (r < 0) {
        journal_log(gateway->journal, EVENT_WARNING, "cannot run the checks: %s", strerrordesc_np(-r));
        gateway_end(gateway, EXIT_SOFTWARE_ERROR);
    }
}

/* --- serving ----------------------------------------------------------------------------------------------
 */

static void tell_serving(struct gateway *gateway)
{
    struct metrics_totals totals;
    metrics_totals(gateway->metrics, &totals);
    set_status(gateway, "serving: %llu request%s in flight, %llu connection%s, %llu served",
               (unsigned long long)totals.in_flight, totals.in_flight == 1 ? "" : "s",
               (unsigned long long)totals.connections, totals.connections == 1 ? "" : "s",
               (unsigned long long)totals.requests);
}

static void serve(struct gateway *gateway)
{
    const usec_t duration = now_monotonic() - gateway->began;
    if (gateway->heir) {
        notify_silence(gateway->notify, false);
        tell_serving(gateway); /* what has waited is not true any more */
        const int r = control_accept(gateway->control);
        if (r < 0)
            journal_log(gateway->journal, EVENT_WARNING, "the admin API cannot be served: %s",
                        strerrordesc_np(-r));
    }
    lineage_begin(&gateway->lineage, gateway->generation, gateway->origin, gateway->started_realtime);
    notify_ready(gateway->notify, now_monotonic());
    record_ready(gateway->journal, &gateway->plan, duration);
    if (gateway->heir) {
        record_took_over(gateway->journal, heir_predecessor(gateway->heir), duration);
        succession_leading(gateway->succession);
        /* The clock that systemd keeps for the unit goes on: if one generation followed another faster than
         * each would feed the watchdog for the first time, nobody ever would. Every worker has just turned.
         */
        if (notify_watchdog_interval(gateway->notify) > 0)
            notify_watchdog(gateway->notify);
    }
}

static void drain(struct gateway *gateway)
{
    set_status(gateway, "draining: told by %s", gateway->stop_reason); /* goes out with STOPPING=1 */
    if (gateway->replaced && succession_takes(gateway->succession)) {
        stop_begin_replaced(&gateway->stop, gateway->stop_reason,
                            &(struct stop_taker){succession_take, succession_flush, gateway->succession});
        return;
    }
    notify_stopping(gateway->notify, now_monotonic());
    if (gateway_begin_parking(gateway))
        stop_begin_restart(&gateway->stop, gateway->stop_reason,
                           &(struct stop_taker){parking_take, parking_flush, gateway->parking});
    else
        stop_begin(&gateway->stop, gateway->stop_reason);
}

void gateway_set_state(struct gateway *gateway, enum state state)
{
    if (gateway->state == STATE_ENDED)
        return;
    gateway->state = state;
    gateway->next_round = 0;
    switch (state) {
    case STATE_CHECKING:
        set_status(gateway, "starting: running the checks");
        start_checks(gateway);
        break;
    case STATE_PREPARED:
        set_status(gateway, "starting: waiting for the predecessor");
        succession_ready(gateway->succession);
        break;
    case STATE_ACCEPTING:
        gateway_open_parking(gateway);
        gateway_find_dead(gateway);
        gateway_begin_flight(gateway);
        crew_accept(gateway->crew, gateway->flight);
        gateway_adopt_taken_back(gateway);
        break;
    case STATE_UNLED:
        succession_accepting(gateway->succession);
        break;
    case STATE_SERVING:
        serve(gateway);
        break;
    case STATE_DRAINING:
        drain(gateway);
        break;
    case STATE_ENDED:
        break;
    case STATE_NEW:
    default:
        WRONG("gateway state");
    }
}

void gateway_on_signal(void *userdata, int number)
{
    struct gateway *gateway = userdata;
    if (number == SIGHUP) {
        journal_log(
            gateway->journal, EVENT_MESSAGE,
            "SIGHUP does nothing: use systemctl reload holdfast.service to take up a new configuration");
        return;
    }
    const char *name = number == SIGINT ? "SIGINT" : "SIGTERM";
    switch (gateway->state) {
    case STATE_ACCEPTING:
    case STATE_UNLED:
    case STATE_SERVING:
        gateway->told_to_stop = true;
        gateway->stop_reason = name;
        succession_abort(gateway->succession, "the gateway was told to stop meanwhile");
        gateway_set_state(gateway, STATE_DRAINING);
        if (gateway->orphaned)
            stop_shorten(&gateway->stop, ORPHAN_GRACE);
        break;
    case STATE_DRAINING:
        if (notify_is_silent(gateway->notify) && number == SIGTERM) {
            /* Not the main process, any more or yet: it comes as the unit is stopped, or after a crash, and
             * again when the main process has ended, or from that. */
            if (gateway->told_to_stop)
                stop_shorten_to_timeout(&gateway->stop);
            else
                stop_shorten(&gateway->stop, gateway->orphaned ? ORPHAN_GRACE : USEC_INFINITY);
            gateway->told_to_stop = true;
            break;
        }
        journal_log(gateway->journal, EVENT_MESSAGE, "second %s: ending at once", name);
        stop_hasten(&gateway->stop);
        break;
    case STATE_NEW:
    case STATE_CHECKING:
    case STATE_PREPARED:
        journal_log(gateway->journal, EVENT_MESSAGE, "%s before the start was complete: ending", name);
        notify_stopping(gateway->notify, now_monotonic());
        gateway_end(gateway, EXIT_SUCCESS);
        break;
    case STATE_ENDED:
        break;
    default:
        WRONG("gateway state");
    }
}

static void wait_for_workers(struct gateway *gateway)
{
    const struct crew_state *crew = crew_look(gateway->crew);
    if (crew->n_failed > 0) {
        journal_log(gateway->journal, EVENT_DESCRIPTOR_ERROR, "%zu of %zu workers cannot accept connections",
                    crew->n_failed, crew->n_workers);
        strbuf_addf(&gateway->fault, "%zu of %zu workers cannot accept connections", crew->n_failed,
                    crew->n_workers);
        tell_fault(gateway);
        gateway_end(gateway, EXIT_SOFTWARE_ERROR);
    } else if (crew->n_accepting == crew->n_workers) {
        gateway_set_state(gateway, gateway->heir ? STATE_UNLED : STATE_SERVING);
    }
}

static void tell_draining(struct gateway *gateway, usec_t now)
{
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    stop_describe(&gateway->stop, now, &text);
    set_status(gateway, "%s", strbuf_string(&text));
    if (gateway->replaced)
        succession_tell_progress(gateway->succession, crew_look(gateway->crew), gateway->stop.drain.deadline,
                                 gateway_describe_counters(gateway));
}

static void tell_starting(struct gateway *gateway)
{
    const size_t n = preflight_running(gateway->preflight);
    if (n > 0)
        set_status(gateway, "starting: waiting for %zu of %zu check%s", n, gateway->plan.config->n_checks,
                   gateway->plan.config->n_checks == 1 ? "" : "s");
}

static void feed_watchdog(struct gateway *gateway, usec_t now)
{
    const struct crew_state *crew = crew_look(gateway->crew);
    size_t worker;
    switch (watchdog_check(&gateway->watchdog, now, crew->turns, &worker)) {
    case WATCHDOG_FEED:
        notify_watchdog(gateway->notify);
        gateway->wedged = crew->n_workers;
        crew_poke(gateway->crew); /* by the next time each has turned once at least */
        break;
    case WATCHDOG_STARVE:
        if (gateway->wedged != worker)
            record_wedged(gateway->journal, worker);
        gateway->wedged = worker;
        crew_poke(gateway->crew);
        break;
    case WATCHDOG_NOT_DUE:
        break;
    default:
        WRONG("watchdog verdict");
    }
}

/* Nothing is left to do, but for what is still on its way to us. */
static void take_last(struct gateway *gateway)
{
    const struct crew_state *crew = crew_look(gateway->crew);
    if (crew->n_drained == crew->n_workers)
        succession_take_last(gateway->succession);
}

/* One round: does what is due, and returns when the next is. */
static usec_t do_round(struct gateway *gateway)
{
    usec_t due = USEC_INFINITY;
    if (gateway->state == STATE_ACCEPTING) {
        wait_for_workers(gateway);
        due = now_monotonic() + ACCEPT_INTERVAL;
    }
    const bool is_settled = succession_is_settled(gateway->succession);
    if (!is_settled)
        due = usec_min(due, succession_step(gateway->succession, now_monotonic()));
    if (gateway->state == STATE_DRAINING && is_settled) {
        take_last(gateway);
        due = stop_step(&gateway->stop);
        if (due == 0)
            gateway_end(gateway, EXIT_SUCCESS);
    }
    const usec_t now = now_monotonic();
    if (now >= gateway->next_round) {
        if (gateway->state == STATE_SERVING)
            tell_serving(gateway);
        else if (gateway->state == STATE_DRAINING)
            tell_draining(gateway, now);
        else if (gateway->state == STATE_CHECKING)
            tell_starting(gateway);
        if (gateway->death_rounds > 0) {
            gateway->death_rounds--;
            gateway_find_dead(gateway);
        }
        gateway->next_round = now + ROUND_INTERVAL;
    }
    due = usec_min(due, roster_tick(gateway->roster, now));
    due = usec_min(due, units_step(gateway->units, now)); /* which may make a check due */
    due = usec_min(due, checker_step(gateway->checker, now));
    feed_watchdog(gateway, now);
    due = usec_min(due, usec_min(gateway->next_round, watchdog_due(&gateway->watchdog)));
    return usec_min(due, notify_due(gateway->notify, now));
}

static void say_farewell(struct gateway *gateway, const struct crew_state *crew)
{
    struct metrics_own_totals totals;
    metrics_own_totals(gateway->metrics, &totals);
    succession_tell_farewell(gateway->succession, totals.requests, crew->cut,
                             gateway_describe_counters(gateway));
}

int gateway_run(struct gateway *gateway)
{
    gateway_set_state(gateway, STATE_CHECKING);
    for (;;) {
        const usec_t due = do_round(gateway);
        if (gateway->state == STATE_ENDED)
            break;
        const int r = loop_run_once(gateway->loop, usec_sub(due, now_monotonic()));
        if (r < 0) {
            journal_log(gateway->journal, EVENT_WARNING, "the control loop failed: %s", strerrordesc_np(-r));
            gateway_end(gateway, EXIT_SOFTWARE_ERROR);
            break;
        }
    }
    const struct crew_state *crew = crew_look(gateway->crew);
    gateway->abandoned = gateway->stop.drain.phase == DRAIN_DONE && crew->n_drained < crew->n_workers;
    succession_leave(gateway->succession);
    if (gateway->replaced)
        say_farewell(gateway, crew);
    if (gateway->parking)
        gateway_finish_parking(gateway);
    succession_settle(gateway->succession);
    (void)loop_run_once(gateway->loop, 0); /* for the answer to go out before its connection is closed */
    if (gateway->exit_status == EXIT_SUCCESS)
        record_stop(gateway->journal, gateway->metrics);
    return gateway->exit_status;
}

/* --- what the admin API asks ------------------------------------------------------------------------------
 */

static enum admin_state admin_state_of(enum state state)
{
    switch (state) {
    case STATE_NEW:
    case STATE_CHECKING:
    case STATE_PREPARED:
    case STATE_ACCEPTING:
    case STATE_UNLED:
        return ADMIN_STARTING;
    case STATE_SERVING:
        return ADMIN_RUNNING;
    case STATE_DRAINING:
    case STATE_ENDED:
        return ADMIN_DRAINING;
    default:
        WRONG("gateway state");
    }
}

void gateway_take_snapshot(void *userdata, struct admin_snapshot *ret)
{
    struct gateway *gateway = userdata;
    const usec_t now = now_monotonic();
    *ret = (struct admin_snapshot){
        .state = admin_state_of(gateway->state),
        .generation = gateway->generation,
        .version = HOLDFAST_VERSION,
        .status_text = gateway->status,
        .started_realtime = gateway->started_realtime,
        .uptime = now - gateway->began,
        .drain_deadline =
            gateway->state == STATE_DRAINING ? stop_time_left(&gateway->stop, now) : USEC_INFINITY,
        .journal_dropped = journal_dropped(gateway->journal),
    };
    snapshot_fill(gateway->snapshot, crew_look(gateway->crew), &gateway->lineage,
                  succession_ancestors(gateway->succession), now, ret);
}

void gateway_wedge_worker(void *userdata, unsigned worker)
{
    struct gateway *gateway = userdata;
    crew_wedge(gateway->crew, worker);
}

/* --- end --------------------------------------------------------------------------------------------------
 */

struct gateway *gateway_free(struct gateway *gateway)
{
    if (!gateway)
        return NULL;
    preflight_free(gateway->preflight);
    succession_free(gateway->succession);
    control_free(gateway->control);
    if (gateway->abandoned) {
        /* The process ends here and takes the rest with it: whatever runs at exit() would pull away what that
         * thread may still use. */
        journal_flush(gateway->journal, USEC_PER_SEC);
        flight_end(gateway->flight);
        _exit(gateway->exit_status);
    }
    names_free(gateway->names);
    checker_free(gateway->checker);
    units_free(gateway->units);
    if (gateway->crew)
        crew_end(gateway->crew);
    crew_free(TAKE_PTR(gateway->crew)); /* who waits is not woken any more */
    flight_free(gateway->flight);
    parking_free(gateway->parking);
    free(gateway->taken_back.items);
    wanted_unwatch(gateway->wanted_watch);
    signals_free(gateway->signals);
    heir_free(gateway->heir);
    loop_free(gateway->loop);
    roster_free(gateway->roster);
    rate_limits_free(gateway->rate_limits);
    metrics_free(gateway->metrics);
    watchdog_deinit(&gateway->watchdog);
    plan_deinit(&gateway->plan);
    notify_free(gateway->notify);
    journal_free(gateway->journal);
    strbuf_deinit(&gateway->fault);
    snapshot_free(gateway->snapshot);
    free(gateway);
    return NULL;
}

int gateway_check(const char *config_file)
{
    struct config_report report = CONFIG_REPORT_INIT;
    struct plan plan;
    const int r = plan_load(&plan, config_file, &report);
    tell_on_stderr(&report);
    const size_t warnings = report.n_problems > report.n_errors ? report.n_problems - report.n_errors : 0;
    if (r < 0) {
        fprintf(stderr, "%s: %zu error%s\n", config_file ? config_file : CONFIG_FILE_DEFAULT, report.n_errors,
                report.n_errors == 1 ? "" : "s");
    } else {
        _cleanup_strbuf_ struct strbuf parts = STRBUF_INIT;
        plan_describe(&plan, &parts);
        if (warnings > 0)
            strbuf_addf(&parts, " (%zu warning%s)", warnings, warnings == 1 ? "" : "s");
        printf("configuration is good: %s\n", strbuf_string(&parts));
        plan_deinit(&plan);
    }
    config_report_deinit(&report);
    return r < 0 ? EXIT_CONFIG_ERROR : EXIT_SUCCESS;
}
