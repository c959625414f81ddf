#include "http/sources.h"

#include <pthread.h>

#include "util/siphash.h"

/* Threads that accept at once seldom meet. */
#define SHARDS 16
#define BUCKETS_MAX 65536

struct key {
    struct ip_address address;
    unsigned listener;
};

struct source {
    struct source *next; /* in its bucket */
    struct key key;
    size_t bucket;
    size_t n;
};

struct sources {
    /* A key of ours: nobody can choose addresses that all end in one bucket. */
    struct siphash_secret secret;
    size_t n_buckets; /* a power of two */
    struct source **buckets;
    pthread_mutex_t locks[SHARDS]; /* of every SHARDS-th bucket */
};

struct sources *sources_new(size_t n_connections)
{
    struct sources *sources = xcalloc(1, sizeof(*sources));

    siphash_secret_draw(&sources->secret);
    for (sources->n_buckets = SHARDS; sources->n_buckets < MIN(n_connections, (size_t)BUCKETS_MAX);)
        sources->n_buckets *= 2;
    sources->buckets = xcalloc(sources->n_buckets, sizeof(*sources->buckets));
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&sources->locks[i], NULL);
    return sources;
}

struct sources *sources_free(struct sources *sources)
{
    if (!sources)
        return NULL;
    for (size_t i = 0; i < sources->n_buckets; i++)
        for (struct source *source; (source = sources->buckets[i]);) {
            sources->buckets[i] = source->next;
            free(source);
        }
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_destroy(&sources->locks[i]);
    free(sources->buckets);
    free(sources);
    return NULL;
}

static pthread_mutex_t *lock_of(struct sources *sources, size_t bucket)
{
    return &sources->locks[bucket % SHARDS];
}

struct source *sources_enter(struct sources *sources, unsigned listener, const struct ip_address *address,
                             size_t max)
{
    const struct key key = {ip_address_owner(address), listener};
    const size_t bucket = siphash(&sources->secret, &key, sizeof(key)).words[0] & (sources->n_buckets - 1);
    struct source *source;

    pthread_mutex_lock(lock_of(sources, bucket));
    for (source = sources->buckets[bucket]; source; source = source->next)
        if (memcmp(&source->key, &key, sizeof(key)) == 0)
            break;
    if (!source) {
        source = xcalloc(1, sizeof(*source));
        *source = (struct source){.next = sources->buckets[bucket], .key = key, .bucket = bucket};
        sources->buckets[bucket] = source;
    }
    if (source->n < max)
        source->n++;
    else
        source = NULL;
    pthread_mutex_unlock(lock_of(sources, bucket));
    return source;
}

void sources_leave(struct sources *sources, struct source *source)
{
    const size_t bucket = source->bucket;

    pthread_mutex_lock(lock_of(sources, bucket));
    if (--source->n == 0) {
        struct source **at = &sources->buckets[bucket];
        while (*at != source)
            at = &(*at)->next;
        *at = source->next;
        free(source);
    }
    pthread_mutex_unlock(lock_of(sources, bucket));
}
