/* Any text as the address of a target, a line each, and any addresses as what a name stands for: what is
 * accepted can be written and understood again, and a list has each address once, in order. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "config/address.h"
#include "upstream/address_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(struct address_list *list, const struct sockaddr_storage *address, uint16_t port,
                unsigned weight)
{
    address_list_add(list, (const struct sockaddr *)address, port, weight);
}

static void check_text(const char *text, struct address_list *list)
{
    struct address_config address = {0}, named = {0}, again = {0};

    const char *problem = address_parse(text, false, &address);
    const char *named_problem = address_parse(text, true, &named);
    assert(problem || !named_problem);
    if (!named_problem) {
        assert(streq(named.text, text));
        if (problem) { /* it is a name, and has no address yet */
            const char *colon = strrchr(text, ':');
            _cleanup_free_ char *host = xstrndup(text, (size_t)(colon - text));
            assert(named.size == 0 && host_name_is_valid(host));
        }
    }
    if (!problem) {
        assert(address.size >= sizeof(sa_family_t) && address.size <= sizeof(address.sockaddr));
        assert(address_eq(&address, &named) && address_parse(address.text, false, &again) == NULL);
        assert(address_eq(&address, &again));
        if (address.sockaddr.ss_family != AF_UNIX)
            add(list, &address.sockaddr, 80, (unsigned)strlen(text));
    }
    free(address.text);
    free(named.text);
    free(again.text);
}

/* Every 18 bytes are an address: 16 for itself, then its port. */
static void add_bytes(const uint8_t *data, size_t size, struct address_list *list)
{
    for (; size >= 18; data += 18, size -= 18) {
        struct sockaddr_storage address = {0};
        const uint16_t port = (uint16_t)(data[16] << 8 | data[17] | 1);
        if (data[0] % 2) {
            struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = 7};
            memcpy(&in.sin_addr, data + 1, sizeof(in.sin_addr));
            memcpy(&address, &in, sizeof(in));
        } else {
            struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_scope_id = data[1]};
            memcpy(&in6.sin6_addr, data, sizeof(in6.sin6_addr));
            memcpy(&address, &in6, sizeof(in6));
        }
        add(list, &address, port, data[16]);
    }
}

static void check_list(const struct address_list *list)
{
    assert(list->n <= RESOLVER_ADDRESSES_MAX);
    for (size_t i = 0; i < list->n; i++) {
        const struct address_config *address = &list->items[i].address;
        struct address_config again = {0};
        /* What is shown of it is what it is. */
        assert(address_parse(address->text, false, &again) == NULL && address_eq(address, &again));
        free(again.text);
        assert(i == 0 || !address_eq(address, &list->items[i - 1].address));
        assert(i == 0 || list->items[i - 1].address.sockaddr.ss_family == address->sockaddr.ss_family ||
               address->sockaddr.ss_family == AF_INET6);
    }
}

/* Its parts may come in any order. */
static void check_order(const struct address_list *list)
{
    struct address_list backwards = {0};

    if (list->n == RESOLVER_ADDRESSES_MAX)
        return;
    for (size_t i = list->n; i-- > 0;) {
        const struct resolver_address *item = &list->items[i];
        struct sockaddr_in in; /* the port is at the same place in both families */
        memcpy(&in, &item->address.sockaddr, sizeof(in));
        add(&backwards, &item->address.sockaddr, ntohs(in.sin_port), item->weight);
    }
    assert(backwards.n == list->n);
    for (size_t i = 0; i < list->n; i++)
        assert(address_eq(&backwards.items[i].address, &list->items[i].address) &&
               backwards.items[i].weight == list->items[i].weight);
    address_list_deinit(&backwards);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address_list list = {0};
    _cleanup_free_ char *text = xstrndup((const char *)data, size);

    for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
        check_text(line, &list);
    const uint8_t *bytes = memchr(data, '\0', size);
    if (bytes)
        add_bytes(bytes + 1, (size_t)(data + size - bytes - 1), &list);
    check_list(&list);
    check_order(&list);
    address_list_deinit(&list);
    return 0;
}
