#pragma once
/* The composition root, shared by the files that it is divided into: gateway.c is its life (states, signals,
 * rounds), build.c makes its parts, follow.c is what succession means for it, restart.c what a restart does.
 * Nobody else includes this. */

#include "admin/admin.h"
#include "gateway/checker.h"
#include "gateway/control.h"
#include "gateway/crew.h"
#include "gateway/exit_status.h"
#include "gateway/heir.h"
#include "gateway/names.h"
#include "gateway/parking.h"
#include "gateway/plan.h"
#include "gateway/preflight.h"
#include "gateway/records.h"
#include "gateway/signals.h"
#include "gateway/snapshot.h"
#include "gateway/state.h"
#include "gateway/stop.h"
#include "gateway/succession.h"
#include "gateway/units.h"
#include "gateway/wanted.h"
#include "lifecycle/flight.h"
#include "lifecycle/notify.h"
#include "lifecycle/watchdog.h"

/* The life of a gateway. gateway_set_state() alone moves from one to the next and does what entering it
 * means. */
enum state {
    STATE_NEW,
    STATE_CHECKING,  /* the start-up checks run */
    STATE_PREPARED,  /* as an heir: all is ready, and the predecessor is to say "go" */
    STATE_ACCEPTING, /* the workers were told to accept, and not all do yet */
    STATE_UNLED,     /* as an heir: they do, and the predecessor is to say "lead" */
    STATE_SERVING,
    STATE_DRAINING,
    STATE_ENDED,
};

/* After a crash of our successor systemd starts the next one only when nothing is left of the unit: so long
 * may what we still have hold that up. */
#define ORPHAN_GRACE (2 * USEC_PER_SEC)

struct gateway {
    struct descriptors *descriptors;
    usec_t began;
    usec_t started_realtime;
    uint64_t generation;
    enum state state;
    int exit_status;
    bool replaced;       /* a successor leads; we drain */
    bool orphaned;       /* the successor was the main process, and has died */
    bool told_to_stop;   /* by a signal */
    struct strbuf fault; /* why we cannot follow our predecessor, for whoever asked for it */
    bool abandoned;      /* a worker does not end: its thread and all that it may touch stay as they are */

    struct journal *journal;
    struct notify *notify;
    struct plan plan;
    struct loop *loop;
    struct metrics *metrics;
    struct roster *roster;
    struct rate_limits *rate_limits;
    struct checker *checker;
    struct names *names; /* NULL: no target is a name */
    struct units *units;
    struct flight *flight;
    struct crew *crew;
    struct control *control;
    struct signals *signals;
    struct preflight *preflight;
    struct watchdog watchdog;
    struct stop stop;
    const char *stop_reason; /* what began it */
    struct lineage lineage;
    enum lineage_origin origin;
    uint64_t crashes_found; /* by this process */
    struct heir *heir;      /* NULL: there is no predecessor */
    struct succession *succession;
    struct parking *parking;           /* at a restart */
    struct wanted_watch *wanted_watch; /* when replaced */
    struct {
        struct moving_connection *items;
        size_t n, size;
    } taken_back; /* from the process before us, until the workers are there */

    usec_t next_round;
    unsigned death_rounds; /* left, to look for a generation that is known to have died */
    size_t wedged;         /* the worker whose standstill was told, or n_workers */
    char status[256];
    struct snapshot *snapshot;
};

/* gateway.c */
void gateway_set_state(struct gateway *gateway, enum state state);
void gateway_end(struct gateway *gateway, int exit_status);
void gateway_on_signal(void *userdata, int number);
void gateway_take_snapshot(void *userdata, struct admin_snapshot *ret);
void gateway_wedge_worker(void *userdata, unsigned worker);

/* build.c */
int gateway_prepare_descriptors(void);
/* Loads the configuration and holds the descriptors to it. Returns the exit status, 0 for going on. */
int gateway_load(struct gateway *gateway, const char *config_file);
uint64_t gateway_next_generation(void *userdata);
void gateway_take_generation(struct gateway *gateway);
/* Builds every part that has threads or descriptors. Returns a negative errno. */
int gateway_build(struct gateway *gateway);
/* Before the first request: from now on an end without a word is a loss. */
void gateway_begin_flight(struct gateway *gateway);

/* follow.c */
void gateway_build_succession(struct gateway *gateway);
int gateway_begin_reload(void *userdata, admin_reload_done done, void *done_userdata, struct strbuf *error);
/* Tells of generations that died, each once. */
void gateway_find_dead(struct gateway *gateway);
struct state_parts gateway_state_parts(struct gateway *gateway);
/* What was counted since it was told last. */
json_t *gateway_describe_counters(struct gateway *gateway);

/* operator.c: what the operator wants of upstreams */
/* What was kept is wanted from now on. */
void gateway_read_wanted(struct gateway *gateway);
/* For the admin API: keeps what is wanted now; and why that cannot be changed, or NULL. */
int gateway_keep_wanted(void *userdata, struct strbuf *error);
const char *gateway_is_busy(void *userdata);
/* Replaced, but with requests that may wait for what the operator tells the successor. */
void gateway_follow_wanted(struct gateway *gateway);

/* restart.c */
/* Whether another process follows, and can have our idle connections: then they go to gateway->parking. */
bool gateway_begin_parking(struct gateway *gateway);
void gateway_finish_parking(struct gateway *gateway);
/* What the process before this one has parked: taken, and, once there are workers, served. */
void gateway_open_parking(struct gateway *gateway);
void gateway_adopt_taken_back(struct gateway *gateway);
