#include "upstream/resolver.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "upstream/dns_channel.h"
#include "upstream/lookup.h"
#include "upstream/refresh.h"
#include "util/list.h"

/* Invariants:
 *
 * The lock guards the list, `ending`, `called`, and of each watch its state. It is not held while c-ares or a
 * callback runs. The channel is the thread's alone.
 *
 * A watch belongs to its watcher until resolver_unwatch(). When a lookup for it is under way then, it is only
 * marked as left, and goes with the end of that lookup. */

struct resolver_watch {
    struct resolver *resolver;
    struct list node;
    char *name; /* without port and "srv:" */
    uint16_t port;
    bool is_service;
    resolver_callback callback;
    void *userdata;
    usec_t due;    /* when it is looked up, unless it is just now */
    bool is_asked; /* a lookup is under way */
    bool is_left;  /* by the watcher */
    unsigned failures;
};

struct resolver {
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t calls; /* `called` has changed */
    struct resolver_watch *called;
    struct list watches;
    bool ending;
    int wake; /* eventfd */
    struct dns_channel *channel;
    bool is_renewing; /* what ends now has no outcome */
};

static void watch_free(struct resolver_watch *watch)
{
    list_unlink(&watch->node);
    free(watch->name);
    free(watch);
}

/* Called with the lock held, which is given up meanwhile. */
static void call(struct resolver_watch *watch, const struct resolver_answer *answer)
{
    struct resolver *resolver = watch->resolver;

    resolver->called = watch;
    pthread_mutex_unlock(&resolver->lock);
    watch->callback(watch->userdata, answer);
    pthread_mutex_lock(&resolver->lock);
    resolver->called = NULL;
    pthread_cond_broadcast(&resolver->calls);
}

static void on_lookup(void *userdata, const struct resolver_answer *found)
{
    struct resolver_watch *watch = userdata;
    struct resolver *resolver = watch->resolver;
    const usec_t now = now_monotonic();

    pthread_mutex_lock(&resolver->lock);
    if (resolver->is_renewing || resolver->ending) {
        watch->due = now;
    } else if (!watch->is_left) {
        struct resolver_answer answer = *found;
        watch->failures = found->error ? watch->failures + 1 : 0;
        answer.ttl =
            found->error ? refresh_after_failures(watch->failures) : refresh_after_answer(found->ttl);
        watch->due = now + answer.ttl;
        call(watch, &answer);
    }
    watch->is_asked = false;
    if (watch->is_left)
        watch_free(watch);
    pthread_mutex_unlock(&resolver->lock);
}

/* A watch whose time has come, marked as asked; NULL when there is none, and when the next one's comes. */
static struct resolver_watch *take_due(struct resolver *resolver, usec_t now, usec_t *ret_next)
{
    struct resolver_watch *due = NULL;
    usec_t next = USEC_INFINITY;

    pthread_mutex_lock(&resolver->lock);
    list_for_each (node, &resolver->watches) {
        struct resolver_watch *watch = list_entry(node, struct resolver_watch, node);
        if (watch->is_asked)
            continue;
        if (watch->due <= now) {
            watch->is_asked = true;
            due = watch;
            break;
        }
        next = usec_min(next, watch->due);
    }
    pthread_mutex_unlock(&resolver->lock);
    *ret_next = next;
    return due;
}

/* Starts the lookups that are due; returns when the next one is. */
static usec_t start_lookups(struct resolver *resolver)
{
    const usec_t now = now_monotonic();
    struct resolver_watch *watch;
    bool is_checked = false;
    usec_t next;

    while ((watch = take_due(resolver, now, &next))) {
        if (!is_checked && dns_channel_is_outdated(resolver->channel)) {
            resolver->is_renewing = true;
            dns_channel_renew(resolver->channel);
            resolver->is_renewing = false;
        }
        is_checked = true;
        ares_channel ares = dns_channel_ares(resolver->channel);
        if (watch->is_service)
            lookup_service(ares, watch->name, on_lookup, watch);
        else
            lookup_host(ares, watch->name, watch->port, on_lookup, watch);
    }
    return next;
}

static bool is_ending(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    const bool ending = resolver->ending;
    pthread_mutex_unlock(&resolver->lock);
    return ending;
}

