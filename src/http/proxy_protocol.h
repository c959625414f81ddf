#pragma once
/* The header of the PROXY protocol, versions 1 and 2, by which a proxy that knows nothing of HTTP tells whose
 * connection it passes on (haproxy's proxy-protocol.txt, revision of 2020/03/05). Pure. */

#include "util/ip_address.h"

/* The longest that is taken. The specification promises 536 bytes to arrive in one piece; what senders add of
 * TLS and of client certificates may take more. */
#define PROXY_HEADER_MAX 2048

struct proxy_header {
    size_t size;                            /* in bytes: what follows is the client's */
    bool is_local;                          /* the proxy speaks for itself, to see whether we are well */
    struct ip_address source, destination;  /* IP_NONE when it is local, or the proxy does not know */
    uint16_t source_port, destination_port; /* 0 likewise, and with Unix sockets */
};

enum {
    PROXY_HEADER_MORE = 1, /* all bytes belong to it, and others that have not come */
    PROXY_HEADER_MALFORMED,
};

/* Looks at the first bytes of a connection. 0 when the header is whole: then *ret is filled in, and ends
 * within the bytes. For what is malformed, *ret_problem is a phrase that says why. */
int proxy_header_parse(const uint8_t *data, size_t size, struct proxy_header *ret, const char **ret_problem);
