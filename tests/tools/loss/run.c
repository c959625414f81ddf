#include "run.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#define EVENT_OF_SIGNALS UINT64_MAX
#define BATCH 256

/* Nobody listens: trying again at once would count thousands of refusals of one short outage. */
#define PAUSE_AFTER_FAILURE (10 * USEC_PER_MSEC)

/* With --idle, requests in progress at a time: a burst of thousands would measure the listening queue. With
 * --at-once the burst is what is wanted, but over connections that are there already. */
#define IDLE_IN_FLIGHT 64

static int raise_descriptor_limit(unsigned connections)
{
    struct rlimit limit;
    rlim_t wanted = connections + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    if (limit.rlim_cur >= wanted)
        return 0;
    limit.rlim_cur = wanted;
    limit.rlim_max = MAX(limit.rlim_max, wanted);
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        int r = -errno;
        fprintf(stderr, "loss: %u connections need %llu file descriptors: %s\n", connections,
                (unsigned long long)wanted, strerror(-r));
        return r;
    }
    return 0;
}

static int watch_signals(struct run *run)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -errno;
    run->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (run->signal_fd < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = EVENT_OF_SIGNALS};
    return epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, run->signal_fd, &event) < 0 ? -errno : 0;
}

static int open_file(const char *path, FILE **ret)
{
    if (!path)
        return 0;
    *ret = fopen(path, "we");
    if (*ret)
        return 0;
    int r = -errno;
    fprintf(stderr, "loss: %s: %s\n", path, strerror(-r));
    return r;
}

static int close_file(const char *path, FILE **file)
{
    if (!*file || fclose(TAKE_PTR(*file)) == 0)
        return 0;
    fprintf(stderr, "loss: %s: %s\n", path, strerror(errno));
    return -EIO;
}

int run_init(struct run *run, const struct options *options)
{
    *run = (struct run){.options = options,
                        .epoll_fd = -1,
                        .signal_fd = -1,
                        .deadline = USEC_INFINITY,
                        .random = options->seed};
    request_template_init(&run->request, options);
    int r = raise_descriptor_limit(options->connections);
    if (r < 0)
        return r;
    if ((r = open_file(options->ledger, &run->ledger)) < 0 ||
        (r = open_file(options->outcomes, &run->outcomes)) < 0)
        return r;
    run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (run->epoll_fd < 0 || watch_signals(run) < 0) {
        r = -errno;
        fprintf(stderr, "loss: epoll: %s\n", strerror(-r));
        return r;
    }
    run->connections = xcalloc(options->connections, sizeof(*run->connections));
    for (unsigned i = 0; i < options->connections; i++)
        connection_init(&run->connections[i], run, i);
    return 0;
}

int run_close_files(struct run *run)
{
    int ledger = close_file(run->options->ledger, &run->ledger);
    int outcomes = close_file(run->options->outcomes, &run->outcomes);
    return ledger < 0 ? ledger : outcomes;
}

void run_deinit(struct run *run)
{
    if (run->connections)
        for (unsigned i = 0; i < run->options->connections; i++)
            connection_deinit(&run->connections[i]);
    free(TAKE_PTR(run->connections));
    timers_deinit(&run->timers);
    if (run->ledger)
        fclose(run->ledger);
    if (run->outcomes)
        fclose(run->outcomes);
    close_and_forget(&run->signal_fd);
    close_and_forget(&run->epoll_fd);
    request_template_deinit(&run->request);
}

uint64_t run_next_id(struct run *run)
{
    return run->next_id++;
}

