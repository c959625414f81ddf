/* How a unit is followed.
 *
 *  - LoadUnit tells its object path. That is the name, encoded, unless the name is an alias: systemd tells of
 *    changes at the path of the unit's own name only.
 *  - PropertiesChanged at that path is matched before the state is asked for, so nothing falls in between.
 *  - systemd forgets a unit that is inactive and that nothing refers to, and loads it when it is needed. The
 *    first thing it tells of a loaded unit is UnitNew, not its properties: then they are asked for. By
 * GetUnit, which loads nothing: loading a unit only to look at it makes systemd say UnitNew, and UnitRemoved
 * right after, and so on for ever.
 *  - After a daemon-reload a name may stand for something else: everything is asked again.
 *
 * A reply and a signal come in the order in which systemd has sent them, so what comes last is the truth. */

#include "lifecycle/units.h"

#include <sys/epoll.h>
#include <systemd/sd-bus.h>

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE MANAGER ".Manager"
#define UNIT_INTERFACE MANAGER ".Unit"
#define PROPERTIES_INTERFACE "org.freedesktop.DBus.Properties"

#define PAUSE_MIN USEC_PER_SEC
#define PAUSE_MAX (30 * USEC_PER_SEC)

/* A systemd that is silent for so long cannot be asked. It also bounds the bus's welcome: a bus that accepts
 * a connection and says nothing would be waited for by sd-bus for much longer. */
#define CALL_TIMEOUT (10 * USEC_PER_SEC)

/* So much is taken from the bus at once: the loop has other things to do. */
#define BATCH 64

/* So many questions are on their way at once: the bus refuses those of a connection that has 128. */
#define ASKING_MAX 32

/* What is to be asked about a unit, the more thorough the later. */
enum question {
    ASK_NOTHING,
    ASK_GET,  /* GetUnit, then the state */
    ASK_LOAD, /* LoadUnit, then the state */
};

struct unit {
    struct unit_watch *watch;
    struct unit *next;
    char *name;
    char *path;           /* of the object; NULL until it is known */
    sd_bus_slot *match;   /* of changes at this path */
    enum question wanted; /* when nothing is on its way */
    sd_bus_slot *asking;  /* what is on its way */
    char *state;          /* as it was told; NULL: not yet */
};

struct unit_watch {
    unit_changed callback;
    void *userdata;
    struct unit *units;
    unsigned n_asking;
    int epoll;
    sd_bus *bus; /* NULL during a pause */
    bool subscribed;
    int fault;      /* a negative errno: it is to be given up, which a callback of sd-bus cannot do */
    int last_fault; /* why the connection before was */
    usec_t begun;   /* when it was opened */
    usec_t pause;   /* the next one */
    usec_t retry;   /* when the present one is over */
};

static void tell(struct unit *unit, const char *state)
{
    if (unit->state && streq(unit->state, state))
        return;
    free(unit->state);
    unit->state = xstrdup(state);
    unit->watch->callback(unit->watch->userdata, unit->name, unit->state);
}

/* Without it the connection is of no use. */
static void must(struct unit_watch *watch, int r)
{
    if (r < 0 && watch->fault == 0)
        watch->fault = r;
}

/* Whether a reply says that systemd is not there, and not only that something is wrong with one unit. */
static bool is_gone(struct unit_watch *watch, sd_bus_message *reply)
{
    const int error = sd_bus_message_get_errno(reply);
    if (error != ETIMEDOUT && error != ECONNRESET && error != EHOSTUNREACH && error != ENXIO)
        return false;
    must(watch, -error);
    return true;
}

/* --- one unit ---------------------------------------------------------------------------------------------
 */

static void ask_next(struct unit_watch *watch);

static void answered(struct unit *unit)
{
    unit->asking = sd_bus_slot_unref(unit->asking);
    unit->watch->n_asking--;
    ask_next(unit->watch);
}

static int on_active_state(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    struct unit *unit = userdata;
    const char *state;
    if (is_gone(unit->watch, reply))
        return 0;
    if (sd_bus_message_is_method_error(reply, NULL) || sd_bus_message_read(reply, "v", "s", &state) < 0)
        tell(unit, "");
    else
        tell(unit, state);
    answered(unit);
    return 0;
}

static int on_properties_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    struct unit *unit = userdata;
    const char *name, *state;
    if (sd_bus_message_skip(message, "s") < 0 || sd_bus_message_enter_container(message, 'a', "{sv}") < 0)
        return 0;
    while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
        if (sd_bus_message_read(message, "s", &name) < 0)
            return 0;
        if (streq(name, "ActiveState")) {
            if (sd_bus_message_read(message, "v", "s", &state) >= 0)
                tell(unit, state);
            return 0;
        }
        if (sd_bus_message_skip(message, "v") < 0 || sd_bus_message_exit_container(message) < 0)
            return 0;
    }
    return 0;
}

