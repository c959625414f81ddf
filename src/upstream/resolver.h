#pragma once
/* Host names and the names of SRV records to addresses, again and again for as long as somebody watches.
 *
 * One thread of its own looks up, so that no loop waits for a DNS server. Callbacks come on that thread: they
 * post what they are told to their own loop. All functions here may be called from any thread. */

#include "config/config.h"

/* So many addresses an answer has at most; of more, the first in order count. */
#define RESOLVER_ADDRESSES_MAX 200u
/* So heavy an address is at most, as targets of the configuration are. */
#define RESOLVER_WEIGHT_MAX 256u

struct resolver;
struct resolver_watch;

struct resolver_address {
    struct address_config address; /* with a sockaddr, and the text as the configuration spells it */
    unsigned weight;               /* by the weight of its SRV record, at least 1; 0: as configured */
};

struct resolver_answer {
    const struct resolver_address *addresses; /* sorted, each once; borrowed during the callback */
    size_t n;
    usec_t ttl; /* until the name is looked up again */
    const char
        *error; /* what went wrong in a few words: then n is 0, and what was known stays good; or NULL */
};

typedef void (*resolver_callback)(void *userdata, const struct resolver_answer *answer);

/* Starts the thread. */
int resolver_new(struct resolver **ret) _warn_unused_;
/* Ends the thread and waits for it; no callback comes afterwards. Watches that are left go with it. Not from
 * within a callback. Accepts NULL, returns NULL. */
struct resolver *resolver_free(struct resolver *resolver);

/* Looks `target` up now, whenever the TTL is over, and after a failure; calls back each time, for the first
 * time maybe before this returns. The target is one of the configuration that has no address of its own; it
 * is borrowed during the call. */
struct resolver_watch *resolver_watch(struct resolver *resolver, const struct target_config *target,
                                      resolver_callback callback, void *userdata);
/* No callback comes afterwards: waits for one that is running. Not from within a callback. Accepts NULL,
 * returns NULL. */
struct resolver_watch *resolver_unwatch(struct resolver_watch *watch);
