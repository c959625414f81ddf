#pragma once
/* The admin API: what it can be asked. Served over the admin socket by a server with this handler, on the
 * control thread. Requests are answered from counters and a snapshot, so that no answer waits for a worker.
 */

#include "config/config.h"
#include "http/handler.h"
#include "metrics/metrics.h"
#include "upstream/roster.h"

enum admin_state {
    ADMIN_STARTING,
    ADMIN_RUNNING,
    ADMIN_DRAINING,
    _ADMIN_STATE_MAX,
};
/* "starting", "running", "draining". */
const char *admin_state_to_string(enum admin_state state);

/* A generation before this one that still drains. */
struct admin_draining {
    uint64_t generation;
    uint64_t requests, connections; /* what it still has */
    usec_t left;                    /* until that is cut; USEC_INFINITY: no limit */
};

/* A generation of the past, or this one. */
struct admin_generation {
    uint64_t generation;
    const char *origin; /* how it began: start, reload, restart, crash */
    const char *release;
    usec_t started_realtime;
};

/* What the API tells; filled in by the gateway at each request. */
struct admin_snapshot {
    enum admin_state state;
    uint64_t generation;
    const char *version;
    const char *status_text; /* what STATUS= says */
    usec_t started_realtime;
    usec_t uptime;
    usec_t drain_deadline; /* left until what is running is cut; USEC_INFINITY: none */
    uint64_t journal_dropped;
    struct {
        size_t connections, idle, requests;
        uint64_t turns;
        bool accepting;
    } * workers; /* borrowed */
    size_t n_workers;
    const struct descriptor_info {
        const char *name, *address;
    } * descriptors; /* borrowed */
    size_t n_descriptors;
    uint64_t places_taken, places;   /* client connections that count, and that there may be */
    uint64_t body_memory, body_disk; /* bytes of request bodies held now */
    struct metrics_lineage lineage;
    const struct admin_draining *draining; /* borrowed, the youngest first */
    size_t n_draining;
    const struct admin_generation *history; /* borrowed, the youngest first */
    size_t n_history;
};

/* How a reload came out. */
struct admin_reload {
    uint64_t generation;     /* the successor's; 0: the reload has failed */
    const char *reason;      /* … why */
    usec_t start, hand_over; /* until the successor was ready; from then until it led */
};
typedef void (*admin_reload_done)(void *userdata, const struct admin_reload *outcome);

/* As whom the gateway runs: who else may change something (admin/access.h). */
struct admin_owner {
    uid_t uid;
    gid_t gid;
};

struct admin_options {
    struct admin_owner owner;
    const struct config *config;
    const struct metrics *metrics;
    struct journal *journal;
    struct roster *roster;
    void (*snapshot)(void *userdata, struct admin_snapshot *ret);
    /* Begins a reload; `done` is called once, later. Or a negative errno, nothing begun, and why: -EALREADY
     * and -EBUSY say that it is not the time. May be NULL. */
    int (*reload)(void *userdata, admin_reload_done done, void *done_userdata, struct strbuf *error);
    /* Why what the operator wants of upstreams cannot be changed now: a reload is under way. NULL: it can.
     * May be NULL. */
    const char *(*busy)(void *userdata);
    /* What the roster says that is wanted was changed, and is to last. Or a negative errno, and why it does
     * not: then the change is taken back. May be NULL. */
    int (*change)(void *userdata, struct strbuf *error);
    /* Test hook, only asked for in builds with hooks: blocks a worker for ever. May be NULL. */
    void (*wedge)(void *userdata, unsigned worker);
    void *userdata;
};

struct admin;
/* What the options point at must outlive the admin. */
struct admin *admin_new(const struct admin_options *options);
/* Accepts NULL, returns NULL. */
struct admin *admin_free(struct admin *admin);
/* Whether a client may change something (see admin/access.h). */
bool admin_is_operator(void *admin, const struct credentials *peer);
/* A request_handler; userdata is the struct admin. */
void admin_handle(void *admin, const struct handler_request *request, struct handler_reply *reply);
