#include "http/accept_group.h"

#include <pthread.h>
#include <stdatomic.h>

/* How far a thread may be ahead before it passes connections on: enough that the usual unevenness costs
 * nothing. */
#define LEAD_MIN 4
#define LEAD_FRACTION 8

struct member {
    _Alignas(64) atomic_size_t connections; /* a cache line each: written at every connection */
    struct loop *loop;                      /* NULL while it does not accept; under the lock */
    void (*accept_now)(void *userdata);
    void *userdata;
};

struct accept_group {
    pthread_mutex_t lock;
    size_t n_members;
    struct member *members;
};

struct accept_group *accept_group_new(size_t n_members)
{
    struct accept_group *group = xcalloc(1, sizeof(*group));
    pthread_mutex_init(&group->lock, NULL);
    group->n_members = n_members;
    group->members = aligned_alloc(64, n_members * sizeof(*group->members));
    if (!group->members)
        abort();
    memset(group->members, 0, n_members * sizeof(*group->members));
    return group;
}

struct accept_group *accept_group_free(struct accept_group *group)
{
    if (!group)
        return NULL;
    pthread_mutex_destroy(&group->lock);
    free(group->members);
    free(group);
    return NULL;
}

void accept_group_join(struct accept_group *group, size_t member, struct loop *loop,
                       void (*accept_now)(void *userdata), void *userdata)
{
    struct member *m = &group->members[member];
    pthread_mutex_lock(&group->lock);
    m->loop = loop;
    m->accept_now = accept_now;
    m->userdata = userdata;
    pthread_mutex_unlock(&group->lock);
}

void accept_group_leave(struct accept_group *group, size_t member)
{
    pthread_mutex_lock(&group->lock);
    group->members[member].loop = NULL;
    pthread_mutex_unlock(&group->lock);
}

void accept_group_count(struct accept_group *group, size_t member, size_t connections)
{
    atomic_store_explicit(&group->members[member].connections, connections, memory_order_relaxed);
}

static size_t connections_of(struct accept_group *group, size_t member)
{
    return atomic_load_explicit(&group->members[member].connections, memory_order_relaxed);
}

bool accept_group_pass(struct accept_group *group, size_t member)
{
    size_t own = connections_of(group, member), least = member;

    for (size_t i = 0; i < group->n_members; i++)
        if (connections_of(group, i) < connections_of(group, least))
            least = i;
    if (own < connections_of(group, least) + LEAD_MIN + own / LEAD_FRACTION)
        return false;
    pthread_mutex_lock(&group->lock);
    struct member *m = &group->members[least];
    bool passed = m->loop != NULL;
    if (passed)
        loop_post(m->loop, m->accept_now, m->userdata);
    pthread_mutex_unlock(&group->lock);
    return passed;
}
