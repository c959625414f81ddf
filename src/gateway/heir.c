#include "gateway/heir.h"

#include "lifecycle/blob.h"
#include "lifecycle/channel.h"

/* How long the predecessor may leave us waiting. It answers from its loop; but it may be stopped, or wedged.
 */
#define PATIENCE (60 * USEC_PER_SEC)

enum phase {
    PHASE_STARTING,
    PHASE_READY,
    PHASE_GOING,
    PHASE_SERVING,
    PHASE_LEADING,
    PHASE_DISOWNED,
};

struct heir {
    enum phase phase;
    int channel;
    uint64_t predecessor, generation;
    usec_t began, ready, led;
    json_t *document;
    struct loop_fd *watch;
    struct loop_timer *timer;
    struct heir_events events;
};

static void take_document(struct heir *heir, const struct channel_message *message)
{
    json_t *document;
    if (message->n_fds == 0 || blob_read(message->fds[0], &document) < 0)
        return;
    json_decref(heir->document);
    heir->document = document;
}

static void disown(struct heir *heir, const char *reason)
{
    if (heir->phase == PHASE_DISOWNED)
        return;
    heir->phase = PHASE_DISOWNED;
    loop_timer_disarm(heir->timer);
    heir->watch = loop_fd_free(heir->watch);
    close_and_forget(&heir->channel);
    heir->events.on_disowned(heir->events.userdata, reason);
}

static void on_timeout(void *userdata)
{
    disown(userdata, "the predecessor has fallen silent");
}

static void on_message(struct heir *heir, const struct channel_message *message)
{
    if (streq(message->type, "welcome") && heir->phase == PHASE_STARTING) {
        heir->predecessor = channel_u64(message, "generation", 0);
        heir->generation = channel_u64(message, "your_generation", 0);
        heir->began = usec_min(channel_u64(message, "began_usec", USEC_INFINITY), now_monotonic());
        take_document(heir, message);
    } else if (streq(message->type, "go") && heir->phase == PHASE_READY) {
        heir->phase = PHASE_GOING;
        loop_timer_disarm(heir->timer);
        heir->events.on_go(heir->events.userdata);
    } else if (streq(message->type, "state") && heir->phase == PHASE_SERVING) {
        take_document(heir, message);
    } else if (streq(message->type, "lead") && heir->phase == PHASE_SERVING) {
        heir->phase = PHASE_LEADING;
        heir->led = now_monotonic();
        loop_timer_disarm(heir->timer);
        heir->events.on_lead(heir->events.userdata, heir->document);
    }
}

/* A channel that we lead with is no longer ours to read. */
static void on_channel(void *userdata)
{
    struct heir *heir = userdata;
    struct channel_message message;
    int r = -EAGAIN;

    while (heir->channel >= 0 && heir->phase != PHASE_LEADING &&
           (r = channel_receive(heir->channel, &message)) == 0) {
        on_message(heir, &message);
        channel_message_deinit(&message);
    }
    if (heir->channel >= 0 && heir->phase != PHASE_LEADING && r != -EAGAIN)
        disown(heir, "the predecessor has ended the reload");
}

struct heir *heir_new(int channel)
{
    struct heir *heir = xcalloc(1, sizeof(*heir));
    struct channel_message message;

    heir->channel = channel;
    /* It was sent before this process was started. */
    if (channel_receive(channel, &message) == 0) {
        on_message(heir, &message);
        channel_message_deinit(&message);
    }
    return heir;
}

struct heir *heir_free(struct heir *heir)
{
    if (!heir)
        return NULL;
    loop_fd_free(heir->watch);
    loop_timer_free(heir->timer);
    close_and_forget(&heir->channel);
    json_decref(heir->document);
    free(heir);
    return NULL;
}

uint64_t heir_predecessor(const struct heir *heir)
{
    return heir->predecessor;
}

uint64_t heir_generation(const struct heir *heir)
{
    return heir->generation;
}

void heir_times(const struct heir *heir, usec_t *ret_start, usec_t *ret_hand_over)
{
    *ret_start = usec_sub(heir->ready, heir->began);
    *ret_hand_over = usec_sub(heir->led, heir->ready);
}

const json_t *heir_document(const struct heir *heir)
{
    return heir->document;
}

void heir_attach(struct heir *heir, struct loop *loop, const struct heir_events *events)
{
    heir->events = *events;
    heir->timer = loop_timer_new(loop, on_timeout, heir);
    heir->watch = loop_fd_new(loop, heir->channel, on_channel, heir);
}

/* A predecessor that is gone shows at the channel's end. */
static void say(struct heir *heir, json_t *message)
{
    if (heir->channel < 0)
        json_decref(message);
    else
        (void)!channel_send(heir->channel, message, NULL, 0, CHANNEL_PATIENCE);
}

void heir_ready(struct heir *heir)
{
    assert(heir->phase == PHASE_STARTING || heir->phase == PHASE_DISOWNED);
    if (heir->phase == PHASE_DISOWNED)
        return;
    heir->phase = PHASE_READY;
    heir->ready = now_monotonic();
    loop_timer_arm(heir->timer, PATIENCE);
    say(heir, channel_message_new("ready"));
}

void heir_serving(struct heir *heir)
{
    if (heir->phase != PHASE_GOING)
        return;
    heir->phase = PHASE_SERVING;
    loop_timer_arm(heir->timer, PATIENCE);
    say(heir, channel_message_new("serving"));
}

int heir_leading(struct heir *heir)
{
    say(heir, channel_message_new("leading"));
    heir->watch = loop_fd_free(heir->watch);
    return TAKE_FD(heir->channel);
}

void heir_failed(struct heir *heir, const char *reason)
{
    json_t *message = channel_message_new("failed");
    json_object_set_new(message, "reason", json_string(reason));
    say(heir, message);
}
