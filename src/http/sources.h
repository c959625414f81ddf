#pragma once
/* How many connections each source of them has, in the whole process: an IPv4 address, or the /64 of an IPv6
 * address, since whoever has one address there has them all. On each listener by itself. Only sources that
 * have connections are kept, so there are never more than connections. Any thread. */

#include "util/ip_address.h"

struct sources;
struct source;

/* `n_connections`: about how many there may be. */
struct sources *sources_new(size_t n_connections);
/* Accepts NULL, returns NULL. */
struct sources *sources_free(struct sources *sources);
/* One more connection of this source; NULL when it has `max` already. */
struct source *sources_enter(struct sources *sources, unsigned listener, const struct ip_address *address,
                             size_t max);
void sources_leave(struct sources *sources, struct source *source);
