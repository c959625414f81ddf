#include "gateway.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>

#include "gateway/control.h"
#include "gateway/crew.h"
#include "gateway/heir.h"
#include "gateway/parking.h"
#include "gateway/plan.h"
#include "gateway/preflight.h"
#include "gateway/records.h"
#include "gateway/signals.h"
#include "gateway/snapshot.h"
#include "gateway/state.h"
#include "gateway/stop.h"
#include "gateway/succession.h"
#include "gateway/tell.h"
#include "lifecycle/bus.h"
#include "lifecycle/generation.h"
#include "lifecycle/notify.h"
#include "lifecycle/watchdog.h"
#include "upstream/health.h"

/* The life of a gateway. set_state() alone moves from one to the next and does what entering it means. */
enum state {
    STATE_NEW,
    STATE_CHECKING,  /* the start-up checks run */
    STATE_PREPARED,  /* as an heir: all is ready, and the predecessor is to say "go" */
    STATE_ACCEPTING, /* the workers were told to accept, and not all do yet */
    STATE_UNLED,     /* as an heir: they do, and the predecessor is to say "lead" */
    STATE_SERVING,
    STATE_DRAINING,
    STATE_ENDED,
};

/* How often the control thread has its round when nothing happens, and while it waits for the workers. */
#define ROUND_INTERVAL USEC_PER_SEC
#define ACCEPT_INTERVAL USEC_PER_MSEC
/* After a crash of our successor systemd starts the next one only when nothing is left of the unit: so long
 * may what we still have hold that up. */
#define ORPHAN_GRACE (2 * USEC_PER_SEC)

struct gateway {
    struct descriptors *descriptors;
    usec_t began;
    usec_t started_realtime;
    uint64_t generation;
    enum state state;
    int exit_status;
    bool replaced;       /* a successor leads; we drain */
    bool orphaned;       /* … and it has ended */
    bool told_to_stop;   /* by a signal */
    struct strbuf fault; /* why we cannot follow our predecessor, for whoever asked for it */
    bool abandoned;      /* a worker does not end: its thread and all that it may touch stay as they are */

    struct journal *journal;
    struct notify *notify;
    struct plan plan;
    struct loop *loop;
    struct metrics *metrics;
    struct health *health;
    struct flight *flight;
    struct crew *crew;
    struct control *control;
    struct signals *signals;
    struct preflight *preflight;
    struct watchdog watchdog;
    struct stop stop;
    const char *stop_reason; /* what began it */
    struct lineage lineage;
    enum lineage_origin origin;
    struct heir *heir; /* NULL: there is no predecessor */
    struct succession *succession;
    struct parking *parking; /* at a restart */
    struct {
        struct moving_connection *items;
        size_t n, size;
    } taken_back; /* from the process before us, until the workers are there */

    usec_t next_round;
    size_t wedged; /* the worker whose standstill was told, or n_workers */
    char status[256];
    struct snapshot *snapshot;
};

static void set_state(struct gateway *gateway, enum state state);

static void end(struct gateway *gateway, int exit_status)
{
    gateway->exit_status = exit_status;
    set_state(gateway, STATE_ENDED);
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

/* As many descriptors as are allowed. And room for many of them in the kernel's table: as soon as there are
 * threads, each time that this has to grow takes tens of milliseconds, which would be a pause for all while
 * thousands of connections come from a predecessor. Returns a negative errno. */
static int prepare_descriptor_table(void)
{
    enum { ROOM = 32768 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    const int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)MIN(limit.rlim_cur, (rlim_t)ROOM) - 1);
    if (fd >= 0)
        close(fd);
    return 0;
}

static int tell_and_judge(struct gateway *gateway, struct config_report *report, int r,
                          enum journal_event event)
{
    tell_problems(gateway->journal, report, event);
    if (r < 0)
        tell_in_short(report, &gateway->fault);
    config_report_deinit(report);
    return r < 0 ? EXIT_CONFIG_ERROR : 0;
}

