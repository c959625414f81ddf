#include "gateway/root.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/resource.h>

#include "gateway/tell.h"
#include "http/reserve.h"
#include "lifecycle/generation.h"

/* As many descriptors as are allowed. And room for many of them in the kernel's table: as soon as there are
 * threads, each time that this has to grow takes tens of milliseconds, which would be a pause for all while
 * thousands of connections come from a predecessor. Returns a negative errno. */
int gateway_prepare_descriptors(void)
{
    enum { ROOM = 32768 };
    struct rlimit limit;
    const int r = reserve_set_aside();
    if (r < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return r < 0 ? r : -errno;
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

static void on_stored(void *userdata, const struct descriptor *descriptor, const char *reason)
{
    struct gateway *gateway = userdata;
    journal_log(
        gateway->journal, EVENT_WARNING,
        "the descriptor %d named \"%s\" (%s) %s, and there is no section [Listener %s]: it is closed, and "
        "systemd is asked to keep it no longer",
        descriptor->fd, descriptor->name, descriptor->address, reason, descriptor->name);
    notify_unstore(gateway->notify, descriptor->name);
}

/* Loads the configuration and holds the descriptors to it. Returns the exit status, 0 for going on. */
int gateway_load(struct gateway *gateway, const char *config_file)
{
    struct config_report report = CONFIG_REPORT_INIT;
    int r = plan_load(&gateway->plan, config_file, &report);
    int status = tell_and_judge(gateway, &report, r, EVENT_CONFIG_ERROR);
    if (status != 0)
        return status;
    descriptors_drop_stored(gateway->descriptors, gateway->plan.config, on_stored, gateway);
    r = descriptors_check(gateway->descriptors, gateway->plan.config, &report);
    return tell_and_judge(gateway, &report, r, EVENT_DESCRIPTOR_ERROR);
}

uint64_t gateway_next_generation(void *userdata)
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

void gateway_take_generation(struct gateway *gateway)
{
    const uint64_t given = gateway->heir ? heir_generation(gateway->heir) : 0;
    gateway->generation = given != 0 ? given : gateway_next_generation(gateway);
    journal_set_generation(gateway->journal, gateway->generation);
    record_start(gateway->journal, gateway->generation);
}

void gateway_begin_flight(struct gateway *gateway)
{
    const struct config *config = gateway->plan.config;
    const int r = flight_new(&gateway->flight, config->gateway.state_directory, gateway->generation,
                             config->gateway.threads);
    if (r < 0)
        journal_log(
            gateway->journal, EVENT_WARNING,
            "cannot keep a record of what is in flight in %s/generations (%s): a crash will not be told",
            config->gateway.state_directory, strerrordesc_np(-r));
}

static void tell_expiry(struct gateway *gateway)
{
    const struct plan *plan = &gateway->plan;
    for (size_t i = 0; i < plan->config->n_listeners; i++) {
        const struct listener_config *listener = &plan->config->listeners[i];
        for (size_t j = 0; plan->tls[i] && j < listener->n_certificates; j++)
            metrics_certificate_expires(gateway->metrics, listener, j, tls_config_expires(plan->tls[i], j));
    }
}

static int build_workers(struct gateway *gateway)
{
    const struct crew_options options = {
        .plan = &gateway->plan,
        .descriptors = gateway->descriptors,
        .metrics = gateway->metrics,
        .journal = gateway->journal,
        .roster = gateway->roster,
        .rate_limits = gateway->rate_limits,
    };
    return crew_new(&gateway->crew, &options);
}

static int build_control(struct gateway *gateway)
{
    const struct control_options options = {
        .admin = {.owner = {geteuid(), getegid()},
                  .config = gateway->plan.config,
                  .metrics = gateway->metrics,
                  .journal = gateway->journal,
                  .roster = gateway->roster,
                  .snapshot = gateway_take_snapshot,
                  .reload = gateway_begin_reload,
                  .busy = gateway_is_busy,
                  .change = gateway_keep_wanted,
                  .wedge = gateway_wedge_worker,
                  .userdata = gateway},
        .loop = gateway->loop,
        .journal = gateway->journal,
        .descriptors = gateway->descriptors,
    };
    return control_new(&gateway->control, &options);
}

static void on_wake(void *userdata, const struct upstream_config *upstream)
{
    struct gateway *gateway = userdata;
    if (gateway->crew)
        crew_wake(gateway->crew, upstream);
}

static void do_nothing(void *userdata)
{
}

/* The round begins anew, and with it what is due. */
static void on_nudge(void *userdata)
{
    struct gateway *gateway = userdata;
    if (gateway->loop)
        loop_post(gateway->loop, do_nothing, NULL);
}

static void build_roster(struct gateway *gateway)
{
    const struct roster_options options = {
        .config = gateway->plan.config,
        .metrics = gateway->metrics,
        .journal = gateway->journal,
        .wake = on_wake,
        .nudge = on_nudge,
        .userdata = gateway,
    };
    gateway->roster = roster_new(&options, now_monotonic());
}

/* Builds every part that has threads or descriptors. Returns a negative errno. */
int gateway_build(struct gateway *gateway)
{
    const struct config *config = gateway->plan.config;
    gateway->wedged = config->gateway.threads;
    gateway->snapshot = snapshot_new(gateway->descriptors, config->gateway.threads);
    gateway->metrics = metrics_new(config, config->gateway.threads);
    tell_expiry(gateway);
    gateway->rate_limits = rate_limits_new(config);
    build_roster(gateway);
    int r = loop_new(&gateway->loop);
    if (r == 0)
        r = signals_new(&gateway->signals, gateway->loop, gateway_on_signal, gateway);
    if (r == 0)
        r = build_workers(gateway);
    if (r == 0)
        r = checker_new(&gateway->checker, config, gateway->roster, gateway->loop);
    if (r == 0)
        gateway->units = units_new(config, gateway->roster, gateway->loop, gateway->journal);
    if (r == 0)
        r = build_control(gateway);
    if (r == 0 && !gateway->heir)
        r = control_accept(gateway->control);
    if (r < 0)
        return r;
    if (!gateway->heir || !json_object_get(heir_document(gateway->heir), "wanted"))
        gateway_read_wanted(gateway);
    if (gateway->heir) {
        const struct state_parts parts = gateway_state_parts(gateway);
        state_import(&parts, heir_document(gateway->heir),
                     STATE_TLS | STATE_RATE_SECRET | STATE_UPSTREAMS | STATE_LINEAGE);
    }
    r = names_new(&gateway->names, config, gateway->roster, gateway->loop, gateway->journal);
    if (r < 0)
        return r;
    gateway_build_succession(gateway);
    watchdog_init(&gateway->watchdog, notify_watchdog_interval(gateway->notify), config->gateway.threads,
                  now_monotonic());
    gateway->stop = (struct stop){
        .config = config, .crew = gateway->crew, .notify = gateway->notify, .journal = gateway->journal};
    return 0;
}
