#include "http/limits.h"

#include <pthread.h>
#include <stdatomic.h>

#include "http/sources.h"

/* What the process has descriptors for beside connections: sockets, loops, the journal, checks. */
#define OWN_DESCRIPTORS 256

struct counted {
    _Alignas(64) atomic_size_t n;
    size_t max;
    usec_t paused_at[_LIMIT_MAX]; /* the last time; under the lock */
};

struct member {
    struct limits *limits;
    struct loop *loop; /* NULL while it is none */
    bool (*shed)(void *userdata, const struct listener_config *listener);
    void *userdata;
    bool asked; /* and has not answered yet */
    const struct listener_config *listener;
    size_t others; /* whom to ask next, if it cannot */
};

struct limits {
    struct counted gateway;
    struct counted *listeners;
    size_t n_listeners;
    struct sources *sources;
    pthread_mutex_t lock;
    atomic_size_t n_waiting;
    struct list waiting; /* under the lock, as what follows */
    struct member *members;
    size_t n_members;
};

size_t limits_auto(size_t descriptors)
{
    const size_t own = MIN((size_t)OWN_DESCRIPTORS, descriptors / 4);
    return MAX((descriptors - own) / 3, (size_t)1);
}

struct limits *limits_new(const struct config *config, size_t descriptors)
{
    const size_t max = config->gateway.max_connections;
    struct limits *limits = aligned_alloc(64, sizeof(*limits));

    if (!limits)
        abort();
    *limits = (struct limits){.gateway.max = max ? max : limits_auto(descriptors),
                              .n_listeners = config->n_listeners,
                              .n_members = config->gateway.threads};
    limits->listeners = aligned_alloc(64, MAX(config->n_listeners, (size_t)1) * sizeof(*limits->listeners));
    if (!limits->listeners)
        abort();
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct listener_config *listener = &config->listeners[i];
        limits->listeners[i] =
            (struct counted){.max = listener->max_connections ? listener->max_connections : SIZE_MAX};
        if (listener->max_per_source && !limits->sources)
            limits->sources = sources_new(limits->gateway.max);
    }
    pthread_mutex_init(&limits->lock, NULL);
    list_init(&limits->waiting);
    limits->members = xcalloc(limits->n_members, sizeof(*limits->members));
    return limits;
}

struct limits *limits_free(struct limits *limits)
{
    if (!limits)
        return NULL;
    assert(list_is_empty(&limits->waiting));
    pthread_mutex_destroy(&limits->lock);
    sources_free(limits->sources);
    free(limits->members);
    free(limits->listeners);
    free(limits);
    return NULL;
}

/* ---- places ---------------------------------------------------------------------------------------- */

static struct counted *counted_of(struct limits *limits, const struct listener_config *listener)
{
    assert(listener->index < limits->n_listeners);
    return &limits->listeners[listener->index];
}

/* Not beyond it for a moment, either: who gave a place back just then would see none, and wake nobody. */
static bool count_up(struct counted *counted)
{
    size_t n = atomic_load(&counted->n);

    while (n < counted->max)
        if (atomic_compare_exchange_weak(&counted->n, &n, n + 1))
            return true;
    return false;
}

static bool has_room(const struct counted *counted)
{
    return atomic_load(&counted->n) < counted->max;
}

enum limit limits_take(struct limits *limits, const struct listener_config *listener, struct place *ret)
{
    *ret = (struct place){0};
    if (!limits)
        return LIMIT_NONE;
    if (!count_up(counted_of(limits, listener)))
        return LIMIT_LISTENER;
    if (!count_up(&limits->gateway)) {
        atomic_fetch_sub(&counted_of(limits, listener)->n, 1);
        return LIMIT_GATEWAY;
    }
    *ret = (struct place){.limits = limits, .listener = listener};
    return LIMIT_NONE;
}

void limits_take_anyway(struct limits *limits, const struct listener_config *listener, struct place *ret)
{
    *ret = (struct place){0};
    if (!limits)
        return;
    atomic_fetch_add(&counted_of(limits, listener)->n, 1);
    atomic_fetch_add(&limits->gateway.n, 1);
    *ret = (struct place){.limits = limits, .listener = listener};
}

bool place_take_source(struct place *place, const struct ip_address *client, bool anyway)
{
    if (!place->limits || !place->listener->max_per_source)
        return true;
    place->source = sources_enter(place->limits->sources, place->listener->index, client,
                                  anyway ? SIZE_MAX : place->listener->max_per_source);
    return place->source != NULL;
}

void place_give_back(struct place *place)
{
    struct limits *limits = place->limits;

    if (!limits)
        return;
    if (place->source)
        sources_leave(limits->sources, place->source);
    atomic_fetch_sub(&counted_of(limits, place->listener)->n, 1);
    atomic_fetch_sub(&limits->gateway.n, 1);
    *place = (struct place){0};
    limits_wake_next(limits);
}

