#include "gateway/succession.h"

#include <inttypes.h>

#include "gateway/handover.h"
#include "gateway/heir.h"
#include "gateway/records.h"
#include "lifecycle/blob.h"
#include "lifecycle/spawn.h"

/* A reload is answered when nobody is accepted here any more: a worker that hangs is waited for so long, and
 * looked at so often. */
#define SETTLE_PATIENCE USEC_PER_SEC
#define SETTLE_INTERVAL USEC_PER_MSEC

struct succession {
    struct succession_options options;
    struct heir *heir;
    struct reload *reload;
    struct ancestors *ancestors;
    struct handover *handover; /* to the successor, once there is one */
    uint64_t next;             /* the number of the successor that was started last */
    succession_done done;      /* of the reload that is under way */
    void *done_userdata;
    struct succession_outcome outcome; /* of one that has succeeded and is to be settled */
    usec_t settle_by;                  /* … by then; USEC_INFINITY: there is none */
};

static void settle(struct succession *succession, const struct succession_outcome *outcome)
{
    if (succession->done)
        TAKE_PTR(succession->done)(succession->done_userdata, outcome);
}

/* --- our successor ----------------------------------------------------------------------------------------
 */

static void on_refused(void *userdata, const struct moving_connection *connection)
{
    struct succession *succession = userdata;
    struct moving_connection back = *connection;
    back.stays = true;
    crew_adopt(succession->options.crew, &back); /* which ends it as whatever cannot move */
}

static void on_replaced(void *userdata)
{
    struct succession *succession = userdata;
    const struct succession_options *options = &succession->options;
    const struct handover_options handover = {
        .loop = options->loop,
        .config = options->config,
        .channel = reload_channel(succession->reload),
        .patience = CHANNEL_PATIENCE,
        .on_refused = on_refused,
        .userdata = succession,
    };
    succession->handover = handover_new(&handover);
    ancestors_pass_on(succession->ancestors, handover.channel);

    succession->outcome = (struct succession_outcome){.generation = succession->next};
    succession->settle_by = now_monotonic() + SETTLE_PATIENCE;
    reload_times(succession->reload, &succession->outcome.times);
    record_replaced(options->journal, succession->next, reload_pid(succession->reload),
                    &succession->outcome.times);
    options->on_replaced(options->userdata, succession->next);
}

bool succession_is_settled(const struct succession *succession)
{
    return succession->settle_by == USEC_INFINITY;
}

static void settle_success(struct succession *succession)
{
    settle(succession, &succession->outcome);
    succession->settle_by = USEC_INFINITY;
}

usec_t succession_step(struct succession *succession, usec_t now)
{
    if (crew_look(succession->options.crew)->n_accepting > 0 && now < succession->settle_by)
        return now + SETTLE_INTERVAL;
    settle_success(succession);
    return now;
}

static void on_failed(void *userdata, const char *reason)
{
    struct succession *succession = userdata;
    const struct succession_options *options = &succession->options;

    record_reload_failed(options->journal, succession->next, reason);
    options->on_failed(options->userdata, reason);
    settle(succession, &(struct succession_outcome){.reason = reason});
}

static void on_orphaned(void *userdata, bool orderly)
{
    struct succession *succession = userdata;
    handover_lose(succession->handover);
    succession->options.on_orphaned(succession->options.userdata, orderly);
}

static json_t *at_start(void *userdata)
{
    struct succession *succession = userdata;
    return succession->options.at_start(succession->options.userdata);
}

static json_t *at_lead(void *userdata)
{
    struct succession *succession = userdata;
    return succession->options.at_lead(succession->options.userdata);
}