/* Loads the configuration and holds the descriptors to it. Returns the exit status, 0 for going on. */
static int load(struct gateway *gateway, const char *config_file)
{
    struct config_report report = CONFIG_REPORT_INIT;
    int r = plan_load(&gateway->plan, config_file, &report);
    int status = tell_and_judge(gateway, &report, r, EVENT_CONFIG_ERROR);
    if (status != 0)
        return status;
    r = descriptors_check(gateway->descriptors, gateway->plan.config, &report);
    return tell_and_judge(gateway, &report, r, EVENT_DESCRIPTOR_ERROR);
}

static uint64_t next_generation(void *userdata)
{
    struct gateway *gateway = userdata;
    const char *directory = gateway->plan.config->gateway.state_directory;
    uint64_t number;
    const int r = generation_next(directory, &number);
    number = MAX(number, gateway->generation + 1);
    if (r < 0)
        journal_log(
            gateway->journal, EVENT_WARNING,
            "the number of the last generation in %s/generation cannot be used (%s), the next is number "
            "%" PRIu64,
            directory, strerrordesc_np(-r), number);
    return number;
}

static void take_generation(struct gateway *gateway)
{
    const uint64_t given = gateway->heir ? heir_generation(gateway->heir) : 0;
    gateway->generation = given != 0 ? given : next_generation(gateway);
    journal_set_generation(gateway->journal, gateway->generation);
    record_start(gateway->journal, gateway->generation);
}

static void on_dead(void *userdata, const struct flight_death *death)
{
    struct gateway *gateway = userdata;
    record_predecessor_died(gateway->journal, death);
    gateway->lineage.crashes++;
    if (!gateway->heir)
        gateway->origin = ORIGIN_CRASH;
}

/* Tells of generations that died, each once. */
static void find_dead(struct gateway *gateway)
{
    flight_find_dead(gateway->plan.config->gateway.state_directory, on_dead, gateway);
}

static void build_flight(struct gateway *gateway)
{
    const struct config *config = gateway->plan.config;
    const int r = flight_new(&gateway->flight, config->gateway.state_directory, gateway->generation,
                             config->gateway.threads);
    if (r < 0)
        journal_log(gateway->journal, EVENT_WARNING,
                    "cannot keep a record of what is in flight in %s (%s): a crash will not be told",
                    config->gateway.state_directory, strerrordesc_np(-r));
}

static void take_snapshot(void *userdata, struct admin_snapshot *ret);
static void wedge_worker(void *userdata, unsigned worker);
static void on_signal(void *userdata, int number);
static int begin_reload(void *userdata, admin_reload_done done, void *done_userdata, struct strbuf *error);

static int build_workers(struct gateway *gateway)
{
    const struct crew_options options = {
        .plan = &gateway->plan,
        .descriptors = gateway->descriptors,
        .metrics = gateway->metrics,
        .journal = gateway->journal,
        .health = gateway->health,
        .flight = gateway->flight,
    };
    return crew_new(&gateway->crew, &options);
}

static int build_control(struct gateway *gateway)
{
    const struct control_options options = {
        .admin = {.config = gateway->plan.config,
                  .metrics = gateway->metrics,
                  .health = gateway->health,
                  .snapshot = take_snapshot,
                  .reload = begin_reload,
                  .wedge = wedge_worker,
                  .userdata = gateway},
        .loop = gateway->loop,
        .journal = gateway->journal,
        .descriptors = gateway->descriptors,
    };
    return control_new(&gateway->control, &options);
}

static void on_go(void *userdata);
static void on_lead(void *userdata, const json_t *document);
static void on_disowned(void *userdata, const char *reason);
static json_t *describe_at_start(void *userdata);
static json_t *describe_at_lead(void *userdata);
static void on_replaced(void *userdata, uint64_t generation);
static void on_orphaned(void *userdata, bool orderly);
static void on_reload_failed(void *userdata, const char *reason);
static void on_moved(void *userdata);
static void on_counters(void *userdata, const json_t *document);
static void on_ancestor_end(void *userdata, const struct ancestor *ancestor);

