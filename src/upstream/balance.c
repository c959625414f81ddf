/* What is common to all algorithms is a target's *share*: its weight, less while it starts slowly, 0 while it
 * may not be picked. set_share() is the one place where that changes, and where each algorithm takes note.
 *
 * Round robin goes by a virtual clock. Each target is due at regular intervals, the shorter the greater its
 * share; a pick takes the target that is due first and moves it on by its interval. So picks come as evenly
 * spaced as the weights allow. Where in its interval a target begins is drawn from the seed: targets of equal
 * weight would otherwise come in bursts after a heavy one, and the workers' instances would all send their
 * first requests to the same.
 *
 * A slow start does not tick. Each pick looks at one of the targets that are starting, in turn, and at the
 * one it has picked: so a share lags behind by as many picks as there are targets starting, which is the same
 * for all of them. */

#include "upstream/balance.h"

#include "upstream/balance_draw.h"
#include "upstream/balance_heap.h"
#include "upstream/balance_ring.h"
#include "util/list.h"

#define WHOLE_SHARE 1024U             /* of a target of weight 1 */
#define SLOW_SHARE (WHOLE_SHARE / 10) /* that it begins with */
#define INTERVAL_OF_SHARE_1 (UINT64_C(1) << 42)
#define OFFSET_BITS 24

/* What a walk through the heap looks at comes first: with many targets, memory is what takes the time. */
struct entry {
    struct balance_heap_item in_heap; /* round-robin, least-connections: when the share is not 0 */
    uint64_t due;                     /* round-robin: wraps around, and is compared by distance */
    uint64_t share;
    uint64_t turn; /* least-connections: the number of its last pick */
    unsigned in_flight;
    unsigned index;
    struct list in_starting;
    usec_t started; /* when the slow start began */
    uint64_t key;
    struct entry *next_aside;
    unsigned weight;
    unsigned part;   /* of WHOLE_SHARE, less during its slow start */
    unsigned offset; /* round-robin: into its interval, in 1/2^OFFSET_BITS */
    bool is_present;
    bool is_usable;
};

struct balance_set {
    enum balance how;
    usec_t slow_start;
    uint64_t random;      /* the generator's state */
    size_t n_usable;      /* whose share is not 0 */
    struct list starting; /* entries; the first is looked at next */
    uint64_t now;         /* round-robin: when the last pick was due */
    uint64_t turn;        /* least-connections: picks so far */
    struct balance_heap heap;
    struct balance_draw *draw; /* random-two */
    struct balance_ring *ring; /* hash */
    unsigned n_entries;
    struct entry entries[];
};

/* ---- order in the heap -----------------------------------------------------------------------------------
 */

static struct entry *entry_of(const struct balance_heap_item *item)
{
    return container_of((struct balance_heap_item *)item, struct entry, in_heap);
}

