#pragma once
/* The threads that accept on the same sockets, keeping their numbers of connections close to each other.
 *
 * The kernel wakes one thread for a connection, but a thread that is awake sees it too, and under a burst it
 * is the busiest thread that is awake. So a thread that is ahead of another passes the connection on, which
 * costs one message, and keeps away from the sockets for a moment. Any thread. */

#include "http/loop.h"

struct accept_group;

struct accept_group *accept_group_new(size_t n_members);
struct accept_group *accept_group_free(struct accept_group *group);

/* From now on the member can be asked, on its loop, to accept. */
void accept_group_join(struct accept_group *group, size_t member, struct loop *loop,
                       void (*accept_now)(void *userdata), void *userdata);
/* When this returns it will be asked no more (what was posted before may still come). */
void accept_group_leave(struct accept_group *group, size_t member);
/* The member's open connections have changed. */
void accept_group_count(struct accept_group *group, size_t member, size_t connections);
/* Whether the member has so many more than another that the next should go there; then that one is asked. */
bool accept_group_pass(struct accept_group *group, size_t member);
