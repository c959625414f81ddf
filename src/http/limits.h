#pragma once
/* How many client connections there may be, counted over all threads: of the gateway, of a listener, of one
 * source. A connection has a place from before it is accepted until nothing is left of it, its lingering
 * close included.
 *
 * Where there is no place, accepting pauses: the kernel's queue holds the clients, and nobody polls. A
 * listener of a thread that pauses waits here for its turn; a place that is given back wakes one that can use
 * it, which wakes the next if it does not. So as long as there is a place, either a wake-up is on its way or
 * somebody polls. Any thread. */

#include "config/config.h"
#include "http/loop.h"
#include "util/ip_address.h"
#include "util/list.h"

struct limits;
struct source;

/* What stands in the way of a connection. */
enum limit {
    LIMIT_NONE,
    LIMIT_GATEWAY,
    LIMIT_LISTENER,
    LIMIT_RESOURCES, /* the process has no descriptor, or the system no memory */
    _LIMIT_MAX,
};

/* What one connection counts as; all zero: as none. */
struct place {
    struct limits *limits;
    const struct listener_config *listener;
    struct source *source; /* NULL: its source is not counted */
};

/* A listener of a thread that waits for a place. */
struct limits_waiter {
    struct list link;
    const struct listener_config *listener;
    struct loop *loop;
    void (*callback)(void *userdata); /* on the loop */
    void *userdata;
};

/* `descriptors`: how many the process may have. */
struct limits *limits_new(const struct config *config, size_t descriptors);
/* Every waiter and every member must have left. Accepts NULL, returns NULL. */
struct limits *limits_free(struct limits *limits);
/* MaxConnections=auto: each connection may need a descriptor for itself, one for its duplicate (HTTP/2, a
 * lingering close), one for its connection to a target or a file; and the process needs some for itself. */
size_t limits_auto(size_t descriptors);

/* Takes a place for a connection that is to be accepted. With NULL for `limits` nothing is counted. */
enum limit limits_take(struct limits *limits, const struct listener_config *listener, struct place *ret);
/* The same where there is none: the connection exists already. */
void limits_take_anyway(struct limits *limits, const struct listener_config *listener, struct place *ret);
/* Counts a connection for its client as well. False when that has MaxConnectionsPerSource= already; `anyway`:
 * never, the connection exists already. */
bool place_take_source(struct place *place, const struct ip_address *client, bool anyway);
void place_give_back(struct place *place);

/* Waits for a place; false when there is one again, and nothing to wait for. */
bool limits_await(struct limits *limits, struct limits_waiter *waiter);
/* It waits no more. What was posted before may still come, until loop_unpost() by its userdata. */
void limits_forget(struct limits *limits, struct limits_waiter *waiter);
/* Somebody was woken who has no use for it. */
void limits_wake_next(struct limits *limits);

/* A thread that can end an idle connection to make room: `shed` does so, of one listener or, with NULL, of
 * any, and says whether there was one. */
void limits_join(struct limits *limits, size_t member, struct loop *loop,
                 bool (*shed)(void *userdata, const struct listener_config *listener), void *userdata);
void limits_leave(struct limits *limits, size_t member);
/* Asks the other threads, one after the other, until one of them has done so. */
void limits_ask_to_shed(struct limits *limits, size_t member, const struct listener_config *listener);

/* Pauses that are no further apart belong to one episode. */
#define LIMITS_EPISODE_GAP (10 * USEC_PER_SEC)
/* Whether a pause begins an episode that is to be told, rather than goes on with one. */
bool limits_pause_is_news(struct limits *limits, const struct listener_config *listener, enum limit limit,
                          usec_t now);

struct limits_state {
    size_t connections, max; /* SIZE_MAX: no limit */
};
/* Of one listener, or, with NULL, of the gateway. */
struct limits_state limits_look(const struct limits *limits, const struct listener_config *listener);