/* Uniform in 0 to 1, by splitmix64. */
static double next_random(struct run *run)
{
    uint64_t z = run->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static usec_t think(struct run *run)
{
    const struct options *options = run->options;
    return options->think_min +
           (usec_t)((double)(options->think_max - options->think_min) * next_random(run));
}

/* --- the ordinary run --- */

static bool may_begin(const struct run *run, usec_t when)
{
    return !run->stopping && when < run->deadline &&
           (run->options->requests == 0 || run->begun < run->options->requests);
}

static void begin_ordinary(struct run *run, struct connection *c, usec_t due)
{
    if (!may_begin(run, now_monotonic())) {
        run->active--;
        return;
    }
    run->begun++;
    connection_begin(c, due);
}

/* Plans the next request of a connection. The plan lies in its timer. */
static void plan_ordinary(struct run *run, struct connection *c, const struct loss *loss)
{
    usec_t now = now_monotonic();
    usec_t next = usec_add(now, think(run));
    if (run->interval > 0)
        next = usec_add(c->due, run->interval);
    if (loss->outcome == OUTCOME_REFUSED || loss->outcome == OUTCOME_CONNECT_FAILED)
        next = MAX(next, usec_add(now, PAUSE_AFTER_FAILURE));
    if (!may_begin(run, MAX(next, now)))
        run->active--;
    else if (next <= now && run->interval == 0)
        begin_ordinary(run, c, now);
    else
        timers_arm(&run->timers, &c->timer, next);
}

static void start_ordinary(struct run *run)
{
    const struct options *options = run->options;
    run->deadline = usec_add(run->tally.started, options->duration);
    if (options->rate > 0)
        run->interval = (usec_t)((double)USEC_PER_SEC * options->connections / options->rate);
    run->active = options->connections;
    for (unsigned i = 0; i < options->connections; i++) {
        usec_t spread = run->interval > 0 ? (usec_t)((double)run->interval * next_random(run)) : think(run);
        timers_arm(&run->timers, &run->connections[i].timer, usec_add(run->tally.started, spread));
    }
}

/* --- connections that are kept idle --- */

static void announce_parked(struct run *run)
{
    fprintf(stderr, "loss: %llu connections are idle%s\n", (unsigned long long)run->options->connections,
            run->options->idle_for == USEC_INFINITY ? "; SIGUSR1 sends another request on each" : "");
}

static void step_idle(struct run *run)
{
    unsigned n = run->options->connections;
    unsigned in_flight = run->options->at_once && run->phase == IDLE_ASKING ? n : IDLE_IN_FLIGHT;
    while (!run->stopping && run->phase != IDLE_PARKED && run->next < n && run->active < in_flight) {
        struct connection *c = &run->connections[run->next++];
        run->active++;
        run->begun++;
        timers_arm(&run->timers, &c->timer, 0);
    }
    if (run->active > 0 || run->stopping || run->next < n)
        return;
    if (run->phase == IDLE_OPENING) {
        run->phase = IDLE_PARKED;
        run->deadline = usec_add(now_monotonic(), run->options->idle_for);
        announce_parked(run);
    } else if (run->phase == IDLE_ASKING) {
        run->stopping = true;
    }
}

static void ask_idle(struct run *run)
{
    if (run->phase != IDLE_PARKED)
        return;
    for (unsigned i = 0; i < run->options->connections; i++)
        run->still_open += run->connections[i].fd >= 0;
    run->phase = IDLE_ASKING;
    run->deadline = USEC_INFINITY;
    run->next = 0;
    step_idle(run);
}

static void idle_request_ended(struct run *run, const struct loss *loss)
{
    run->active--;
    if (run->phase == IDLE_ASKING && !outcome_is_lost(loss->outcome)) {
        if (loss->reused)
            run->answered_reused++;
        else
            run->answered_reconnected++;
    }
    step_idle(run);
}

/* --- both --- */

static void write_outcome(FILE *file, const struct loss *loss)
{
    char status[16];
    snprintf(status, sizeof(status), "%d", loss->status);
    bool is_whole = loss->outcome <= OUTCOME_5XX;
    fprintf(file, "%s %s %llu %u\n", loss->id, is_whole ? status : outcome_to_string(loss->outcome),
            (unsigned long long)loss->after, loss->connection);
}

void run_request_ended(struct run *run, struct connection *c, const struct loss *loss)
{
    tally_add(&run->tally, loss, usec_add(run->tally.started, loss->at));
    if (loss->outcome == OUTCOME_2XX && run->ledger)
        fprintf(run->ledger, "%s\n", loss->id);
    if (run->outcomes)
        write_outcome(run->outcomes, loss);
    if (run->options->idle)
        idle_request_ended(run, loss);
    else
        plan_ordinary(run, c, loss);
}

static void on_timer(struct run *run, struct connection *c, usec_t due, usec_t now)
{
    if (c->state != CONNECTION_WAITING)
        connection_on_timer(c, now);
    else if (run->options->idle)
        connection_begin(c, now);
    else
        begin_ordinary(run, c, run->interval > 0 ? due : now);
}

static void on_signals(struct run *run)
{
    struct signalfd_siginfo info;
    while (read(run->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGUSR1) {
            ask_idle(run);
            continue;
        }
        run->interrupted = run->stopping;
        run->stopping = true;
        run->deadline = 0;
    }
}

static void print_progress(struct run *run, usec_t now)
{
    uint64_t requests = run->tally.requests;
    fprintf(stderr, "%4llu s  %8llu requests/s  %llu lost  %llu forced reconnects\n",
            (unsigned long long)(usec_sub(now, run->tally.started) / USEC_PER_SEC),
            (unsigned long long)(requests - run->progress_requests),
            (unsigned long long)tally_lost(&run->tally),
            (unsigned long long)(run->tally.closed_announced + run->tally.closed_unannounced));
    run->progress_requests = requests;
    run->progress_due += USEC_PER_SEC;
}

static int wait_time(const struct run *run, usec_t now)
{
    int wait = timers_wait(&run->timers, now);
    usec_t other = run->options->progress ? run->progress_due : USEC_INFINITY;
    if (run->phase == IDLE_PARKED)
        other = MIN(other, run->deadline);
    if (other == USEC_INFINITY)
        return wait;
    usec_t left = (usec_sub(other, now) + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
    return wait < 0 || left < (usec_t)wait ? (int)MIN(left, (usec_t)60000) : wait;
}

static void run_timers(struct run *run)
{
    usec_t now = now_monotonic();
    struct timer *timer;
    if (run->options->progress && now >= run->progress_due)
        print_progress(run, now);
    if (run->phase == IDLE_PARKED && now >= run->deadline)
        ask_idle(run);
    while ((timer = timers_pop(&run->timers, now)))
        on_timer(run, container_of(timer, struct connection, timer), timer->queued, now);
}

static bool is_over(const struct run *run)
{
    if (run->interrupted)
        return true;
    return run->options->idle ? run->stopping && run->active == 0 : run->active == 0;
}

/* Connections that only wait to begin have nothing to finish. */
static void drop_waiting(struct run *run)
{
    for (unsigned i = 0; i < run->options->connections; i++) {
        struct connection *c = &run->connections[i];
        if (c->state != CONNECTION_WAITING || c->timer.due == USEC_INFINITY)
            continue;
        timers_forget(&run->timers, &c->timer);
        run->active--;
    }
}

int run_loop(struct run *run)
{
    run->tally.started = now_monotonic();
    run->progress_due = usec_add(run->tally.started, USEC_PER_SEC);
    if (run->options->idle)
        step_idle(run);
    else
        start_ordinary(run);

    while (!is_over(run)) {
        struct epoll_event events[BATCH];
        int n = epoll_wait(run->epoll_fd, events, BATCH, wait_time(run, now_monotonic()));
        if (n < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < n; i++) {
            if (events[i].data.u64 == EVENT_OF_SIGNALS) {
                on_signals(run);
                if (run->stopping)
                    drop_waiting(run);
                continue;
            }
            struct connection *c = &run->connections[(uint32_t)events[i].data.u64];
            if (c->epoch == (uint32_t)(events[i].data.u64 >> 32) && c->fd >= 0)
                connection_on_events(c, events[i].events);
        }
        run_timers(run);
    }
    tally_end(&run->tally, now_monotonic());
    return 0;
}
