#pragma once
/* One lookup of one name on a c-ares channel, to its end. It cannot be stopped but by destroying the channel,
 * which ends it with an error. */

#include <ares.h>

#include "upstream/resolver.h"

/* Comes once, maybe before the function that began the lookup returns. The answer's TTL is as found; with an
 * error it means nothing. */
typedef void (*lookup_callback)(void *userdata, const struct resolver_answer *answer);

/* The IPv4 and IPv6 addresses of a host by /etc/hosts or DNS, each with the port. */
void lookup_host(ares_channel channel, const char *host, uint16_t port, lookup_callback callback,
                 void *userdata);
/* The addresses of the SRV records of the lowest priority of which any has one, with the records' ports and
 * weights. Records of the next priority count only when those before have no address for sure; one of which
 * that could not be found out makes it an error. */
void lookup_service(ares_channel channel, const char *name, lookup_callback callback, void *userdata);
