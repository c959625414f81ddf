#include "lifecycle/resolve.h"

#include <pthread.h>
#include <signal.h>

/* Shared with the thread that looks up: whoever is done last frees it. */
struct resolve {
    pthread_mutex_t lock;
    unsigned users;
    char *host;
    char *service;
    int error; /* EAI_INPROGRESS until it is over */
    struct addrinfo *addresses;
};

static void drop(struct resolve *resolve)
{
    pthread_mutex_lock(&resolve->lock);
    bool last = --resolve->users == 0;
    pthread_mutex_unlock(&resolve->lock);
    if (!last)
        return;
    if (resolve->addresses)
        freeaddrinfo(resolve->addresses);
    pthread_mutex_destroy(&resolve->lock);
    free(resolve->host);
    free(resolve->service);
    free(resolve);
}

static void *look_up(void *userdata)
{
    struct resolve *resolve = userdata;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;

    int error = getaddrinfo(resolve->host, resolve->service, &hints, &addresses);
    pthread_mutex_lock(&resolve->lock);
    resolve->addresses = addresses;
    resolve->error = error;
    pthread_mutex_unlock(&resolve->lock);
    drop(resolve);
    return NULL;
}

int resolve_new(struct resolve **ret, const char *name)
{
    const char *colon = strrchr(name, ':');
    pthread_t thread;
    sigset_t all, old;

    if (!colon)
        return -EINVAL;
    struct resolve *resolve = xcalloc(1, sizeof(*resolve));
    pthread_mutex_init(&resolve->lock, NULL);
    resolve->users = 2;
    resolve->error = EAI_INPROGRESS;
    resolve->host = xstrndup(name, (size_t)(colon - name));
    resolve->service = xstrdup(colon + 1);

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = -pthread_create(&thread, NULL, look_up, resolve);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r < 0) {
        resolve->users = 1;
        drop(resolve);
        return r;
    }
    pthread_detach(thread);
    *ret = resolve;
    return 0;
}

struct resolve *resolve_free(struct resolve *resolve)
{
    if (resolve)
        drop(resolve);
    return NULL;
}

int resolve_step(struct resolve *resolve)
{
    pthread_mutex_lock(&resolve->lock);
    int error = resolve->error;
    pthread_mutex_unlock(&resolve->lock);
    return error;
}

const struct addrinfo *resolve_addresses(const struct resolve *resolve)
{
    return resolve->addresses;
}
