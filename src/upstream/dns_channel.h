#pragma once
/* A c-ares channel with the descriptors it waits for in an epoll set. It is made anew when /etc/resolv.conf
 * changes: c-ares reads that only once. Belongs to one thread. */

#include <ares.h>

#include "util/clock.h"

struct dns_channel;

int dns_channel_new(struct dns_channel **ret) _warn_unused_;
/* Ends the lookups under way, each with an error. Accepts NULL, returns NULL. */
struct dns_channel *dns_channel_free(struct dns_channel *channel);

/* Whether /etc/resolv.conf is another than the one in use. */
bool dns_channel_is_outdated(const struct dns_channel *channel);
/* Reads it again. Lookups under way end with an error first. When that fails, all stays as it was. */
void dns_channel_renew(struct dns_channel *channel);

/* For starting lookups, until it is renewed. */
ares_channel dns_channel_ares(struct dns_channel *channel);
/* Readable when there is something to do. */
int dns_channel_fd(const struct dns_channel *channel);
/* How long until there is something to do in any case, at most `limit`. */
usec_t dns_channel_wait(const struct dns_channel *channel, usec_t limit);
/* Does what there is to do; never waits. Lookups may end. */
void dns_channel_dispatch(struct dns_channel *channel);
