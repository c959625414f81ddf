#pragma once
/* Host names to addresses without waiting. The lookup itself runs on a thread of its own, the one
 * thing that is not done in the caller's loop: getaddrinfo has no other form that follows nsswitch.conf. */

#include <netdb.h>

#include "util/macros.h"

struct resolve;

/* `name` is "host:port" or "[address]:port". */
int resolve_new(struct resolve **ret, const char *name) _warn_unused_;
/* A lookup that cannot be stopped any more is left to end by itself. Accepts NULL, returns NULL. */
struct resolve *resolve_free(struct resolve *resolve);
/* EAI_INPROGRESS while it runs, 0 when the addresses are there, else the EAI_ error. */
int resolve_step(struct resolve *resolve);
/* The addresses, owned by `resolve`. */
const struct addrinfo *resolve_addresses(const struct resolve *resolve);