static struct state_parts state_parts(struct gateway *gateway)
{
    return (struct state_parts){
        .plan = &gateway->plan,
        .health = gateway->health,
        .lineage = &gateway->lineage,
        .metrics = gateway->metrics,
    };
}

static void build_succession(struct gateway *gateway)
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
        .next_generation = next_generation,
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

/* Builds every part that has threads or descriptors. Returns a negative errno. */
static int build(struct gateway *gateway)
{
    const struct config *config = gateway->plan.config;
    gateway->wedged = config->gateway.threads;
    gateway->snapshot = snapshot_new(gateway->descriptors, config->gateway.threads);
    gateway->metrics = metrics_new(config, config->gateway.threads);
    gateway->health = health_new(config);
    build_flight(gateway);
    int r = loop_new(&gateway->loop);
    if (r == 0)
        r = signals_new(&gateway->signals, gateway->loop, on_signal, gateway);
    if (r == 0)
        r = build_workers(gateway);
    if (r == 0)
        r = build_control(gateway);
    if (r == 0 && !gateway->heir)
        r = control_accept(gateway->control);
    if (r < 0)
        return r;
    if (gateway->heir) {
        const struct state_parts parts = state_parts(gateway);
        state_import(&parts, heir_document(gateway->heir), STATE_TLS | STATE_HEALTH | STATE_LINEAGE);
    }
    build_succession(gateway);
    watchdog_init(&gateway->watchdog, notify_watchdog_interval(gateway->notify), config->gateway.threads,
                  now_monotonic());
    gateway->stop = (struct stop){
        .config = config, .crew = gateway->crew, .notify = gateway->notify, .journal = gateway->journal};
    return 0;
}

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
    const int prepared = prepare_descriptor_table(); /* before there is a thread */
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

    int status = load(gateway, options->config_file);
    if (status == 0) {
        take_generation(gateway);
        r = build(gateway);
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
        set_state(gateway, gateway->heir ? STATE_PREPARED : STATE_ACCEPTING);
        return;
    }
    tell_fault(gateway);
    set_status(gateway, "not started: %zu required check%s failed", failed, failed == 1 ? "" : "s");
    end(gateway, EXIT_UNAVAILABLE);
}