static int check_generations(struct succession *succession, struct strbuf *error)
{
    const size_t n = ancestors_count(succession->ancestors);
    const unsigned max = succession->options.config->gateway.max_generations;
    if (n + 2 <= max)
        return 0;
    strbuf_addf(error, "%zu generation%s before this one still drain%s (", n, n == 1 ? "" : "s",
                n == 1 ? "s" : "");
    for (size_t i = 0; i < n; i++)
        strbuf_addf(error, "%s%" PRIu64, i > 0 ? ", " : "",
                    ancestors_get(succession->ancestors, i)->generation);
    strbuf_addf(
        error,
        "), and MaxGenerations=%u allows no more: wait for one to end (holdfastctl status shows what they "
        "still have), or raise MaxGenerations=",
        max);
    return -EBUSY;
}

int succession_reload(struct succession *succession, succession_done done, void *userdata,
                      struct strbuf *error)
{
    const struct succession_options *options = &succession->options;
    if (reload_is_running(succession->reload)) {
        strbuf_addf(error, "a reload is under way already (generation %" PRIu64 " is starting)",
                    succession->next);
        return -EALREADY;
    }
    if (getpid() == 1) {
        strbuf_add_string(error, "this process is PID 1: all others would end with it, its successor, too");
        return -ENOTSUP;
    }
    int r = check_generations(succession, error);
    if (r < 0)
        return r;
    succession->next = options->next_generation(options->userdata);
    record_reload(options->journal, succession->next);
    r = reload_begin(succession->reload, succession->next);
    if (r < 0) {
        strbuf_addf(error, "cannot start %s: %s", spawn_executable(), strerrordesc_np(-r));
        record_reload_failed(options->journal, succession->next, strbuf_string(error));
        options->on_failed(options->userdata, strbuf_string(error));
        return r;
    }
    succession->done = done;
    succession->done_userdata = userdata;
    return 0;
}

bool succession_is_reloading(const struct succession *succession)
{
    return reload_is_running(succession->reload);
}

void succession_abort(struct succession *succession, const char *reason)
{
    reload_abort(succession->reload, reason);
}

bool succession_takes(const struct succession *succession)
{
    return succession->handover && reload_channel(succession->reload) >= 0;
}

void succession_take(void *userdata, const struct moving_connection *connection)
{
    struct succession *succession = userdata;
    handover_take(succession->handover, connection);
}

void succession_flush(void *userdata)
{
    struct succession *succession = userdata;
    if (succession->handover)
        handover_flush(succession->handover);
}

static void tell(struct succession *succession, json_t *message, json_t *document)
{
    const int channel = reload_channel(succession->reload);
    _cleanup_close_ int blob = -1;
    if (document && blob_new(document, &blob) < 0)
        blob = -1;
    json_decref(document);
    if (channel < 0)
        json_decref(message);
    else
        (void)!channel_send(channel, message, &blob, blob >= 0 ? 1 : 0, 0);
}

static void add_u64(json_t *message, const char *key, uint64_t value)
{
    json_object_set_new(message, key, json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX)));
}

void succession_tell_progress(struct succession *succession, const struct crew_state *crew, usec_t deadline,
                              json_t *counters)
{
    json_t *message = channel_message_new("progress");
    add_u64(message, "generation", succession->options.generation);
    add_u64(message, "requests", crew->requests);
    add_u64(message, "connections", crew->connections);
    if (deadline != USEC_INFINITY)
        add_u64(message, "deadline_usec", deadline);
    tell(succession, message, NULL);
    if (counters)
        tell(succession, channel_message_new("counters"), counters);
}

static uint64_t refused(const struct succession *succession)
{
    struct handover_counts counts = {0};
    if (succession->handover)
        handover_counts(succession->handover, &counts);
    return counts.refused;
}

void succession_tell_farewell(struct succession *succession, uint64_t answered, uint64_t cut,
                              json_t *counters)
{
    succession_flush(succession); /* what the workers gave away last */
    if (counters)
        tell(succession, channel_message_new("counters"), counters);
    json_t *message = channel_message_new("farewell");
    add_u64(message, "generation", succession->options.generation);
    add_u64(message, "answered", answered);
    add_u64(message, "cut", cut);
    add_u64(message, "moved", succession_moved(succession));
    add_u64(message, "not_moved", refused(succession));
    tell(succession, message, NULL);
}