static void wait_for_work(struct resolver *resolver, usec_t limit)
{
    struct pollfd fds[] = {
        {.fd = resolver->wake, .events = POLLIN},
        {.fd = dns_channel_fd(resolver->channel), .events = POLLIN},
    };
    const usec_t wait = dns_channel_wait(resolver->channel, limit);
    const struct timespec timeout = {
        .tv_sec = (time_t)(wait / USEC_PER_SEC),
        .tv_nsec = (long)(wait % USEC_PER_SEC * 1000),
    };
    eventfd_t ignored;

    (void)ppoll(fds, ARRAY_SIZE(fds), wait == USEC_INFINITY ? NULL : &timeout, NULL);
    (void)eventfd_read(resolver->wake, &ignored);
}

static void *run(void *userdata)
{
    struct resolver *resolver = userdata;

    while (!is_ending(resolver)) {
        const usec_t next = start_lookups(resolver);
        wait_for_work(resolver, usec_sub(next, now_monotonic()));
        dns_channel_dispatch(resolver->channel);
    }
    return NULL;
}

static int start_thread(struct resolver *resolver)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int r = pthread_create(&resolver->thread, NULL, run, resolver);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0)
        return -r;
    resolver->has_thread = true;
    pthread_setname_np(resolver->thread, "resolver");
    return 0;
}

int resolver_new(struct resolver **ret)
{
    struct resolver *resolver = xcalloc(1, sizeof(*resolver));

    pthread_mutex_init(&resolver->lock, NULL);
    pthread_cond_init(&resolver->calls, NULL);
    list_init(&resolver->watches);
    resolver->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = resolver->wake < 0 ? -errno : dns_channel_new(&resolver->channel);
    if (r == 0)
        r = start_thread(resolver);
    if (r < 0) {
        resolver_free(resolver);
        return r;
    }
    *ret = resolver;
    return 0;
}

struct resolver *resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return NULL;
    pthread_mutex_lock(&resolver->lock);
    resolver->ending = true;
    pthread_mutex_unlock(&resolver->lock);
    if (resolver->has_thread) {
        eventfd_write(resolver->wake, 1);
        pthread_join(resolver->thread, NULL);
    }
    dns_channel_free(resolver->channel);
    list_for_each_safe (node, &resolver->watches)
        watch_free(list_entry(node, struct resolver_watch, node));
    close_and_forget(&resolver->wake);
    pthread_cond_destroy(&resolver->calls);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
    return NULL;
}

/* Takes apart what the configuration has checked: "name:port" or "srv:name". */
static void set_name(struct resolver_watch *watch, const struct target_config *target)
{
    const char *text = target->address.text, *colon = strrchr(text, ':');

    assert(target->address.size == 0 && colon);
    watch->is_service = target->is_service;
    if (target->is_service) {
        watch->name = xstrdup(colon + 1);
        return;
    }
    watch->name = xstrndup(text, (size_t)(colon - text));
    watch->port = (uint16_t)strtoul(colon + 1, NULL, 10);
}

struct resolver_watch *resolver_watch(struct resolver *resolver, const struct target_config *target,
                                      resolver_callback callback, void *userdata)
{
    struct resolver_watch *watch = xcalloc(1, sizeof(*watch));

    *watch =
        (struct resolver_watch){.resolver = resolver, .callback = callback, .userdata = userdata, .due = 0};
    list_init(&watch->node);
    set_name(watch, target);
    pthread_mutex_lock(&resolver->lock);
    list_append(&resolver->watches, &watch->node);
    pthread_mutex_unlock(&resolver->lock);
    eventfd_write(resolver->wake, 1);
    return watch;
}

struct resolver_watch *resolver_unwatch(struct resolver_watch *watch)
{
    if (!watch)
        return NULL;
    struct resolver *resolver = watch->resolver;

    pthread_mutex_lock(&resolver->lock);
    while (resolver->called == watch)
        pthread_cond_wait(&resolver->calls, &resolver->lock);
    if (watch->is_asked)
        watch->is_left = true;
    else
        watch_free(watch);
    pthread_mutex_unlock(&resolver->lock);
    return NULL;
}
