/* Weighted round robin on a virtual clock.
 *
 * Each target is due at regular intervals of the clock, the shorter the greater its weight; a pick takes the
 * target that is due first and moves it on by its interval. So picks come as evenly spaced as the weights
 * allow, and cost O(log n) of the number of targets.
 *
 * Where in its interval a target begins is drawn from the seed: targets of equal weight would otherwise come
 * in bursts after a heavy one, and the workers' instances would all send their first requests to the same. */

#include "upstream/balance.h"

#define INTERVAL_OF_WEIGHT_1 (UINT64_C(1) << 32)

struct entry {
    const struct target_config *target;
    uint64_t due;      /* times wrap around, and are compared by their distance */
    uint64_t interval; /* 0: of weight 0, never picked */
    uint64_t offset;   /* less than the interval */
    size_t place;      /* in the heap, from 1; 0: not in it */
};

struct balance_set {
    uint64_t now; /* when the last pick was due */
    size_t n_entries;
    size_t n;             /* in the heap */
    struct entry **heap;  /* heap[0] is not used */
    struct entry **aside; /* excluded ones, during a pick */
    struct entry entries[];
};

static bool is_before(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

static void put(struct balance_set *set, size_t place, struct entry *entry)
{
    set->heap[place] = entry;
    entry->place = place;
}

static void sift_up(struct balance_set *set, struct entry *entry)
{
    size_t i = entry->place;

    for (; i > 1 && is_before(entry->due, set->heap[i / 2]->due); i /= 2)
        put(set, i, set->heap[i / 2]);
    put(set, i, entry);
}

static void sift_down(struct balance_set *set, struct entry *entry)
{
    size_t i = entry->place;

    for (size_t child; (child = 2 * i) <= set->n; i = child) {
        if (child < set->n && is_before(set->heap[child + 1]->due, set->heap[child]->due))
            child++;
        if (!is_before(set->heap[child]->due, entry->due))
            break;
        put(set, i, set->heap[child]);
    }
    put(set, i, entry);
}

static void insert(struct balance_set *set, struct entry *entry)
{
    put(set, ++set->n, entry);
    sift_up(set, entry);
}

static void take_out(struct balance_set *set, struct entry *entry)
{
    size_t place = entry->place;
    struct entry *last = set->heap[set->n--];

    entry->place = 0;
    if (last != entry) {
        put(set, place, last);
        sift_up(set, last);
        sift_down(set, last);
    }
}

/* The splitmix64 generator: any two numbers give unrelated ones. */
static uint64_t scramble(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

struct balance_set *balance_new(const struct upstream_config *upstream, unsigned seed)
{
    const size_t n = upstream->n_targets;
    struct balance_set *set = xcalloc(1, sizeof(*set) + n * sizeof(set->entries[0]));

    set->n_entries = n;
    set->heap = xcalloc(n + 1, sizeof(set->heap[0]));
    set->aside = xcalloc(n, sizeof(set->aside[0]));
    for (size_t i = 0; i < n; i++) {
        struct entry *entry = &set->entries[i];
        entry->target = &upstream->targets[i];
        if (entry->target->weight == 0)
            continue;
        entry->interval = INTERVAL_OF_WEIGHT_1 / entry->target->weight;
        entry->offset = scramble((uint64_t)seed << 32 ^ i) % entry->interval;
        entry->due = entry->offset;
        insert(set, entry);
    }
    return set;
}

struct balance_set *balance_free(struct balance_set *set)
{
    if (!set)
        return NULL;
    free(set->heap);
    free(set->aside);
    free(set);
    return NULL;
}

static bool is_excluded(const struct entry *entry, const uint64_t *exclude, size_t n_exclude)
{
    size_t i = entry->target->index;
    return exclude && i / 64 < n_exclude && (exclude[i / 64] >> i % 64 & 1);
}

const struct target_config *balance_pick(struct balance_set *set, const uint64_t *exclude, size_t n_exclude)
{
    struct entry *picked = NULL;
    size_t n_aside = 0;

    /* Excluded ones keep their place in time: the next request is theirs. */
    while (set->n > 0 && is_excluded(set->heap[1], exclude, n_exclude)) {
        set->aside[n_aside++] = set->heap[1];
        take_out(set, set->heap[1]);
    }
    if (set->n > 0) {
        picked = set->heap[1];
        if (is_before(set->now, picked->due))
            set->now = picked->due;
        picked->due += picked->interval;
        sift_down(set, picked);
    }
    while (n_aside > 0)
        insert(set, set->aside[--n_aside]);
    return picked ? picked->target : NULL;
}

void balance_set_usable(struct balance_set *set, const struct target_config *target, bool usable)
{
    assert(target->index < set->n_entries);
    struct entry *entry = &set->entries[target->index];

    if (entry->interval == 0 || usable == (entry->place > 0))
        return;
    if (!usable) {
        take_out(set, entry);
        return;
    }
    /* What it missed is not made up for. */
    if (is_before(entry->due, set->now))
        entry->due = set->now + entry->offset;
    insert(set, entry);
}
