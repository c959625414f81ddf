#include "lifecycle/resolve.h"

struct resolve {
    struct gaicb request;
    struct addrinfo hints;
    char *host;
    char *service;
};

int resolve_new(struct resolve **ret, const char *name)
{
    const char *colon = strrchr(name, ':');
    if (!colon)
        return -EINVAL;
    struct resolve *resolve = xcalloc(1, sizeof(*resolve));
    resolve->host = xstrdup(name);
    resolve->host[colon - name] = '\0';
    resolve->service = xstrdup(colon + 1);
    resolve->hints = (struct addrinfo){.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    resolve->request = (struct gaicb){
        .ar_name = resolve->host, .ar_service = resolve->service, .ar_request = &resolve->hints};
    struct gaicb *list[] = {&resolve->request};
    if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) != 0) {
        free(resolve->host);
        free(resolve->service);
        free(resolve);
        return -EAGAIN;
    }
    *ret = resolve;
    return 0;
}

struct resolve *resolve_free(struct resolve *resolve)
{
    if (!resolve)
        return NULL;
    /* The library's thread still writes to a request that runs: that one is never freed. At most one for each
     * check that timed out while its name was looked up. */
    if (gai_error(&resolve->request) == EAI_INPROGRESS && gai_cancel(&resolve->request) != EAI_CANCELED)
        return NULL;
    if (resolve->request.ar_result)
        freeaddrinfo(resolve->request.ar_result);
    free(resolve->host);
    free(resolve->service);
    free(resolve);
    return NULL;
}

int resolve_step(struct resolve *resolve)
{
    return gai_error(&resolve->request);
}

const struct addrinfo *resolve_addresses(const struct resolve *resolve)
{
    return resolve->request.ar_result;
}