static void follow_path(struct unit *unit, const char *path)
{
    if (unit->path && streq(unit->path, path))
        return;
    free(unit->path);
    unit->path = xstrdup(path);
    unit->match = sd_bus_slot_unref(unit->match);
    char *rule;
    if (asprintf(&rule,
                 "type='signal',sender='" MANAGER "',path='%s',interface='" PROPERTIES_INTERFACE
                 "',member='PropertiesChanged',arg0='" UNIT_INTERFACE "'",
                 path) < 0)
        abort();
    must(unit->watch,
         sd_bus_add_match_async(unit->watch->bus, &unit->match, rule, on_properties_changed, NULL, unit));
    free(rule);
}

static int on_path(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    struct unit *unit = userdata;
    const char *path;
    if (is_gone(unit->watch, reply))
        return 0;
    if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "o", &path) >= 0) {
        follow_path(unit, path);
        unit->asking = sd_bus_slot_unref(unit->asking);
        must(unit->watch,
             sd_bus_call_method_async(unit->watch->bus, &unit->asking, MANAGER, path, PROPERTIES_INTERFACE,
                                      "Get", on_active_state, unit, "ss", UNIT_INTERFACE, "ActiveState"));
        return 0;
    }
    tell(unit, sd_bus_message_is_method_error(reply, MANAGER ".NoSuchUnit") ? "inactive" : "");
    answered(unit);
    return 0;
}

/* Asks what is to be asked, as far as there is room. */
static void ask_next(struct unit_watch *watch)
{
    for (struct unit *unit = watch->units; unit && watch->n_asking < ASKING_MAX; unit = unit->next) {
        if (unit->asking || unit->wanted == ASK_NOTHING)
            continue;
        must(watch, sd_bus_call_method_async(
                        watch->bus, &unit->asking, MANAGER, MANAGER_PATH, MANAGER_INTERFACE,
                        unit->wanted == ASK_LOAD ? "LoadUnit" : "GetUnit", on_path, unit, "s", unit->name));
        unit->wanted = ASK_NOTHING;
        watch->n_asking++;
    }
}

static void ask(struct unit *unit, enum question question)
{
    unit->wanted = MAX(unit->wanted, question);
    ask_next(unit->watch);
}

static void forget(struct unit *unit)
{
    unit->wanted = ASK_NOTHING;
    unit->asking = sd_bus_slot_unref(unit->asking);
    unit->match = sd_bus_slot_unref(unit->match);
    free(unit->path);
    unit->path = NULL;
}

/* --- systemd ----------------------------------------------------------------------------------------------
 */

static void ask_all(struct unit_watch *watch)
{
    for (struct unit *unit = watch->units; unit; unit = unit->next)
        ask(unit, ASK_LOAD);
}

static int on_unit_new_or_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    struct unit_watch *watch = userdata;
    const char *path;
    if (!watch->subscribed || sd_bus_message_read(message, "so", NULL, &path) < 0)
        return 0;
    for (struct unit *unit = watch->units; unit; unit = unit->next)
        if (unit->path && streq(unit->path, path))
            ask(unit, ASK_GET);
    return 0;
}

static int on_reloading(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    struct unit_watch *watch = userdata;
    int begins;
    if (watch->subscribed && sd_bus_message_read(message, "b", &begins) >= 0 && !begins)
        ask_all(watch);
    return 0;
}

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    struct unit_watch *watch = userdata;
    must(watch, -ECONNRESET); /* another systemd, which nobody has subscribed to, or none */
    return 0;
}

static int on_subscribed(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    struct unit_watch *watch = userdata;
    must(watch, -sd_bus_message_get_errno(reply));
    if (watch->fault == 0) {
        watch->subscribed = true;
        ask_all(watch);
    }
    return 0;
}

/* --- the connection ---------------------------------------------------------------------------------------
 */

/* A match without a callback for its own outcome: when the bus does not take it, sd-bus closes the
 * connection, for it would be deaf. */
static void match_manager(struct unit_watch *watch, const char *member, sd_bus_message_handler_t callback)
{
    must(watch, sd_bus_match_signal_async(watch->bus, NULL, MANAGER, MANAGER_PATH, MANAGER_INTERFACE, member,
                                          callback, NULL, watch));
}

/* sd_bus_open_system() only begins: connecting, authentication and the bus's welcome come with
 * sd_bus_process(), and what is sent meanwhile waits in a queue. */
static void begin(struct unit_watch *watch, usec_t now)
{
    watch->begun = now;
    watch->fault = 0;
    must(watch, sd_bus_open_system(&watch->bus));
    if (watch->fault < 0)
        return;
    must(watch, sd_bus_set_method_call_timeout(watch->bus, CALL_TIMEOUT));
    must(watch, sd_bus_add_match_async(watch->bus, NULL,
                                       "type='signal',sender='org.freedesktop.DBus',"
                                       "path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
                                       "member='NameOwnerChanged',arg0='" MANAGER "'",
                                       on_owner_changed, NULL, watch));
    match_manager(watch, "UnitNew", on_unit_new_or_removed);
    match_manager(watch, "UnitRemoved", on_unit_new_or_removed);
    match_manager(watch, "Reloading", on_reloading);
    must(watch, sd_bus_call_method_async(watch->bus, NULL, MANAGER, MANAGER_PATH, MANAGER_INTERFACE,
                                         "Subscribe", on_subscribed, watch, NULL));
}

