#include <systemd/sd-bus.h>
#include <systemd/sd-id128.h>

#include "lifecycle/bus.h"

#define MANAGER "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define CALL_TIMEOUT USEC_PER_SEC

DEFINE_CLEANUP(sd_bus *, cleanup_bus, sd_bus_close_unref)
#define _cleanup_bus_ _cleanup_(cleanup_bus)
DEFINE_CLEANUP(sd_bus_message *, cleanup_message, sd_bus_message_unref)
#define _cleanup_message_ _cleanup_(cleanup_message)

/* A call and what became of it. */
struct call {
    sd_bus_message *reply;
    int result; /* once `done` */
    bool done;
};

static int on_reply(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    struct call *call = userdata;
    call->done = true;
    call->result = -sd_bus_message_get_errno(message);
    if (call->result == 0)
        call->reply = sd_bus_message_ref(message);
    return 0;
}

/* sd_bus_call() would wait for the connection's authentication far longer than for the reply; this waits
 * until `deadline` for everything. Consumes `request`. */
static int call_until(sd_bus *bus, sd_bus_message *request, usec_t deadline, sd_bus_message **ret)
{
    struct call call = {0};
    sd_bus_slot *slot = NULL;
    int r = sd_bus_call_async(bus, &slot, request, on_reply, &call, CALL_TIMEOUT);
    sd_bus_message_unref(request);
    while (r >= 0 && !call.done) {
        r = sd_bus_process(bus, NULL);
        if (r != 0)
            continue;
        const usec_t now = now_monotonic();
        if (now >= deadline)
            r = -ETIMEDOUT;
        else
            r = sd_bus_wait(bus, deadline - now);
        if (r == -EINTR)
            r = 0;
    }
    sd_bus_slot_unref(slot);
    if (call.done && call.result == 0) {
        *ret = call.reply;
        return 0;
    }
    sd_bus_message_unref(call.reply);
    return call.done ? call.result : r;
}

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *property,
                        const char *type, usec_t deadline, sd_bus_message **ret)
{
    sd_bus_message *request = NULL;
    int r = sd_bus_message_new_method_call(bus, &request, MANAGER, path, "org.freedesktop.DBus.Properties",
                                           "Get");
    if (r >= 0)
        r = sd_bus_message_append(request, "ss", interface, property);
    if (r < 0) {
        sd_bus_message_unref(request);
        return r;
    }
    _cleanup_message_ sd_bus_message *reply = NULL;
    r = call_until(bus, request, deadline, &reply);
    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'v', type);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(reply);
    return 0;
}

/* Whether the unit at `path` is the one that this process was started as. In a login session or under a
 * user's manager the system's manager names the unit around it, whose settings are none of ours. */
static int check_invocation(sd_bus *bus, const char *path, usec_t deadline)
{
    sd_id128_t ours;
    if (sd_id128_get_invocation(&ours) < 0)
        return -ENXIO;
    _cleanup_message_ sd_bus_message *reply = NULL;
    const void *theirs;
    size_t size;
    int r = get_property(bus, path, MANAGER ".Unit", "InvocationID", "ay", deadline, &reply);
    if (r >= 0)
        r = sd_bus_message_read_array(reply, 'y', &theirs, &size);
    if (r < 0)
        return r;
    return size == sizeof(ours) && memcmp(theirs, &ours, size) == 0 ? 0 : -ENXIO;
}

/* Connects and finds our unit's object path; the caller frees both. */
static int find_own_unit(sd_bus **ret_bus, char **ret_path, usec_t deadline)
{
    _cleanup_bus_ sd_bus *bus = NULL;
    int r = sd_bus_open_system(&bus);
    if (r < 0)
        return r;
    sd_bus_message *request = NULL;
    r = sd_bus_message_new_method_call(bus, &request, MANAGER, MANAGER_PATH, MANAGER ".Manager",
                                       "GetUnitByPID");
    if (r >= 0)
        r = sd_bus_message_append(request, "u", 0); /* 0 is the caller, in whatever PID namespace */
    if (r < 0) {
        sd_bus_message_unref(request);
        return r;
    }
    _cleanup_message_ sd_bus_message *reply = NULL;
    r = call_until(bus, request, deadline, &reply);
    const char *path = NULL;
    if (r >= 0)
        r = sd_bus_message_read(reply, "o", &path);
    if (r >= 0)
        r = check_invocation(bus, path, deadline);
    if (r < 0)
        return r;
    *ret_path = xstrdup(path);
    *ret_bus = TAKE_PTR(bus);
    return 0;
}

