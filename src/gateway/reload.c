#include "gateway/reload.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "lifecycle/blob.h"
#include "lifecycle/channel.h"
#include "lifecycle/spawn.h"
#include "util/parse.h"
#include "util/strbuf.h"

/* A successor that accepts may have requests already: it is asked to end, and has so long to. */
#define DRAIN_PATIENCE (5 * USEC_PER_SEC)
/* One that has not come so far may have records to write. */
#define END_PATIENCE USEC_PER_SEC

enum phase {
    PHASE_NONE,
    PHASE_STARTING, /* the successor is being built */
    PHASE_GOING,    /* it was told to accept */
    PHASE_LEADING,  /* systemd knows it as the main process; it is to say READY */
    PHASE_ENDING,   /* the reload has failed; the successor is on its way out */
    PHASE_REPLACED,
};

struct reload {
    struct reload_options options;
    enum phase phase;
    pid_t pid;
    int pidfd, channel;
    struct loop_fd *pidfd_watch, *channel_watch;
    struct loop_timer *timer;
    usec_t began, ready, led; /* ready: 0 before */
    bool farewell;            /* the successor has said that it ends */
    char *told;               /* what the successor said is wrong */
    char *reason;             /* why the reload fails */
};

static void close_channel(struct reload *reload)
{
    reload->channel_watch = loop_fd_free(reload->channel_watch);
    close_and_forget(&reload->channel);
}

static void forget_process(struct reload *reload)
{
    reload->pidfd_watch = loop_fd_free(reload->pidfd_watch);
    close_and_forget(&reload->pidfd);
}

static void kill_successor(struct reload *reload, int number)
{
    if (reload->pidfd < 0)
        return;
    /* Linux has it since 5.1; valgrind, which passes no call on that it does not know, has it not yet. */
    if (syscall(SYS_pidfd_send_signal, reload->pidfd, number, NULL, 0) < 0 && errno == ENOSYS)
        (void)kill(reload->pid, number);
}

static void finish_failed(struct reload *reload)
{
    _cleanup_free_ char *reason = TAKE_PTR(reload->reason);
    close_channel(reload);
    forget_process(reload);
    loop_timer_disarm(reload->timer);
    reload->phase = PHASE_NONE;
    /* The reload is over; nothing has changed. Where systemd knew the successor as the main process, it does
     * not hear us any more, and ends what is left of the unit: then silence stays. */
    notify_ready(reload->options.notify, now_monotonic());
    reload->options.on_failed(reload->options.userdata, reason);
}

/* The successor is to go; once it has, the reload has failed. */
static void fail(struct reload *reload, int signal_number, usec_t patience, const char *reason)
{
    if (reload->phase == PHASE_ENDING)
        return;
    reload->reason = xstrdup(reload->told ? reload->told : reason);
    reload->phase = PHASE_ENDING;
    close_channel(reload);
    kill_successor(reload, signal_number);
    loop_timer_arm(reload->timer, patience); /* never, where that is infinite */
}

/* As gently as what it may have begun asks for. */
static void fail_gently(struct reload *reload, const char *reason)
{
    fail(reload, SIGTERM, reload->phase == PHASE_STARTING ? END_PATIENCE : DRAIN_PATIENCE, reason);
}

static void tell(struct reload *reload, json_t *message, json_t *document)
{
    _cleanup_close_ int blob = -1;
    int r = document ? blob_new(document, &blob) : 0;
    if (r == 0)
        r = channel_send(reload->channel, message, &blob, blob >= 0 ? 1 : 0, CHANNEL_PATIENCE);
    else
        json_decref(message);
    json_decref(document);
    /* If it is gone, the end of the channel says so next. */
    if (r < 0 && r != -EPIPE)
        journal_log(reload->options.journal, EVENT_WARNING, "cannot talk to the successor: %s, ignoring",
                    strerrordesc_np(-r));
}

static void add_u64(json_t *message, const char *key, uint64_t value)
{
    json_object_set_new(message, key, json_integer((json_int_t)value));
}

static void on_ready(struct reload *reload)
{
    reload->phase = PHASE_GOING;
    reload->ready = now_monotonic();
    tell(reload, channel_message_new("go"), NULL);
}

static void on_serving(struct reload *reload)
{
    const struct reload_options *options = &reload->options;
    reload->phase = PHASE_LEADING;
    /* After the barrier systemd knows the successor as the main process, and hears nobody else. */
    notify_main_pid(options->notify, reload->pid);
    notify_silence(options->notify, true);
    tell(reload, channel_message_new("state"), options->at_lead(options->userdata));
    tell(reload, channel_message_new("lead"), NULL);
}

static void on_leading(struct reload *reload)
{
    reload->phase = PHASE_REPLACED;
    reload->led = now_monotonic();
    loop_timer_disarm(reload->timer);
    forget_process(reload);
    reload->options.on_replaced(reload->options.userdata);
}

static void on_message(struct reload *reload, const struct channel_message *message)
{
    if (streq(message->type, "ready") && reload->phase == PHASE_STARTING) {
        on_ready(reload);
    } else if (streq(message->type, "serving") && reload->phase == PHASE_GOING) {
        on_serving(reload);
    } else if (streq(message->type, "leading") && reload->phase == PHASE_LEADING) {
        on_leading(reload);
    } else if (streq(message->type, "failed") && !reload->told) {
        reload->told = xstrdup(channel_string(message, "reason", "the successor gave no reason"));
    } else if (streq(message->type, "farewell")) {
        reload->farewell = true;
    }
    /* What else a newer release may say is not for us. */
}

