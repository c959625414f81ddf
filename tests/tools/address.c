#include "address.h"

#include <netdb.h>
#include <sys/un.h>

static int parse_unix(const char *path, struct address *ret)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof(un.sun_path))
        return -EINVAL;
    memcpy(un.sun_path, path, size);
    if (path[0] == '@')
        un.sun_path[0] = '\0';
    memcpy(&ret->sockaddr, &un, sizeof(un));
    /* An abstract name has no terminator: its length is its end. */
    ret->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (path[0] == '@' ? 0 : 1));
    return 0;
}

int address_parse(const char *text, struct address *ret)
{
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, ret);

    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || colon[1] == '\0')
        return -EINVAL;
    const char *host = text;
    size_t size = (size_t)(colon - text);
    if (host[0] == '[') {
        if (size < 3 || host[size - 1] != ']')
            return -EINVAL;
        host++;
        size -= 2;
    }
    char name[256];
    if (size >= sizeof(name))
        return -EINVAL;
    memcpy(name, host, size);
    name[size] = '\0';

    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(name, colon + 1, &hints, &found) != 0)
        return -EINVAL;
    memcpy(&ret->sockaddr, found->ai_addr, found->ai_addrlen);
    ret->size = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}
