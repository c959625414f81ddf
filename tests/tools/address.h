#pragma once
/* Addresses as the command lines of the test programs spell them: unix:/path, unix:@abstract, 127.0.0.1:80,
 * [::1]:80, localhost:80. */

#include <sys/socket.h>

#include "util/macros.h"

struct address {
    struct sockaddr_storage sockaddr;
    socklen_t size;
};

/* Returns 0 or -EINVAL. */
int address_parse(const char *text, struct address *ret) _warn_unused_;

static inline bool address_is_unix(const struct address *address)
{
    return address->sockaddr.ss_family == AF_UNIX;
}
