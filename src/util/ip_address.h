#pragma once
/* The address of whoever is at the other end: IPv4, IPv6, or a Unix socket, which has none. Without port and
 * zone. IPv4-mapped IPv6 (::ffff:192.0.2.1) is IPv4, as the client knows itself. */

#include <netinet/in.h>

#include "util/slice.h"

enum ip_family {
    IP_NONE, /* not known */
    IP_UNIX,
    IP_V4,
    IP_V6,
    _IP_FAMILY_MAX,
};

/* Zero is IP_NONE. There is no padding, and bytes that mean nothing are zero: memcmp() compares two, and a
 * hash may go over the whole. */
struct ip_address {
    enum ip_family family;
    uint8_t bytes[16]; /* in network order; of IPv4 the first four */
};

#define IP_ADDRESS_TEXT_MAX INET6_ADDRSTRLEN

/* `size` bytes of a socket address of any family; IP_NONE for what is neither IP nor a Unix socket. */
struct ip_address ip_address_from_sockaddr(const struct sockaddr *address, socklen_t size);
/* The four or sixteen bytes at `bytes`. */
struct ip_address ip_address_v4(const void *bytes);
struct ip_address ip_address_v6(const void *bytes);
/* Reads "192.0.2.1" or "2001:db8::1": no brackets, port, zone or blanks. */
bool ip_address_parse(struct slice text, struct ip_address *ret);
/* The address as people write it (RFC 5952), "unix", or "unknown". */
const char *ip_address_format(const struct ip_address *address, char ret[IP_ADDRESS_TEXT_MAX]);

/* Whom it stands for where somebody is held to a limit: whoever has one IPv6 address has the 2^64 beside it.
 */
struct ip_address ip_address_owner(const struct ip_address *address);

static inline bool ip_address_eq(const struct ip_address *a, const struct ip_address *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}
