#include "upstream/address_list.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static bool fill_ipv4(const struct sockaddr *sockaddr, uint16_t port, struct address_config *ret)
{
    struct sockaddr_in in;
    char host[INET_ADDRSTRLEN];

    memcpy(&in, sockaddr, sizeof(in));
    const in_addr_t address = ntohl(in.sin_addr.s_addr);
    if (address == INADDR_ANY || address == INADDR_BROADCAST || IN_MULTICAST(address))
        return false;
    in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = in.sin_addr};
    memcpy(&ret->sockaddr, &in, sizeof(in));
    ret->size = sizeof(in);
    inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
    if (asprintf(&ret->text, "%s:%u", host, port) < 0)
        abort();
    return true;
}

static bool fill_ipv6(const struct sockaddr *sockaddr, uint16_t port, struct address_config *ret)
{
    struct sockaddr_in6 in6;
    char host[INET6_ADDRSTRLEN];

    memcpy(&in6, sockaddr, sizeof(in6));
    if (IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr) || IN6_IS_ADDR_MULTICAST(&in6.sin6_addr) ||
        IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr))
        return false;
    in6 =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6.sin6_addr};
    memcpy(&ret->sockaddr, &in6, sizeof(in6));
    ret->size = sizeof(in6);
    inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
    if (asprintf(&ret->text, "[%s]:%u", host, port) < 0)
        abort();
    return true;
}

static int compare_bytes(const void *a, const void *b, size_t size, uint16_t port_a, uint16_t port_b)
{
    const int order = memcmp(a, b, size);
    return order != 0 ? order : (int)ntohs(port_a) - (int)ntohs(port_b);
}

static int compare(const struct address_config *a, const struct address_config *b)
{
    if (a->sockaddr.ss_family != b->sockaddr.ss_family)
        return a->sockaddr.ss_family == AF_INET ? -1 : 1;
    if (a->sockaddr.ss_family == AF_INET) {
        struct sockaddr_in in_a, in_b;
        memcpy(&in_a, &a->sockaddr, sizeof(in_a));
        memcpy(&in_b, &b->sockaddr, sizeof(in_b));
        return compare_bytes(&in_a.sin_addr, &in_b.sin_addr, sizeof(in_a.sin_addr), in_a.sin_port,
                             in_b.sin_port);
    }
    struct sockaddr_in6 in6_a, in6_b;
    memcpy(&in6_a, &a->sockaddr, sizeof(in6_a));
    memcpy(&in6_b, &b->sockaddr, sizeof(in6_b));
    return compare_bytes(&in6_a.sin6_addr, &in6_b.sin6_addr, sizeof(in6_a.sin6_addr), in6_a.sin6_port,
                         in6_b.sin6_port);
}

/* Where the address is, or is to go. */
static size_t find(const struct address_list *list, const struct address_config *address, bool *ret_is_there)
{
    size_t low = 0, high = list->n;

    *ret_is_there = false;
    while (low < high && !*ret_is_there) {
        const size_t middle = low + (high - low) / 2;
        const int order = compare(address, &list->items[middle].address);
        if (order == 0) {
            *ret_is_there = true;
            low = middle;
        } else if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

void address_list_deinit(struct address_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i].address.text);
    free(list->items);
    *list = (struct address_list){0};
}

void address_list_add(struct address_list *list, const struct sockaddr *sockaddr, uint16_t port,
                      unsigned weight)
{
    struct resolver_address item = {.weight = weight};
    bool is_there;

    if (sockaddr->sa_family == AF_INET
            ? !fill_ipv4(sockaddr, port, &item.address)
            : sockaddr->sa_family != AF_INET6 || !fill_ipv6(sockaddr, port, &item.address))
        return;
    const size_t place = find(list, &item.address, &is_there);
    if (is_there || place == RESOLVER_ADDRESSES_MAX) {
        if (is_there)
            list->items[place].weight = MAX(list->items[place].weight, weight);
        free(item.address.text);
        return;
    }

    if (!list->items)
        list->items = xcalloc(RESOLVER_ADDRESSES_MAX, sizeof(*list->items));
    if (list->n == RESOLVER_ADDRESSES_MAX)
        free(list->items[--list->n].address.text);
    memmove(&list->items[place + 1], &list->items[place], (list->n - place) * sizeof(*list->items));
    list->items[place] = item;
    list->n++;
}
