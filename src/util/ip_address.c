#include "util/ip_address.h"

#include <arpa/inet.h>

struct ip_address ip_address_v4(const void *bytes)
{
    struct ip_address address = {.family = IP_V4};
    memcpy(address.bytes, bytes, 4);
    return address;
}

struct ip_address ip_address_v6(const void *bytes)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct ip_address address = {.family = IP_V6};

    if (memcmp(bytes, mapped, sizeof(mapped)) == 0)
        return ip_address_v4((const uint8_t *)bytes + sizeof(mapped));
    memcpy(address.bytes, bytes, 16);
    return address;
}

struct ip_address ip_address_from_sockaddr(const struct sockaddr *address, socklen_t size)
{
    /* A copy, since what comes from outside need not be aligned. */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } copy = {.any.sa_family = AF_UNSPEC};

    memcpy(&copy, address, MIN((size_t)size, sizeof(copy)));
    if (copy.any.sa_family == AF_INET && size >= sizeof(copy.v4))
        return ip_address_v4(&copy.v4.sin_addr);
    if (copy.any.sa_family == AF_INET6 && size >= sizeof(copy.v6))
        return ip_address_v6(&copy.v6.sin6_addr);
    return (struct ip_address){.family = copy.any.sa_family == AF_UNIX ? IP_UNIX : IP_NONE};
}

bool ip_address_parse(struct slice text, struct ip_address *ret)
{
    char copy[IP_ADDRESS_TEXT_MAX];
    uint8_t bytes[16];

    if (text.size >= sizeof(copy) || memchr(text.data, '\0', text.size))
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    if (inet_pton(AF_INET, copy, bytes) == 1)
        *ret = ip_address_v4(bytes);
    else if (inet_pton(AF_INET6, copy, bytes) == 1)
        *ret = ip_address_v6(bytes);
    else
        return false;
    return true;
}

const char *ip_address_format(const struct ip_address *address, char ret[IP_ADDRESS_TEXT_MAX])
{
    const int family = address->family == IP_V4 ? AF_INET : AF_INET6;

    if (address->family == IP_V4 || address->family == IP_V6)
        inet_ntop(family, address->bytes, ret, IP_ADDRESS_TEXT_MAX);
    else
        snprintf(ret, IP_ADDRESS_TEXT_MAX, "%s", address->family == IP_UNIX ? "unix" : "unknown");
    return ret;
}

struct ip_address ip_address_owner(const struct ip_address *address)
{
    struct ip_address owner = *address;

    if (owner.family == IP_V6)
        memset(&owner.bytes[8], 0, 8);
    return owner;
}