static void disconnect(struct unit_watch *watch)
{
    sd_bus_close(watch->bus); /* first: nothing more is to be sent for what is dropped now */
    for (struct unit *unit = watch->units; unit; unit = unit->next)
        forget(unit);
    watch->bus = sd_bus_unref(watch->bus);
    watch->n_asking = 0;
    watch->subscribed = false;
}

static void give_up(struct unit_watch *watch, usec_t now)
{
    if (watch->subscribed && usec_sub(now, watch->begun) >= PAUSE_MAX)
        watch->pause = PAUSE_MIN;
    watch->retry = usec_add(now, watch->pause);
    watch->pause = usec_min(2 * watch->pause, PAUSE_MAX);
    watch->last_fault = watch->fault;
    disconnect(watch);
    for (struct unit *unit = watch->units; unit; unit = unit->next)
        tell(unit, "");
}

/* What sd-bus waits for changes as it goes on, and so may its descriptor while it connects. */
static void attend(struct unit_watch *watch)
{
    const int fd = sd_bus_get_fd(watch->bus);
    const int events = sd_bus_get_events(watch->bus);
    must(watch, fd);
    must(watch, events);
    if (watch->fault < 0)
        return;
    struct epoll_event event = {.events = (uint32_t)events}; /* POLLIN is EPOLLIN, and so on */
    if (epoll_ctl(watch->epoll, EPOLL_CTL_MOD, fd, &event) < 0 &&
        (errno != ENOENT || epoll_ctl(watch->epoll, EPOLL_CTL_ADD, fd, &event) < 0))
        must(watch, -errno);
}

void unit_watch_process(struct unit_watch *watch, usec_t now)
{
    if (!watch->bus) {
        if (now < watch->retry)
            return;
        begin(watch, now);
    }
    int r = 1;
    for (unsigned n = 0; n < BATCH && r > 0 && watch->fault == 0; n++) {
        r = sd_bus_process(watch->bus, NULL);
        must(watch, r);
    }
    if (!watch->subscribed && now >= usec_add(watch->begun, CALL_TIMEOUT))
        must(watch, -ETIMEDOUT);
    if (watch->fault == 0)
        attend(watch);
    if (watch->fault < 0)
        give_up(watch, now);
}

usec_t unit_watch_due(const struct unit_watch *watch)
{
    if (!watch->bus)
        return watch->retry;
    uint64_t due;
    if (sd_bus_get_timeout(watch->bus, &due) <= 0)
        due = USEC_INFINITY;
    return watch->subscribed ? due : usec_min(due, usec_add(watch->begun, CALL_TIMEOUT));
}

int unit_watch_fd(const struct unit_watch *watch)
{
    return watch->epoll;
}

int unit_watch_fault(const struct unit_watch *watch)
{
    return watch->subscribed ? 0 : watch->last_fault;
}

/* --- what is watched --------------------------------------------------------------------------------------
 */

static struct unit *find(const struct unit_watch *watch, const char *name)
{
    for (struct unit *unit = watch->units; unit; unit = unit->next)
        if (streq(unit->name, name))
            return unit;
    return NULL;
}

void unit_watch_add(struct unit_watch *watch, const char *name)
{
    if (find(watch, name))
        return;
    struct unit *unit = xcalloc(1, sizeof(*unit));
    *unit = (struct unit){.watch = watch, .next = watch->units, .name = xstrdup(name)};
    watch->units = unit;
    if (watch->subscribed)
        ask(unit, ASK_LOAD);
}

const char *unit_watch_state(const struct unit_watch *watch, const char *name)
{
    const struct unit *unit = find(watch, name);
    return unit ? unit->state : NULL;
}

int unit_watch_new(struct unit_watch **ret, unit_changed callback, void *userdata)
{
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return -errno;
    struct unit_watch *watch = xcalloc(1, sizeof(*watch));
    *watch =
        (struct unit_watch){.callback = callback, .userdata = userdata, .epoll = epoll, .pause = PAUSE_MIN};
    *ret = watch;
    return 0;
}

struct unit_watch *unit_watch_free(struct unit_watch *watch)
{
    if (!watch)
        return NULL;
    disconnect(watch);
    while (watch->units) {
        struct unit *unit = watch->units;
        watch->units = unit->next;
        free(unit->name);
        free(unit->state);
        free(unit);
    }
    close(watch->epoll);
    free(watch);
    return NULL;
}
