#pragma once
/* What one worker has of one upstream: a balance and pools, derived from the roster whenever that changes;
 * the retry budget; and the requests that it holds. */

#include <stdatomic.h>

#include "http/h2o.h"
#include "http/loop.h"
#include "upstream/balance.h"
#include "upstream/budget.h"
#include "upstream/client.h"
#include "upstream/hold.h"
#include "upstream/roster.h"

struct server;
struct proxy;

struct server_target; /* one slot of the roster, as this worker has it */

struct server_upstream {
    struct server *server;
    const struct upstream_config *config;
    bool derived;     /* … at least once */
    unsigned version; /* of the roster, that all this comes from */
    struct balance_set *balance;
    struct server_target *targets; /* config->n_slots */
    struct list retired;           /* pools of targets that have gone, while requests are under way */
    struct budget budget;
    struct hold_queue hold;
    struct loop_timer *hold_timer;
    bool releasing;
    atomic_bool woken; /* a message about it is under way */
};

void server_upstream_init(struct server_upstream *upstream, struct server *server,
                          const struct upstream_config *config);
/* No request may be left. */
void server_upstream_deinit(struct server_upstream *upstream);

struct server_choice {
    uint64_t hash;         /* for Balance=hash */
    uint64_t sticky;       /* the key of the target that the client's cookie names; 0: none */
    const uint64_t *tried; /* a bit per slot */
    size_t n_tried;
    bool fresh; /* it will not go over a kept connection */
    bool any;   /* when none is ready: one that only seems to be down */
};
/* Picks a target that has room, and takes a place there. NULL when there is none. */
const struct target_config *server_upstream_pick(struct server_upstream *upstream,
                                                 const struct server_choice *choice, usec_t now,
                                                 struct roster_permit *ret_permit);
/* The one that a cookie names, if that gets no new clients: nobody in the queue waits for it. NULL otherwise,
 * and when it has no room. */
const struct target_config *server_upstream_pick_drained(struct server_upstream *upstream,
                                                         const struct server_choice *choice, usec_t now,
                                                         struct roster_permit *ret_permit);
/* Whether there is a ready target that was not tried. */
bool server_upstream_has_other(struct server_upstream *upstream, const struct server_choice *choice);
struct client_pool *server_upstream_pool(struct server_upstream *upstream,
                                         const struct target_config *target);
/* The try is over, or was not made. */
void server_upstream_give_back(struct server_upstream *upstream, const struct target_config *target,
                               const struct roster_permit *permit, const struct try_report *report,
                               usec_t now);

/* Whether a request that comes now has to queue up behind others. */
bool server_upstream_has_queue(const struct server_upstream *upstream);
/* Holds a request; proxy_release() or proxy_expire() follow, from the loop, unless it is taken out before.
 * False when there is no room. `again`: it has its old place, by entry->since. */
bool server_upstream_hold(struct server_upstream *upstream, struct hold_entry *entry, bool again);
/* Harmless when it is not held. */
void server_upstream_unhold(struct server_upstream *upstream, struct hold_entry *entry);
/* Requests wait on other workers, and here are connections that nobody uses: where MaxConnections= is reached
 * one is closed. */
void server_upstream_make_room(struct server_upstream *upstream);
/* Lets those go that may. From the loop only. */
void server_upstream_release(struct server_upstream *upstream);
