#include "config/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/un.h>

#include "util/parse.h"

bool host_name_is_valid(const char *s)
{
    size_t size = strlen(s), label = 0;

    if (size == 0 || size > 253)
        return false;
    for (size_t i = 0; i <= size; i++) {
        char c = s[i];
        if (c == '.' || c == '\0') {
            if (label == 0 || label > 63 || s[i - 1] == '-')
                return false;
            label = 0;
            continue;
        }
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && c != '_' && (c != '-' || label == 0))
            return false;
        label++;
    }
    return true;
}

static const char *parse_unix(const char *path, struct address_config *ret)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t size = strlen(path);

    if (path[0] != '/' && path[0] != '@')
        return "the path of a Unix socket begins with '/', or with '@' when it is abstract";
    if (size < 2)
        return "the Unix socket has no name";
    if (size > sizeof(un.sun_path) - 1)
        return "the path of a Unix socket is at most 107 bytes long";
    memcpy(un.sun_path, path, size);
    if (path[0] == '@')
        un.sun_path[0] = '\0';
    /* The size counts: an abstract name has no NUL at its end. */
    ret->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (path[0] == '/' ? 1 : 0));
    memcpy(&ret->sockaddr, &un, sizeof(un));
    return NULL;
}

static const char *parse_ipv6(char *host, uint16_t port, struct address_config *ret)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    char *scope = strchr(host, '%');

    if (scope) {
        uint64_t n;
        *scope++ = '\0';
        in6.sin6_scope_id = if_nametoindex(scope);
        if (in6.sin6_scope_id == 0 && parse_u64(scope, 1, UINT32_MAX, &n) == 0)
            in6.sin6_scope_id = (uint32_t)n;
        if (in6.sin6_scope_id == 0)
            return "no network interface has the name after '%'";
    }
    if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
        return "not an IPv6 address between '[' and ']'";
    memcpy(&ret->sockaddr, &in6, sizeof(in6));
    ret->size = sizeof(in6);
    return NULL;
}

static const char *parse_host(char *host, uint16_t port, bool allow_name, struct address_config *ret)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    size_t size = strlen(host);

    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        return parse_ipv6(host + 1, port, ret);
    }
    if (strchr(host, ':'))
        return "an IPv6 address stands between '[' and ']'";
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        memcpy(&ret->sockaddr, &in, sizeof(in));
        ret->size = sizeof(in);
        return NULL;
    }
    if (host[strspn(host, "0123456789.")] == '\0')
        return "not an IPv4 address";
    if (!host_name_is_valid(host))
        return "not an address";
    return allow_name ? NULL : "host names are not looked up here, an address is needed";
}

const char *address_parse(const char *text, bool allow_name, struct address_config *ret)
{
    struct address_config address = {0};
    const char *problem;

    if (strncmp(text, "unix:", 5) == 0) {
        problem = parse_unix(text + 5, &address);
    } else {
        _cleanup_free_ char *host = xstrdup(text);
        char *colon = strrchr(host, ':');
        uint64_t port;

        if (text[0] == '/' || text[0] == '@')
            return "\"unix:\" is missing before the path of a Unix socket";
        if (!colon || strchr(colon, ']'))
            return "the port is missing";
        *colon = '\0';
        if (parse_u64(colon + 1, 1, 65535, &port) < 0)
            return "the port is not a number from 1 to 65535";
        problem = parse_host(host, (uint16_t)port, allow_name, &address);
    }
    if (problem)
        return problem;
    address.text = xstrdup(text);
    *ret = address;
    return NULL;
}

bool address_eq(const struct address_config *a, const struct address_config *b)
{
    return a->size == b->size && a->size > 0 && memcmp(&a->sockaddr, &b->sockaddr, a->size) == 0;
}
