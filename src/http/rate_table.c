#include "http/rate_table.h"

#include <pthread.h>

#include "config/config.h"

#define N_LOCKS 64

struct entry {
    struct siphash key;
    struct bucket bucket; /* all zero, as at first: full, which is to say free */
};
_Static_assert(sizeof(struct entry) == RATE_LIMIT_CLIENT_SIZE, "two entries to a cache line");

struct set {
    struct entry entries[RATE_TABLE_WAYS];
};

struct lock {
    _Alignas(64) pthread_mutex_t mutex;
};

struct rate_table {
    struct lock locks[N_LOCKS];
    struct rate rate;
    size_t n_sets; /* a power of two */
    struct set *sets;
};

struct rate_table *rate_table_new(const struct rate *rate, size_t entries)
{
    struct rate_table *table = aligned_alloc(64, sizeof(*table));
    if (!table)
        abort();
    *table = (struct rate_table){.rate = *rate, .n_sets = 1};
    while (table->n_sets * RATE_TABLE_WAYS < entries)
        table->n_sets *= 2;
    for (size_t i = 0; i < N_LOCKS; i++)
        pthread_mutex_init(&table->locks[i].mutex, NULL);
    /* Of so much zero memory only what is used costs any. */
    table->sets = xcalloc(table->n_sets, sizeof(*table->sets));
    return table;
}

struct rate_table *rate_table_free(struct rate_table *table)
{
    if (!table)
        return NULL;
    for (size_t i = 0; i < N_LOCKS; i++)
        pthread_mutex_destroy(&table->locks[i].mutex);
    free(table->sets);
    free(table);
    return NULL;
}

static size_t set_of(const struct rate_table *table, const struct siphash *key)
{
    return key->words[0] & (table->n_sets - 1);
}

static pthread_mutex_t *lock_of(struct rate_table *table, size_t set)
{
    return &table->locks[set % N_LOCKS].mutex;
}

static bool is_same(const struct siphash *a, const struct siphash *b)
{
    return a->words[0] == b->words[0] && a->words[1] == b->words[1];
}

/* The entry of a key, or NULL. */
static struct entry *find(struct set *set, const struct siphash *key)
{
    for (size_t i = 0; i < RATE_TABLE_WAYS; i++)
        if (is_same(&set->entries[i].key, key))
            return &set->entries[i];
    return NULL;
}

/* The entry of a key, which takes the place of another if need be. */
static struct entry *find_or_make(struct rate_table *table, struct set *set, const struct siphash *key,
                                  usec_t now, bool *ret_evicted)
{
    struct entry *least = find(set, key);

    *ret_evicted = false;
    if (least)
        return least;
    least = &set->entries[0];
    usec_t least_after = rate_full_after(&table->rate, &least->bucket, now);
    for (size_t i = 1; i < RATE_TABLE_WAYS; i++) {
        const usec_t after = rate_full_after(&table->rate, &set->entries[i].bucket, now);
        if (after < least_after) {
            least_after = after;
            least = &set->entries[i];
        }
    }
    *ret_evicted = least_after > 0;
    *least = (struct entry){.key = *key};
    return least;
}

bool rate_table_take(struct rate_table *table, const struct siphash *key, usec_t now,
                     struct rate_verdict *ret)
{
    const size_t set = set_of(table, key);
    bool evicted;

    pthread_mutex_lock(lock_of(table, set));
    struct entry *entry = find_or_make(table, &table->sets[set], key, now, &evicted);
    rate_take(&table->rate, &entry->bucket, now, ret);
    pthread_mutex_unlock(lock_of(table, set));
    return evicted;
}

void rate_table_give_back(struct rate_table *table, const struct siphash *key, usec_t now)
{
    const size_t set = set_of(table, key);

    pthread_mutex_lock(lock_of(table, set));
    struct entry *entry = find(&table->sets[set], key);
    if (entry)
        rate_give_back(&table->rate, &entry->bucket, now);
    pthread_mutex_unlock(lock_of(table, set));
}

void rate_table_drain(struct rate_table *table, const struct siphash *key, usec_t length, usec_t now)
{
    const size_t set = set_of(table, key);
    bool evicted;

    pthread_mutex_lock(lock_of(table, set));
    struct entry *entry = find_or_make(table, &table->sets[set], key, now, &evicted);
    rate_drain(&table->rate, &entry->bucket, length, now);
    pthread_mutex_unlock(lock_of(table, set));
}

void rate_table_each(struct rate_table *table, usec_t now,
                     void (*callback)(void *userdata, const struct siphash *key, usec_t full_after),
                     void *userdata)
{
    for (size_t set = 0; set < table->n_sets; set++) {
        pthread_mutex_lock(lock_of(table, set));
        const struct set copy = table->sets[set];
        pthread_mutex_unlock(lock_of(table, set));
        for (size_t i = 0; i < RATE_TABLE_WAYS; i++) {
            const usec_t after = rate_full_after(&table->rate, &copy.entries[i].bucket, now);
            if (after > 0)
                callback(userdata, &copy.entries[i].key, after);
        }
    }
}