static void on_channel(void *userdata)
{
    struct reload *reload = userdata;
    struct channel_message message;
    int r = 0;

    while (reload->channel >= 0 && (r = channel_receive(reload->channel, &message)) == 0) {
        on_message(reload, &message);
        channel_message_deinit(&message);
    }
    if (reload->channel < 0 || r == -EAGAIN)
        return;
    if (reload->phase == PHASE_REPLACED) {
        close_channel(reload);
        reload->options.on_orphaned(reload->options.userdata, reload->farewell);
        return;
    }
    char reason[160];
    snprintf(reason, sizeof(reason),
             "the new process (PID %d) ended without a word %s; its own records may tell why",
             (int)reload->pid,
             reload->phase == PHASE_STARTING ? "while it started" : "as soon as it was to serve");
    fail_gently(reload, reason);
}

static void on_ended(void *userdata)
{
    struct reload *reload = userdata;
    if (reload->phase == PHASE_ENDING) {
        finish_failed(reload);
        return;
    }
    /* What it has said last comes first; the end of the channel follows. */
    reload->pidfd_watch = loop_fd_free(reload->pidfd_watch);
    on_channel(reload);
    if (reload->phase == PHASE_ENDING)
        finish_failed(reload);
}

static void on_timeout(void *userdata)
{
    struct reload *reload = userdata;
    char text[FORMAT_DURATION_MAX], reason[200];

    if (reload->phase == PHASE_ENDING) {
        kill_successor(reload, SIGKILL);
        return;
    }
    snprintf(reason, sizeof(reason), "the new process (PID %d) was not %s within %s (ReloadTimeoutSec=)",
             (int)reload->pid, reload->phase == PHASE_STARTING ? "ready" : "serving",
             format_duration(text, reload->options.timeout));
    if (reload->phase == PHASE_STARTING)
        fail(reload, SIGKILL, END_PATIENCE, reason);
    else
        fail_gently(reload, reason);
}

struct reload *reload_new(const struct reload_options *options)
{
    struct reload *reload = xcalloc(1, sizeof(*reload));
    reload->options = *options;
    reload->pidfd = reload->channel = -1;
    reload->timer = loop_timer_new(options->loop, on_timeout, reload);
    return reload;
}

struct reload *reload_free(struct reload *reload)
{
    if (!reload)
        return NULL;
    /* One that was let accept may have requests, and drains by itself. */
    if (reload->phase != PHASE_REPLACED)
        kill_successor(reload, reload->ready != 0 ? SIGTERM : SIGKILL);
    close_channel(reload);
    forget_process(reload);
    loop_timer_free(reload->timer);
    free(reload->told);
    free(reload->reason);
    free(reload);
    return NULL;
}

static void welcome(struct reload *reload, uint64_t generation)
{
    json_t *message = channel_message_new("welcome");
    json_object_set_new(message, "release", json_string(HOLDFAST_VERSION));
    add_u64(message, "generation", reload->options.generation);
    add_u64(message, "your_generation", generation);
    add_u64(message, "began_usec", reload->began);
    tell(reload, message, reload->options.at_start(reload->options.userdata));
}

int reload_begin(struct reload *reload, uint64_t generation)
{
    assert(reload->phase == PHASE_NONE);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    _cleanup_close_ int theirs = ends[1];
    reload->channel = ends[0];
    reload->began = now_monotonic();
    reload->ready = 0;
    free(TAKE_PTR(reload->told));
    welcome(reload, generation); /* it is there before whom it welcomes */

    notify_reloading(reload->options.notify, reload->began);
    const int r = spawn_successor(reload->options.descriptors, theirs, &reload->pid, &reload->pidfd);
    if (r < 0) {
        close_channel(reload);
        notify_ready(reload->options.notify, now_monotonic());
        return r;
    }
    reload->phase = PHASE_STARTING;
    reload->channel_watch = loop_fd_new(reload->options.loop, reload->channel, on_channel, reload);
    reload->pidfd_watch = loop_fd_new(reload->options.loop, reload->pidfd, on_ended, reload);
    loop_timer_arm(reload->timer, reload->options.timeout);
    return 0;
}

void reload_abort(struct reload *reload, const char *reason)
{
    if (reload_is_running(reload))
        fail(reload, SIGTERM, reload->phase == PHASE_STARTING ? END_PATIENCE : USEC_INFINITY, reason);
}

const char *reload_reason(const struct reload *reload)
{
    return reload->reason;
}

bool reload_is_running(const struct reload *reload)
{
    return reload->phase != PHASE_NONE && reload->phase != PHASE_REPLACED;
}

int reload_channel(const struct reload *reload)
{
    return reload->phase == PHASE_REPLACED ? reload->channel : -1;
}

pid_t reload_pid(const struct reload *reload)
{
    return reload->pid;
}

void reload_times(const struct reload *reload, struct reload_times *ret)
{
    *ret = (struct reload_times){.start = usec_sub(reload->ready, reload->began),
                                 .hand_over = usec_sub(reload->led, reload->ready)};
}