/* ---- waiting for one ------------------------------------------------------------------------------- */

static bool can_go(struct limits *limits, const struct limits_waiter *waiter)
{
    return has_room(counted_of(limits, waiter->listener)) && has_room(&limits->gateway);
}

static void unlink_waiter(struct limits *limits, struct limits_waiter *waiter)
{
    list_unlink(&waiter->link);
    atomic_fetch_sub(&limits->n_waiting, 1);
}

bool limits_await(struct limits *limits, struct limits_waiter *waiter)
{
    pthread_mutex_lock(&limits->lock);
    list_append(&limits->waiting, &waiter->link);
    atomic_fetch_add(&limits->n_waiting, 1);
    /* Whoever gave a place back before it could see us has left it for us to see. */
    const bool waits = !can_go(limits, waiter);
    if (!waits)
        unlink_waiter(limits, waiter);
    pthread_mutex_unlock(&limits->lock);
    return waits;
}

void limits_forget(struct limits *limits, struct limits_waiter *waiter)
{
    if (!limits)
        return;
    pthread_mutex_lock(&limits->lock);
    if (list_is_linked(&waiter->link))
        unlink_waiter(limits, waiter);
    pthread_mutex_unlock(&limits->lock);
}

void limits_wake_next(struct limits *limits)
{
    if (!limits || atomic_load(&limits->n_waiting) == 0)
        return;
    pthread_mutex_lock(&limits->lock);
    list_for_each_safe (node, &limits->waiting) {
        struct limits_waiter *waiter = list_entry(node, struct limits_waiter, link);
        if (!can_go(limits, waiter))
            continue;
        unlink_waiter(limits, waiter);
        loop_post(waiter->loop, waiter->callback, waiter->userdata);
        break;
    }
    pthread_mutex_unlock(&limits->lock);
}

/* ---- making room ----------------------------------------------------------------------------------- */

static void on_asked(void *userdata);

/* `n` members from this one on. */
static void ask(struct limits *limits, size_t member, size_t n, const struct listener_config *listener)
{
    pthread_mutex_lock(&limits->lock);
    for (; n > 0; n--, member++) {
        struct member *m = &limits->members[member % limits->n_members];
        if (!m->loop)
            continue;
        if (!m->asked) {
            m->asked = true;
            m->listener = listener;
            m->others = n - 1;
            loop_post(m->loop, on_asked, m);
        }
        break;
    }
    pthread_mutex_unlock(&limits->lock);
}

static void on_asked(void *userdata)
{
    struct member *m = userdata;

    pthread_mutex_lock(&m->limits->lock);
    const struct member asked = *m;
    m->asked = false;
    pthread_mutex_unlock(&m->limits->lock);
    if (!asked.loop || !asked.shed(asked.userdata, asked.listener))
        ask(asked.limits, (size_t)(m - asked.limits->members) + 1, asked.others, asked.listener);
}

void limits_join(struct limits *limits, size_t member, struct loop *loop,
                 bool (*shed)(void *userdata, const struct listener_config *listener), void *userdata)
{
    if (!limits)
        return;
    pthread_mutex_lock(&limits->lock);
    limits->members[member] = (struct member){limits, loop, shed, userdata, false, NULL, 0};
    pthread_mutex_unlock(&limits->lock);
}

void limits_leave(struct limits *limits, size_t member)
{
    if (!limits)
        return;
    struct member *m = &limits->members[member];
    pthread_mutex_lock(&limits->lock);
    struct loop *loop = TAKE_PTR(m->loop);
    m->asked = false;
    pthread_mutex_unlock(&limits->lock);
    if (loop)
        loop_unpost(loop, m);
}

void limits_ask_to_shed(struct limits *limits, size_t member, const struct listener_config *listener)
{
    ask(limits, member + 1, limits->n_members - 1, listener);
}

/* ---- what is told ---------------------------------------------------------------------------------- */

bool limits_pause_is_news(struct limits *limits, const struct listener_config *listener, enum limit limit,
                          usec_t now)
{
    struct counted *counted = limit == LIMIT_LISTENER ? counted_of(limits, listener) : &limits->gateway;

    pthread_mutex_lock(&limits->lock);
    const usec_t before = counted->paused_at[limit];
    counted->paused_at[limit] = now;
    pthread_mutex_unlock(&limits->lock);
    return before == 0 || usec_sub(now, before) > LIMITS_EPISODE_GAP;
}

struct limits_state limits_look(const struct limits *limits, const struct listener_config *listener)
{
    const struct counted *counted = listener ? &limits->listeners[listener->index] : &limits->gateway;
    return (struct limits_state){atomic_load_explicit(&counted->n, memory_order_relaxed), counted->max};
}
