#pragma once
/* Being replaced: the predecessor's side of a reload, until it is over.
 *
 *   begin ─► successor starts ─► "ready" ─► "go" ─► it accepts: "serving" ─► MAINPID=, "lead" ─► "leading":
 * replaced │                   │                   │                                │ └────── anything wrong,
 * or too late: it is ended, and nothing has changed: failed ◄──┘
 *
 * The successor accepts before systemd is told of it, not after: should it die at once, this process is still
 * the main process of its unit and has never stopped serving. It stops only when the successor has said
 * READY. */

#include <jansson.h>

#include "http/loop.h"
#include "journal/journal.h"
#include "lifecycle/descriptors.h"
#include "lifecycle/notify.h"

struct reload;

struct reload_options {
    struct loop *loop;
    struct journal *journal;
    struct notify *notify;
    const struct descriptors *descriptors;
    uint64_t generation; /* ours */
    usec_t timeout;      /* until the successor is ready */
    /* What the successor is to know: at its start, and when it leads. The reference is the caller's; NULL:
     * nothing. */
    json_t *(*at_start)(void *userdata);
    json_t *(*at_lead)(void *userdata);
    /* The successor serves and is the main process: this one is silent, and is to stop accepting and drain.
     */
    void (*on_replaced)(void *userdata);
    /* The reload has failed and the successor is gone; `reason` is for people. If it was the main process
     * already, this one is silent. */
    void (*on_failed)(void *userdata, const char *reason);
    /* The successor has ended after it replaced us; orderly, or it died. */
    void (*on_orphaned)(void *userdata, bool orderly);
    void *userdata;
};

struct reload *reload_new(const struct reload_options *options);
/* Ends a successor that does not serve yet. Accepts NULL, returns NULL. */
struct reload *reload_free(struct reload *reload);

/* Starts the successor, which is to be `generation`. Otherwise than by a negative errno the outcome comes by
 * one of the callbacks. At most one reload at a time, and none after one that succeeded. */
int reload_begin(struct reload *reload, uint64_t generation) _warn_unused_;
/* Gives up a reload that is under way, since we are told to stop: on_failed follows. A successor that accepts
 * has as long for its requests as a stop of the unit grants. */
void reload_abort(struct reload *reload, const char *reason);
/* Why a reload that is being given up has failed, before on_failed says so; else NULL. */
const char *reload_reason(const struct reload *reload);
bool reload_is_running(const struct reload *reload);
/* Once replaced: the channel to the successor, -1 when it has ended. It stays the reload's. */
int reload_channel(const struct reload *reload);
/* Of the last successor. */
pid_t reload_pid(const struct reload *reload);

struct reload_times {
    usec_t start;     /* from the request until the successor was ready */
    usec_t hand_over; /* from then until it led and had said so to systemd */
};
void reload_times(const struct reload *reload, struct reload_times *ret);
