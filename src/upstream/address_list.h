#pragma once
/* The addresses that the parts of an answer bring, in order, each once, and no more than are kept. Pure. */

#include "upstream/resolver.h"

/* All zero is an empty list. */
struct address_list {
    struct resolver_address *items; /* IPv4 before IPv6, then by address and port */
    size_t n;                       /* at most RESOLVER_ADDRESSES_MAX */
};

void address_list_deinit(struct address_list *list);
/* Adds an IPv4 or IPv6 address with another port (in host order) than it may have. Of one that is there
 * already the larger weight counts. What cannot be the address of one host (0.0.0.0, multicast, an IPv6
 * link-local address without its link) or is of another family is left out. */
void address_list_add(struct address_list *list, const struct sockaddr *sockaddr, uint16_t port,
                      unsigned weight);