static void start_checks(struct gateway *gateway)
{
    const int r =
        preflight_new(&gateway->preflight, gateway->plan.config, gateway->loop, on_checks_done, gateway);
    if (r < 0) {
        journal_log(gateway->journal, EVENT_WARNING, "cannot run the checks: %s", strerrordesc_np(-r));
        end(gateway, EXIT_SOFTWARE_ERROR);
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

/* --- restart ----------------------------------------------------------------------------------------------
 */

static void on_not_parked(void *userdata, const struct moving_connection *connection)
{
    struct gateway *gateway = userdata;
    struct moving_connection back = *connection;
    back.stays = true;
    crew_adopt(gateway->crew, &back); /* which ends it as at a stop */
}

/* Whether another process follows, and can have our idle connections. When systemd cannot be asked they are
 * ended as at a stop: with a late request answered, which nobody would do for those that wait in vain. */
static bool begin_parking(struct gateway *gateway)
{
    enum bus_job job;
    if (notify_is_silent(
            gateway->notify)) /* we were replaced, or were never to lead: systemd does not hear us */
        return false;
    if (!getenv("NOTIFY_SOCKET") || bus_unit_job(&job) < 0 || job != BUS_JOB_RESTART)
        return false;
    const int r = parking_new(&gateway->parking, &(struct parking_options){.loop = gateway->loop,
                                                                           .config = gateway->plan.config,
                                                                           .notify = gateway->notify,
                                                                           .on_refused = on_not_parked,
                                                                           .userdata = gateway});
    if (r < 0)
        journal_log(gateway->journal, EVENT_WARNING, "idle connections cannot be kept over the restart: %s",
                    r == -ENOTSUP ? "systemd keeps no descriptors for this unit (FileDescriptorStoreMax=)"
                                  : strerrordesc_np(-r));
    return r == 0;
}

static void finish_parking(struct gateway *gateway)
{
    struct handover_counts counts;
    const struct state_parts parts = state_parts(gateway);
    parking_flush(gateway->parking);
    parking_counts(gateway->parking, &counts);
    gateway->lineage.restarts++;
    gateway->lineage.parked += counts.moved;
    gateway->lineage.closed += counts.refused;
    parking_finish(gateway->parking, state_export(&parts, gateway->generation, STATE_ALL));
    record_parked(gateway->journal, counts.moved, counts.refused);
}

static void keep_taken_back(void *userdata, const struct moving_connection *connection)
{
    struct gateway *gateway = userdata;
    if (gateway->taken_back.n == gateway->taken_back.size) {
        gateway->taken_back.size = MAX(gateway->taken_back.size * 2, (size_t)64);
        gateway->taken_back.items =
            xrealloc(gateway->taken_back.items, gateway->taken_back.size, sizeof(*gateway->taken_back.items));
    }
    gateway->taken_back.items[gateway->taken_back.n++] = *connection;
}

static void learn_parked(void *userdata, const json_t *document)
{
    struct gateway *gateway = userdata;
    const struct state_parts parts = state_parts(gateway);
    state_import(&parts, document, STATE_ALL);
    if (gateway->origin == ORIGIN_START)
        gateway->origin = ORIGIN_RESTART;
}

/* Not before this process is known to serve: until then others may have to. */
static void open_parking(struct gateway *gateway)
{
    struct descriptors *descriptors = gateway->descriptors;
    if (descriptors->n_parked == 0)
        return;
    for (size_t i = 0; i < descriptors->n_parked; i++)
        parking_open(gateway->plan.config, descriptors->parked[i], keep_taken_back, learn_parked, gateway);
    descriptors->n_parked = 0;
    notify_unstore(gateway->notify, DESCRIPTOR_PARKED);
}

static void adopt_taken_back(struct gateway *gateway)
{
    if (gateway->taken_back.n > 0)
        record_taken_back(gateway->journal, gateway->taken_back.n);
    for (size_t i = 0; i < gateway->taken_back.n; i++)
        crew_adopt(gateway->crew, &gateway->taken_back.items[i]);
    gateway->taken_back.n = 0;
}

static void drain(struct gateway *gateway)
{
    set_status(gateway, "draining: told by %s", gateway->stop_reason); /* goes out with STOPPING=1 */
    if (gateway->replaced && succession_takes(gateway->succession)) {
        stop_begin_replaced(&gateway->stop, gateway->stop_reason, succession_take, gateway->succession);
        return;
    }
    notify_stopping(gateway->notify, now_monotonic());
    if (begin_parking(gateway))
        stop_begin_restart(&gateway->stop, gateway->stop_reason, parking_take, gateway->parking);
    else
        stop_begin(&gateway->stop, gateway->stop_reason);
}

static void set_state(struct gateway *gateway, enum state state)
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
        open_parking(gateway);
        find_dead(gateway);
        crew_accept(gateway->crew);
        adopt_taken_back(gateway);
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

static void on_signal(void *userdata, int number)
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
        set_state(gateway, STATE_DRAINING);
        break;
    case STATE_DRAINING:
        if (gateway->replaced && number == SIGTERM) {
            /* As the unit is stopped, or after a crash. It comes again when the main process has ended. */
            if (!gateway->told_to_stop)
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
        end(gateway, EXIT_SUCCESS);
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
        end(gateway, EXIT_SOFTWARE_ERROR);
    } else if (crew->n_accepting == crew->n_workers) {
        set_state(gateway, gateway->heir ? STATE_UNLED : STATE_SERVING);
    }
}

static json_t *describe_counters(struct gateway *gateway);

static void tell_draining(struct gateway *gateway, usec_t now)
{
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    stop_describe(&gateway->stop, now, &text);
    set_status(gateway, "%s", strbuf_string(&text));
    if (gateway->replaced)
        succession_tell_progress(gateway->succession, crew_look(gateway->crew), gateway->stop.drain.deadline,
                                 describe_counters(gateway));
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

/* One round: does what is due, and returns when the next is. */
static usec_t do_round(struct gateway *gateway)
{
    usec_t due = USEC_INFINITY;
    if (gateway->state == STATE_ACCEPTING) {
        wait_for_workers(gateway);
        due = now_monotonic() + ACCEPT_INTERVAL;
    }
    if (gateway->state == STATE_DRAINING) {
        due = stop_step(&gateway->stop);
        if (due == 0)
            end(gateway, EXIT_SUCCESS);
    }
    const usec_t now = now_monotonic();
    if (now >= gateway->next_round) {
        if (gateway->state == STATE_SERVING)
            tell_serving(gateway);
        else if (gateway->state == STATE_DRAINING)
            tell_draining(gateway, now);
        else if (gateway->state == STATE_CHECKING)
            tell_starting(gateway);
        gateway->next_round = now + ROUND_INTERVAL;
    }
    feed_watchdog(gateway, now);
    due = usec_min(due, usec_min(gateway->next_round, watchdog_due(&gateway->watchdog)));
    return usec_min(due, notify_due(gateway->notify, now));
}

static void say_farewell(struct gateway *gateway, const struct crew_state *crew)
{
    struct metrics_own_totals totals;
    metrics_own_totals(gateway->metrics, &totals);
    succession_tell_farewell(gateway->succession, totals.requests, crew->cut, describe_counters(gateway));
}

int gateway_run(struct gateway *gateway)
{
    set_state(gateway, STATE_CHECKING);
    for (;;) {
        const usec_t due = do_round(gateway);
        if (gateway->state == STATE_ENDED)
            break;
        const int r = loop_run_once(gateway->loop, usec_sub(due, now_monotonic()));
        if (r < 0) {
            journal_log(gateway->journal, EVENT_WARNING, "the control loop failed: %s", strerrordesc_np(-r));
            end(gateway, EXIT_SOFTWARE_ERROR);
            break;
        }
    }
    const struct crew_state *crew = crew_look(gateway->crew);
    gateway->abandoned = gateway->stop.drain.phase == DRAIN_DONE && crew->n_drained < crew->n_workers;
    succession_leave(gateway->succession);
    if (gateway->replaced)
        say_farewell(gateway, crew);
    if (gateway->parking)
        finish_parking(gateway);
    if (gateway->exit_status == EXIT_SUCCESS)
        record_stop(gateway->journal, gateway->metrics);
    return gateway->exit_status;
}

/* --- succession -------------------------------------------------------------------------------------------
 */

static void on_go(void *userdata)
{
    struct gateway *gateway = userdata;
    if (gateway->state == STATE_PREPARED)
        set_state(gateway, STATE_ACCEPTING);
}

static void on_lead(void *userdata, const json_t *document)
{
    struct gateway *gateway = userdata;
    if (gateway->state != STATE_UNLED)
        return;
    const struct state_parts parts = state_parts(gateway);
    state_import(&parts, document, STATE_HEALTH | STATE_LINEAGE | STATE_METRICS);
    gateway->lineage.reloads++;
    heir_times(gateway->heir, &gateway->lineage.last.start, &gateway->lineage.last.hand_over);
    set_state(gateway, STATE_SERVING);
}

static void on_disowned(void *userdata, const char *reason)
{
    struct gateway *gateway = userdata;
    journal_log(gateway->journal, EVENT_WARNING, "%s: this process ends", reason);
    if (gateway->state == STATE_ACCEPTING || gateway->state == STATE_UNLED) {
        gateway->stop_reason = reason; /* there may be requests already */
        set_state(gateway, STATE_DRAINING);
    } else if (gateway->state < STATE_SERVING) {
        end(gateway, EXIT_UNAVAILABLE);
    }
}

static json_t *describe_at_start(void *userdata)
{
    struct gateway *gateway = userdata;
    const struct state_parts parts = state_parts(gateway);
    return state_export(&parts, gateway->generation, STATE_TLS | STATE_HEALTH | STATE_LINEAGE);
}

static json_t *describe_at_lead(void *userdata)
{
    struct gateway *gateway = userdata;
    const struct state_parts parts = state_parts(gateway);
    return state_export(&parts, gateway->generation, STATE_HEALTH | STATE_LINEAGE | STATE_METRICS);
}

/* What was counted since it was told last. */
static json_t *describe_counters(struct gateway *gateway)
{
    const struct state_parts parts = state_parts(gateway);
    return state_export(&parts, gateway->generation, STATE_METRICS);
}

static void on_replaced(void *userdata, uint64_t generation)
{
    struct gateway *gateway = userdata;
    gateway->replaced = true;
    gateway->stop_reason = "replaced";
    control_retire(gateway->control);
    set_state(gateway, STATE_DRAINING);
}

static void on_orphaned(void *userdata, bool orderly)
{
    struct gateway *gateway = userdata;
    gateway->orphaned = !orderly;
    if (gateway->state != STATE_DRAINING)
        return;
    journal_log(gateway->journal, EVENT_MESSAGE,
                "the generation that replaced this one has %s: idle connections cannot go to it any more",
                orderly ? "ended" : "died");
    stop_end_taking(&gateway->stop);
    if (gateway->told_to_stop && gateway->orphaned)
        stop_shorten(&gateway->stop, ORPHAN_GRACE);
}

static void on_reload_failed(void *userdata, const char *reason)
{
    struct gateway *gateway = userdata;
    gateway->lineage.reloads_failed++;
    find_dead(gateway); /* the successor may have left something behind */
}

static void on_moved(void *userdata)
{
    struct gateway *gateway = userdata;
    gateway->lineage.moved++;
}

static void on_counters(void *userdata, const json_t *document)
{
    const struct state_parts parts = state_parts(userdata);
    state_import(&parts, document, STATE_METRICS);
}

static void on_ancestor_end(void *userdata, const struct ancestor *ancestor)
{
    struct gateway *gateway = userdata;
    gateway->lineage.closed += ancestor->not_moved;
    if (ancestor->farewell)
        record_predecessor_ended(gateway->journal, ancestor->generation, ancestor->answered, ancestor->cut);
    else
        find_dead(gateway);
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

static int begin_reload(void *userdata, admin_reload_done done, void *done_userdata, struct strbuf *error)
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

static void take_snapshot(void *userdata, struct admin_snapshot *ret)
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

static void wedge_worker(void *userdata, unsigned worker)
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
    succession_free(gateway->succession); /* whoever waits for a reload is told */
    control_free(gateway->control);
    if (gateway->abandoned) {
        /* The process ends here and takes the rest with it: whatever runs at exit() would pull away what that
         * thread may still use. */
        journal_flush(gateway->journal, USEC_PER_SEC);
        flight_end(gateway->flight);
        _exit(gateway->exit_status);
    }
    crew_free(gateway->crew);
    flight_free(gateway->flight);
    parking_free(gateway->parking);
    free(gateway->taken_back.items);
    signals_free(gateway->signals);
    heir_free(gateway->heir);
    loop_free(gateway->loop);
    health_free(gateway->health);
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