static bool is_before(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

static bool is_due_before(const struct balance_heap_item *a, const struct balance_heap_item *b)
{
    return is_before(entry_of(a)->due, entry_of(b)->due);
}

static bool has_less_to_do(const struct balance_heap_item *item_a, const struct balance_heap_item *item_b)
{
    const struct entry *a = entry_of(item_a), *b = entry_of(item_b);
    /* (in flight + 1) / share, multiplied by both shares. */
    uint64_t load_a = (a->in_flight + UINT64_C(1)) * b->share;
    uint64_t load_b = (b->in_flight + UINT64_C(1)) * a->share;

    return load_a != load_b ? load_a < load_b : a->turn < b->turn;
}

/* ---- life ------------------------------------------------------------------------------------------------
 */

struct balance_set *balance_new(const struct balance_options *options)
{
    const unsigned n = options->n_slots;
    struct balance_set *set = xcalloc(1, sizeof(*set) + n * sizeof(set->entries[0]));

    assert(n <= BALANCE_SLOTS_MAX);
    set->how = options->how;
    set->slow_start = options->how == BALANCE_HASH ? 0 : options->slow_start;
    set->random = balance_scramble(options->seed);
    set->n_entries = n;
    set->turn = UINT32_MAX;
    list_init(&set->starting);
    for (unsigned i = 0; i < n; i++) {
        struct entry *entry = &set->entries[i];
        entry->index = i;
        entry->offset = balance_random(&set->random) >> (64 - OFFSET_BITS);
        entry->turn = balance_random(&set->random) >> 32; /* before all picks */
        list_init(&entry->in_starting);
    }
    switch (set->how) {
    case BALANCE_ROUND_ROBIN:
        balance_heap_init(&set->heap, n, is_due_before);
        break;
    case BALANCE_LEAST_CONNECTIONS:
        balance_heap_init(&set->heap, n, has_less_to_do);
        break;
    case BALANCE_RANDOM_TWO:
        set->draw = balance_draw_new(n);
        break;
    case BALANCE_HASH:
        set->ring = balance_ring_new(n);
        break;
    case _BALANCE_MAX:
    default:
        WRONG("no such algorithm");
    }
    return set;
}

struct balance_set *balance_free(struct balance_set *set)
{
    if (!set)
        return NULL;
    balance_heap_deinit(&set->heap);
    balance_draw_free(set->draw);
    balance_ring_free(set->ring);
    free(set);
    return NULL;
}

/* ---- shares ----------------------------------------------------------------------------------------------
 */

static uint64_t interval_of(const struct entry *entry)
{
    return INTERVAL_OF_SHARE_1 / entry->share;
}

/* When the target is due, now that its share is another than `before`. */
static void reschedule(struct balance_set *set, struct entry *entry, uint64_t before)
{
    uint64_t begin = set->now + (interval_of(entry) * entry->offset >> OFFSET_BITS);
    uint64_t left = entry->due - set->now;

    if (!is_before(set->now, entry->due)) {
        /* What it missed while it could not be picked is not made up for. */
        if (before == 0)
            entry->due = begin;
    } else if (before > 0)
        entry->due = set->now + left * before / entry->share;
    else if (left > interval_of(entry))
        entry->due = begin; /* it had less weight then */
}

static void set_share(struct balance_set *set, struct entry *entry)
{
    const uint64_t before = entry->share;
    const uint64_t share = entry->is_present && entry->is_usable ? (uint64_t)entry->weight * entry->part : 0;

    if (share == before)
        return;
    if (before == 0)
        set->n_usable++;
    if (share == 0)
        set->n_usable--;
    if (share == 0 && entry->in_heap.place > 0)
        balance_heap_remove(&set->heap, &entry->in_heap);
    entry->share = share;
    switch (set->how) {
    case BALANCE_ROUND_ROBIN:
        if (share > 0)
            reschedule(set, entry, before);
        break;
    case BALANCE_LEAST_CONNECTIONS:
        break;
    case BALANCE_RANDOM_TWO:
        balance_draw_set(set->draw, entry->index, share);
        return;
    case BALANCE_HASH:
        balance_ring_set_usable(set->ring, entry->index, share > 0);
        return;
    case _BALANCE_MAX:
    default:
        WRONG("no such algorithm");
    }
    if (share > 0 && before == 0)
        balance_heap_insert(&set->heap, &entry->in_heap);
    else if (share > 0)
        balance_heap_update(&set->heap, &entry->in_heap);
}

static void end_slow_start(struct entry *entry)
{
    entry->part = WHOLE_SHARE;
    list_unlink(&entry->in_starting);
}

static void go_on_starting(struct balance_set *set, struct entry *entry, usec_t now)
{
    const usec_t elapsed = usec_sub(now, entry->started);

    list_unlink(&entry->in_starting);
    if (elapsed >= set->slow_start)
        end_slow_start(entry);
    else {
        entry->part = SLOW_SHARE + (unsigned)((WHOLE_SHARE - SLOW_SHARE) * elapsed / set->slow_start);
        list_append(&set->starting, &entry->in_starting);
    }
    set_share(set, entry);
}

/* ---- targets ---------------------------------------------------------------------------------------------
 */

static struct entry *get(struct balance_set *set, unsigned index)
{
    assert(index < set->n_entries);
    return &set->entries[index];
}

static struct entry *get_present(struct balance_set *set, unsigned index)
{
    struct entry *entry = get(set, index);
    assert(entry->is_present);
    return entry;
}

void balance_add(struct balance_set *set, unsigned index, unsigned weight, uint64_t key)
{
    struct entry *entry = get(set, index);

    assert(!entry->is_present);
    assert(weight <= BALANCE_WEIGHT_MAX);
    entry->is_present = true;
    entry->is_usable = false;
    entry->weight = weight;
    entry->key = key;
    entry->part = WHOLE_SHARE;
    entry->due = set->now;
    entry->in_flight = 0;
    if (set->ring)
        balance_ring_set_weight(set->ring, index, weight, key);
}

void balance_remove(struct balance_set *set, unsigned index)
{
    struct entry *entry = get_present(set, index);

    entry->is_present = entry->is_usable = false;
    end_slow_start(entry);
    set_share(set, entry);
    if (set->ring)
        balance_ring_set_weight(set->ring, index, 0, entry->key);
}

void balance_set_weight(struct balance_set *set, unsigned index, unsigned weight)
{
    struct entry *entry = get_present(set, index);

    assert(weight <= BALANCE_WEIGHT_MAX);
    entry->weight = weight;
    set_share(set, entry);
    if (set->ring)
        balance_ring_set_weight(set->ring, index, weight, entry->key);
}

void balance_set_usable(struct balance_set *set, unsigned index, bool usable, bool slow, usec_t now)
{
    struct entry *entry = get_present(set, index);

    if (usable == entry->is_usable)
        return;
    entry->is_usable = usable;
    end_slow_start(entry);
    if (usable && slow && set->slow_start > 0) {
        entry->part = SLOW_SHARE;
        entry->started = now;
        list_append(&set->starting, &entry->in_starting);
    }
    set_share(set, entry);
}

/* ---- picking ---------------------------------------------------------------------------------------------
 */

static struct entry *pick_first(struct balance_set *set, const struct balance_request *request)
{
    struct entry *aside = NULL, *picked = NULL;
    struct balance_heap_item *first;

    /* Excluded ones keep their place: the next request is theirs. */
    while ((first = balance_heap_first(&set->heap))) {
        struct entry *entry = entry_of(first);
        if (!balance_request_excludes(request, entry->index)) {
            picked = entry;
            break;
        }
        balance_heap_remove(&set->heap, first);
        entry->next_aside = aside;
        aside = entry;
    }
    for (; aside; aside = aside->next_aside)
        balance_heap_insert(&set->heap, &aside->in_heap);
    return picked;
}

/* One by weight that is neither excluded nor `other`. Those that are drawn in vain are left out of the next
 * draw, and pushed to *aside. */
static struct entry *draw_one(struct balance_set *set, const struct balance_request *request,
                              const struct entry *other, struct entry **aside)
{
    uint64_t total;

    while ((total = balance_draw_total(set->draw)) > 0) {
        size_t index = balance_draw_find(set->draw, balance_random(&set->random) % total);
        struct entry *entry = &set->entries[index];
        if (entry != other && !balance_request_excludes(request, entry->index))
            return entry;
        balance_draw_set(set->draw, index, 0);
        /* cppcheck-suppress nullPointerRedundantCheck ; it confuses entry with other */
        entry->next_aside = *aside;
        *aside = entry;
    }
    return NULL;
}

static struct entry *pick_of_two(struct balance_set *set, const struct balance_request *request)
{
    struct entry *aside = NULL;
    struct entry *first = draw_one(set, request, NULL, &aside);
    struct entry *second = first ? draw_one(set, request, first, &aside) : NULL;

    for (; aside; aside = aside->next_aside)
        balance_draw_set(set->draw, aside->index, aside->share);
    /* In flight / share, multiplied by both shares. */
    if (second && second->in_flight * first->share < first->in_flight * second->share)
        return second;
    return first;
}

static struct entry *pick(struct balance_set *set, const struct balance_request *request)
{
    switch (set->how) {
    case BALANCE_ROUND_ROBIN:
    case BALANCE_LEAST_CONNECTIONS:
        return pick_first(set, request);
    case BALANCE_RANDOM_TWO:
        return pick_of_two(set, request);
    case BALANCE_HASH: {
        int index = balance_ring_find(set->ring, request);
        return index >= 0 ? &set->entries[index] : NULL;
    }
    case _BALANCE_MAX:
    default:
        WRONG("no such algorithm");
    }
}

static void take_turn(struct balance_set *set, struct entry *entry, usec_t now)
{
    if (list_is_linked(&entry->in_starting))
        go_on_starting(set, entry, now);
    if (entry->in_heap.place == 0)
        return;
    entry->turn = ++set->turn;
    if (set->how == BALANCE_ROUND_ROBIN)
        entry->due += interval_of(entry);
    balance_heap_update(&set->heap, &entry->in_heap);
}

int balance_pick(struct balance_set *set, const struct balance_request *request)
{
    if (!list_is_empty(&set->starting))
        go_on_starting(set, list_entry(set->starting.next, struct entry, in_starting), request->now);

    struct entry *entry = pick(set, request);
    if (!entry)
        return -1;
    if (is_before(set->now, entry->due))
        set->now = entry->due;
    take_turn(set, entry, request->now);
    return (int)entry->index;
}

bool balance_prefer(struct balance_set *set, unsigned index, const struct balance_request *request)
{
    struct entry *entry = get(set, index);

    if (!entry->is_present || !entry->is_usable || balance_request_excludes(request, index))
        return false;
    /* However many belong there: it need not wait for more than a turn beyond its next. */
    if (entry->share == 0 || !is_before(set->now + interval_of(entry), entry->due))
        take_turn(set, entry, request->now);
    return true;
}

static void set_in_flight(struct balance_set *set, struct entry *entry, unsigned in_flight)
{
    entry->in_flight = in_flight;
    if (set->how == BALANCE_LEAST_CONNECTIONS && entry->in_heap.place > 0)
        balance_heap_update(&set->heap, &entry->in_heap);
}

void balance_begin(struct balance_set *set, unsigned index)
{
    struct entry *entry = get(set, index);
    set_in_flight(set, entry, entry->in_flight + 1);
}

void balance_end(struct balance_set *set, unsigned index)
{
    struct entry *entry = get(set, index);
    if (entry->in_flight > 0)
        set_in_flight(set, entry, entry->in_flight - 1);
}

size_t balance_n_usable(const struct balance_set *set)
{
    return set->n_usable;
}