int bus_timeout_stop(usec_t *ret)
{
    const usec_t deadline = now_monotonic() + CALL_TIMEOUT;
    _cleanup_bus_ sd_bus *bus = NULL;
    _cleanup_free_ char *path = NULL;
    int r = find_own_unit(&bus, &path, deadline);
    if (r < 0)
        return r;
    _cleanup_message_ sd_bus_message *reply = NULL;
    uint64_t timeout;
    r = get_property(bus, path, MANAGER ".Service", "TimeoutStopUSec", "t", deadline, &reply);
    if (r >= 0)
        r = sd_bus_message_read(reply, "t", &timeout);
    if (r < 0)
        return r;
    *ret = timeout == 0 ? USEC_INFINITY : timeout;
    return 0;
}

static enum bus_job job_from_string(const char *type)
{
    if (streq(type, "stop"))
        return BUS_JOB_STOP;
    if (streq(type, "restart") || streq(type, "try-restart") || streq(type, "start"))
        return BUS_JOB_RESTART; /* the second half of a restart is called a start */
    return BUS_JOB_OTHER;
}

int bus_unit_job(enum bus_job *ret)
{
    const usec_t deadline = now_monotonic() + CALL_TIMEOUT;
    _cleanup_bus_ sd_bus *bus = NULL;
    _cleanup_free_ char *path = NULL;
    int r = find_own_unit(&bus, &path, deadline);
    if (r < 0)
        return r;
    _cleanup_message_ sd_bus_message *job = NULL, *type = NULL;
    uint32_t id;
    const char *job_path, *name;
    r = get_property(bus, path, MANAGER ".Unit", "Job", "(uo)", deadline, &job);
    if (r >= 0)
        r = sd_bus_message_read(job, "(uo)", &id, &job_path);
    if (r < 0)
        return r;
    if (id == 0) {
        *ret = BUS_JOB_NONE;
        return 0;
    }
    r = get_property(bus, job_path, MANAGER ".Job", "JobType", "s", deadline, &type);
    if (r >= 0)
        r = sd_bus_message_read(type, "s", &name);
    if (r < 0)
        return r;
    *ret = job_from_string(name);
    return 0;
}

struct bus_query {
    sd_bus *bus;
    sd_bus_slot *slot;
    struct call call;
};

int bus_query_new(struct bus_query **ret, const char *unit)
{
    struct bus_query *query = xcalloc(1, sizeof(*query));
    char *path = NULL;
    int r = sd_bus_open_system(&query->bus);
    if (r >= 0)
        r = sd_bus_path_encode(MANAGER_PATH "/unit", unit, &path);
    /* Asking for a property of a unit's path makes the manager load the unit. */
    if (r >= 0)
        r = sd_bus_call_method_async(query->bus, &query->slot, MANAGER, path,
                                     "org.freedesktop.DBus.Properties", "Get", on_reply, &query->call, "ss",
                                     MANAGER ".Unit", "ActiveState");
    free(path);
    if (r < 0) {
        bus_query_free(query);
        return r;
    }
    *ret = query;
    return 0;
}

struct bus_query *bus_query_free(struct bus_query *query)
{
    if (!query)
        return NULL;
    sd_bus_slot_unref(query->slot);
    sd_bus_message_unref(query->call.reply);
    sd_bus_close_unref(query->bus);
    free(query);
    return NULL;
}

void bus_query_prepare(const struct bus_query *query, struct pollfd *ret_poll, usec_t *ret_until)
{
    const int events = sd_bus_get_events(query->bus);
    uint64_t until;
    *ret_poll = (struct pollfd){.fd = sd_bus_get_fd(query->bus), .events = (short)(events < 0 ? 0 : events)};
    *ret_until = sd_bus_get_timeout(query->bus, &until) < 0 ? USEC_INFINITY : until;
}

int bus_query_step(struct bus_query *query, char **ret)
{
    int r;
    do
        r = sd_bus_process(query->bus, NULL);
    while (r > 0 && !query->call.done);
    if (!query->call.done)
        return r;
    if (query->call.result < 0)
        return query->call.result;
    const char *state;
    r = sd_bus_message_read(query->call.reply, "v", "s", &state);
    if (r < 0)
        return r;
    *ret = xstrdup(state);
    return 1;
}