uint64_t succession_moved(const struct succession *succession)
{
    struct handover_counts counts = {0};
    if (succession->handover)
        handover_counts(succession->handover, &counts);
    return counts.moved;
}

/* --- our predecessors -------------------------------------------------------------------------------------
 */

static void adopt(void *userdata, const struct moving_connection *connection)
{
    struct succession *succession = userdata;
    crew_adopt(succession->options.crew, connection);
    succession->options.on_moved(succession->options.userdata);
}

static void on_connections(void *userdata, struct channel_message *message)
{
    struct succession *succession = userdata;
    handover_receive(succession->options.config, message, adopt, succession);
}

static void on_counters(void *userdata, const json_t *document)
{
    struct succession *succession = userdata;
    succession->options.on_counters(succession->options.userdata, document);
}

static void on_ancestor_end(void *userdata, const struct ancestor *ancestor)
{
    struct succession *succession = userdata;
    succession->options.on_ancestor_end(succession->options.userdata, ancestor);
}

void succession_take_last(struct succession *succession)
{
    ancestors_take_last(succession->ancestors);
}

void succession_leave(struct succession *succession)
{
    ancestors_tell(succession->ancestors, "farewell");
}

/* --- as an heir -------------------------------------------------------------------------------------------
 */

static void on_go(void *userdata)
{
    struct succession *succession = userdata;
    succession->options.on_go(succession->options.userdata);
}

static void on_lead(void *userdata, const json_t *document)
{
    struct succession *succession = userdata;
    succession->options.on_lead(succession->options.userdata, document);
}

static void on_disowned(void *userdata, const char *reason)
{
    struct succession *succession = userdata;
    succession->options.on_disowned(succession->options.userdata, reason);
}

void succession_ready(struct succession *succession)
{
    if (succession->heir)
        heir_ready(succession->heir);
}

void succession_accepting(struct succession *succession)
{
    if (succession->heir)
        heir_serving(succession->heir);
}

void succession_leading(struct succession *succession)
{
    if (!succession->heir)
        return;
    const uint64_t predecessor = heir_predecessor(succession->heir);
    const int channel = heir_leading(succession->heir);
    if (channel >= 0)
        ancestors_add(succession->ancestors, channel, predecessor);
}

void succession_settle(struct succession *succession)
{
    const char *reason = reload_reason(succession->reload);
    if (!succession_is_settled(succession))
        settle_success(succession);
    else
        settle(succession, &(struct succession_outcome){.reason = reason ? reason : "the gateway has ended"});
}

/* --- life -------------------------------------------------------------------------------------------------
 */

struct succession *succession_new(const struct succession_options *options)
{
    struct succession *succession = xcalloc(1, sizeof(*succession));
    succession->options = *options;
    succession->heir = options->heir;
    succession->settle_by = USEC_INFINITY;
    succession->reload = reload_new(&(struct reload_options){
        .loop = options->loop,
        .journal = options->journal,
        .notify = options->notify,
        .descriptors = options->descriptors,
        .generation = options->generation,
        .timeout = options->config->gateway.reload_timeout,
        .at_start = at_start,
        .at_lead = at_lead,
        .on_replaced = on_replaced,
        .on_failed = on_failed,
        .on_orphaned = on_orphaned,
        .userdata = succession,
    });
    succession->ancestors = ancestors_new(&(struct ancestors_options){
        .loop = options->loop,
        .on_connections = on_connections,
        .on_counters = on_counters,
        .on_end = on_ancestor_end,
        .userdata = succession,
    });
    if (succession->heir)
        heir_attach(succession->heir, options->loop,
                    &(struct heir_events){on_go, on_lead, on_disowned, succession});
    return succession;
}

struct succession *succession_free(struct succession *succession)
{
    if (!succession)
        return NULL;
    succession_settle(succession);
    handover_free(succession->handover);
    ancestors_free(succession->ancestors);
    reload_free(succession->reload);
    free(succession);
    return NULL;
}

const struct ancestors *succession_ancestors(const struct succession *succession)
{
    return succession->ancestors;
}
