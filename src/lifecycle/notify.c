#include <inttypes.h>

#include <systemd/sd-daemon.h>

#include "lifecycle/notify.h"
#include "util/strbuf.h"

#define STATUS_INTERVAL USEC_PER_SEC

struct notify {
    bool silent;
    bool stopping; /* that was said, and is the last word */
    usec_t watchdog;
    struct strbuf status; /* the newest */
    bool waits;           /* it was not sent yet */
    usec_t last_status;   /* when one was sent last; 0: never */
};

struct notify *notify_new(void)
{
    struct notify *notify = xcalloc(1, sizeof(*notify));
    uint64_t timeout;
    if (sd_watchdog_enabled(false, &timeout) > 0)
        notify->watchdog = timeout;
    return notify;
}

struct notify *notify_free(struct notify *notify)
{
    if (!notify)
        return NULL;
    strbuf_deinit(&notify->status);
    free(notify);
    return NULL;
}

/* A manager that does not listen is none of the gateway's troubles: the result is ignored. */
static void say(const struct notify *notify, const char *state)
{
    if (!notify->silent)
        (void)sd_notify(false, state);
}

static void send_status(struct notify *notify, usec_t now)
{
    _cleanup_strbuf_ struct strbuf state = STRBUF_INIT;
    strbuf_addf(&state, "STATUS=%s", strbuf_string(&notify->status));
    say(notify, strbuf_string(&state));
    notify->waits = false;
    notify->last_status = now;
}

void notify_ready(struct notify *notify, usec_t now)
{
    if (notify->stopping)
        return;
    say(notify, "READY=1");
    if (notify->waits)
        send_status(notify, now);
}

void notify_reloading(struct notify *notify, usec_t now)
{
    char state[64];
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now);
    say(notify, state);
}

void notify_main_pid(struct notify *notify, pid_t pid)
{
    char state[64];
    snprintf(state, sizeof(state), "MAINPID=%d", (int)pid);
    say(notify, state);
    if (!notify->silent)
        (void)sd_notify_barrier(false, USEC_PER_SEC);
}

void notify_stopping(struct notify *notify, usec_t now)
{
    say(notify, "STOPPING=1");
    notify->stopping = true;
    if (notify->waits)
        send_status(notify, now);
}

static usec_t status_allowed(const struct notify *notify)
{
    return notify->last_status == 0 ? 0 : usec_add(notify->last_status, STATUS_INTERVAL);
}

usec_t notify_status(struct notify *notify, usec_t now, const char *format, ...)
{
    struct strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&text, format, args);
    va_end(args);
    /* One line is one assignment. */
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '\n' || text.data[i] == '\0')
            text.data[i] = ' ';

    const bool same =
        slice_eq(slice_make(text.data, text.size), slice_make(notify->status.data, notify->status.size));
    if (same && notify->last_status > 0) {
        strbuf_deinit(&text);
    } else {
        strbuf_deinit(&notify->status);
        notify->status = text;
        notify->waits = true;
    }
    return notify_due(notify, now);
}

usec_t notify_due(struct notify *notify, usec_t now)
{
    if (!notify->waits || notify->silent)
        return USEC_INFINITY;
    if (now < status_allowed(notify))
        return status_allowed(notify);
    send_status(notify, now);
    return USEC_INFINITY;
}

int notify_store(struct notify *notify, const char *name, int fd)
{
    if (notify->silent)
        return -ENOTSUP;
    char state[128];
    /* FDPOLL=0: that the other end is closed does not make it worthless. */
    snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
    int r = sd_pid_notify_with_fds(0, false, state, &fd, 1);
    if (r > 0)
        r = sd_notify_barrier(false, USEC_PER_SEC);
    if (r == 0)
        return -ENOTSUP;
    return r < 0 ? r : 0;
}

void notify_unstore(struct notify *notify, const char *name)
{
    _cleanup_strbuf_ struct strbuf state = STRBUF_INIT;
    strbuf_addf(&state, "FDSTOREREMOVE=1\nFDNAME=%s", name);
    say(notify, strbuf_string(&state));
}

void notify_watchdog(struct notify *notify)
{
    say(notify, "WATCHDOG=1");
}

void notify_extend_timeout(struct notify *notify, usec_t by)
{
    char state[64];
    snprintf(state, sizeof(state), "EXTEND_TIMEOUT_USEC=%" PRIu64, by);
    say(notify, state);
}

void notify_silence(struct notify *notify, bool silent)
{
    notify->silent = silent;
}

bool notify_is_silent(const struct notify *notify)
{
    return notify->silent;
}

usec_t notify_watchdog_interval(const struct notify *notify)
{
    return notify->watchdog;
}
