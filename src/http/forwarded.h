#pragma once
/* What proxies in front of us say of the client: X-Forwarded-For and Forwarded (RFC 7239), with the scheme
 * and host that it asked for. Pure. To be asked only of a request whose sender is a trusted proxy.
 *
 * Each proxy adds whom it heard from at the end of the list. So who is nearest to us stands last, and what
 * stands before it is believed only if that one is a trusted proxy too, and so on: the first address from the
 * end that is not a trusted proxy's is the client's, and whatever stands before it the client may have made
 * up. What is no address (unknown, an obfuscated name, junk) ends what is known: then the client is the last
 * proxy that was reached.
 *
 * Most proxies write one kind of list, and let the other through as their client sent it. Which is which
 * cannot be told here. So where both are there, and do not say the same of all that they both speak of,
 * neither is believed, and nor is the proxy taken for the client, since either would be the client's choice:
 * the request is to be refused. */

#include "util/prefix.h"

enum forwarded_field {
    FORWARDED_FOR,   /* X-Forwarded-For */
    FORWARDED_PROTO, /* X-Forwarded-Proto */
    FORWARDED_HOST,  /* X-Forwarded-Host */
    FORWARDED_ALL,   /* Forwarded */
    _FORWARDED_FIELD_MAX,
};

/* Which of them a field is, in any case; _FORWARDED_FIELD_MAX: none. */
enum forwarded_field forwarded_field_from_name(struct slice name);

/* One element of a list. Slices point into the fields' values. */
struct forwarded_hop {
    struct ip_address address; /* IP_NONE: it is not said */
    struct slice proto, host;  /* "http" or "https", and an authority; empty: not said */
};

struct forwarded_list {
    bool is_present;
    struct forwarded_hop hop; /* the one furthest from us that is believed */
    const char *from;         /* where in the values it begins; NULL: nothing there is fit to be passed on */
};

/* Takes the next element off the value of a FORWARDED_FOR or FORWARDED_ALL; false at its end. `ret_from` is
 * where it begins, NULL when it is not fit to be passed on. What follows a malformed element is gone. */
bool forwarded_next(enum forwarded_field field, struct slice *rest, struct forwarded_hop *ret,
                    const char **ret_from);

/* All zero at first. */
struct forwarded {
    struct forwarded_list x_for, all;
    struct slice x_proto, x_host;
};

/* Takes one field of the request, in the order in which they stand there. */
void forwarded_add(struct forwarded *forwarded, enum forwarded_field field, struct slice value,
                   const struct prefix_set *trusted);
/* What follows from all fields; `peer` is the trusted proxy that sent them. False when they contradict each
 * other. The address that is returned is known always. */
bool forwarded_decide(const struct forwarded *forwarded, const struct ip_address *peer,
                      struct forwarded_hop *ret);
