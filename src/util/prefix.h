#pragma once
/* Sets of addresses, as people write them in a configuration: prefixes, single addresses, words. Pure.
 *
 * Two prefixes either have nothing in common or one contains the other. So a set keeps the widest ones alone,
 * in order, as ranges, and one bisection finds the only range that an address may be in. */

#include "util/ip_address.h"
#include "util/strbuf.h"

struct prefix_ranges {
    struct prefix_range *items; /* apart from each other, in ascending order */
    size_t n, size;
};

/* Zero is the empty set. */
struct prefix_set {
    struct prefix_ranges v4, v6;
    bool has_unix;
};

#define PREFIXES_ACCEPTED \
    "addresses, prefixes as 192.0.2.0/24 or 2001:db8::/32, any, localhost, link-local, unix"

/* Adds what one word stands for:
 *   192.0.2.0/24  2001:db8::/32   a prefix; an IPv4-mapped one (::ffff:192.0.2.0/120) is IPv4
 *   192.0.2.1     2001:db8::1     one address
 *   localhost                     127.0.0.0/8 ::1
 *   link-local                    169.254.0.0/16 fe80::/64
 *   unix                          clients of Unix sockets
 *   any                           all of them
 * On failure the set is as it was, and a phrase in `error` says what is wrong. */
bool prefix_set_add(struct prefix_set *set, struct slice word, struct strbuf *error);
bool prefix_set_contains(const struct prefix_set *set, const struct ip_address *address);
bool prefix_set_is_empty(const struct prefix_set *set);
/* Leaves the empty set. */
void prefix_set_deinit(struct prefix_set *set);

/* Who may come: AllowFrom= and DenyFrom=. */
struct prefix_access {
    struct prefix_set allow, deny;
};

/* As in systemd.resource-control(5): who is in `allow` may, of the others who is in `deny` may not, and the
 * rest may. Where nothing is denied, though, `allow` would mean nothing: then the rest may not. */
bool prefix_access_is_granted(const struct prefix_access *access, const struct ip_address *address);
void prefix_access_deinit(struct prefix_access *access);
