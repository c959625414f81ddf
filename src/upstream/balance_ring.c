/* A point is a number: its place on the ring in the upper bits, its target's index in the lower; so points
 * are compared, sorted and merged as what they are. Two at one place are rare (one pair in 32 full rings);
 * only there does it matter who came first.
 *
 * What has changed is collected, and the ring mended when it is next looked at: the points of all changed
 * targets are taken out, their new ones sorted and merged in.
 *
 * Passing over is cheap as long as enough of the points are of usable targets. When hardly any are, those of
 * the others are taken out (the ring is *sparse*), which changes no answer; when more are usable again, all
 * come back at once. */

#include "upstream/balance_ring.h"

#define POINTS_PER_WEIGHT 64
#define INDEX_BITS 20
#define INDEX_MASK ((UINT64_C(1) << INDEX_BITS) - 1)
#define RADIX_BITS 11
/* The usable share of the weights below which a ring becomes sparse, and above which it is whole again. They
 * lie apart so that one target's going and coming does not make it change each time. */
#define SPARSE_BELOW 64
#define WHOLE_ABOVE 32

/* Equal today. NOLINTNEXTLINE(misc-redundant-expression) */
static_assert(BALANCE_SLOTS_MAX <= 1U << INDEX_BITS, "an index fits into a point");

struct slot {
    uint64_t key;
    unsigned weight;
    bool usable;
    bool is_changed; /* its points are not what they should be */
};

struct balance_ring {
    unsigned n_slots;
    struct slot *slots;
    unsigned *changed; /* indices */
    unsigned n_changed;
    bool is_settled; /* nothing has happened since the last look-up */
    bool is_sparse;
    unsigned halvings; /* of POINTS_PER_WEIGHT */
    uint64_t weight;   /* the sum of all, and of the usable ones */
    uint64_t usable_weight;
    unsigned n_usable; /* with weight */
    uint64_t *points;  /* in order */
    size_t n_points;
};

struct balance_ring *balance_ring_new(unsigned n_slots)
{
    struct balance_ring *ring = xcalloc(1, sizeof(*ring));

    assert(n_slots <= BALANCE_SLOTS_MAX);
    ring->n_slots = n_slots;
    ring->slots = xcalloc(n_slots, sizeof(ring->slots[0]));
    ring->changed = xcalloc(n_slots, sizeof(ring->changed[0]));
    return ring;
}

struct balance_ring *balance_ring_free(struct balance_ring *ring)
{
    if (!ring)
        return NULL;
    free(ring->slots);
    free(ring->changed);
    free(ring->points);
    free(ring);
    return NULL;
}

size_t balance_ring_n_points(const struct balance_ring *ring)
{
    return ring->n_points;
}

/* ---- what changes ----------------------------------------------------------------------------------------
 */

static void mark_changed(struct balance_ring *ring, unsigned index)
{
    if (ring->slots[index].is_changed)
        return;
    ring->slots[index].is_changed = true;
    ring->changed[ring->n_changed++] = index;
}

static void count_usable(struct balance_ring *ring, const struct slot *slot, int sign)
{
    if (!slot->usable || slot->weight == 0)
        return;
    ring->usable_weight += (uint64_t)((int64_t)slot->weight * sign);
    ring->n_usable += (unsigned)sign;
}

void balance_ring_set_weight(struct balance_ring *ring, unsigned index, unsigned weight, uint64_t key)
{
    assert(index < ring->n_slots);
    struct slot *slot = &ring->slots[index];

    if (slot->weight == weight && slot->key == key)
        return;
    count_usable(ring, slot, -1);
    ring->weight = ring->weight - slot->weight + weight;
    slot->weight = weight;
    slot->key = key;
    count_usable(ring, slot, 1);
    ring->is_settled = false;
    mark_changed(ring, index);
}

void balance_ring_set_usable(struct balance_ring *ring, unsigned index, bool usable)
{
    assert(index < ring->n_slots);
    struct slot *slot = &ring->slots[index];

    if (slot->usable == usable)
        return;
    count_usable(ring, slot, -1);
    slot->usable = usable;
    count_usable(ring, slot, 1);
    ring->is_settled = false;
    if (ring->is_sparse)
        mark_changed(ring, index);
}

/* ---- mending ---------------------------------------------------------------------------------------------
 */

static size_t wanted_points(const struct balance_ring *ring, const struct slot *slot)
{
    if (slot->weight == 0 || (ring->is_sparse && !slot->usable))
        return 0;
    return MAX((size_t)slot->weight * POINTS_PER_WEIGHT >> ring->halvings, 1U);
}

/* Decides what all share, and marks those whose points depend on it. */
static void choose_density(struct balance_ring *ring)
{
    unsigned halvings = 0;
    bool is_sparse = ring->usable_weight < ring->weight / (ring->is_sparse ? WHOLE_ABOVE : SPARSE_BELOW);

    while (ring->weight * POINTS_PER_WEIGHT >> halvings > BALANCE_RING_POINTS_MAX)
        halvings++;
    if (halvings == ring->halvings && is_sparse == ring->is_sparse)
        return;
    for (unsigned i = 0; i < ring->n_slots; i++)
        if (halvings != ring->halvings || (is_sparse != ring->is_sparse && !ring->slots[i].usable))
            mark_changed(ring, i);
    ring->halvings = halvings;
    ring->is_sparse = is_sparse;
}

/* From the least significant digit on; `spare` is as large as `points`. The index is no part of what is
 * sorted: the order in which points were added decides. */
static void sort(uint64_t *points, uint64_t *spare, size_t n)
{
    for (unsigned shift = INDEX_BITS; shift < 64; shift += RADIX_BITS) {
        size_t places[1U << RADIX_BITS] = {0}, place = 0;

        for (size_t i = 0; i < n; i++)
            places[points[i] >> shift & (ARRAY_SIZE(places) - 1)]++;
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
            size_t count = places[i];
            places[i] = place;
            place += count;
        }
        for (size_t i = 0; i < n; i++)
            spare[places[points[i] >> shift & (ARRAY_SIZE(places) - 1)]++] = points[i];
        uint64_t *sorted = spare;
        spare = points;
        points = sorted;
    }
}

static_assert((64 - INDEX_BITS) % (2 * RADIX_BITS) == 0, "sort() ends where it began");

static void add_points(uint64_t *points, size_t n, const struct slot *slot, unsigned index)
{
    uint64_t begin = balance_scramble(slot->key);

    for (size_t i = 0; i < n; i++)
        points[i] = (balance_scramble(begin + i) & ~INDEX_MASK) | index;
}

/* Merges sorted points into the sorted ring, from behind, so that the ring is its own room. */
static void merge(struct balance_ring *ring, const uint64_t *fresh, size_t n_fresh)
{
    size_t i = ring->n_points, j = n_fresh;

    ring->n_points += n_fresh;
    ring->points = xrealloc(ring->points, ring->n_points, sizeof(ring->points[0]));
    for (size_t place = ring->n_points; j > 0; place--)
        ring->points[place - 1] =
            i > 0 && ring->points[i - 1] > fresh[j - 1] ? ring->points[--i] : fresh[--j];
}

static void mend(struct balance_ring *ring)
{
    size_t n_kept = 0, n_fresh = 0;

    for (size_t i = 0; i < ring->n_points; i++)
        if (!ring->slots[ring->points[i] & INDEX_MASK].is_changed)
            ring->points[n_kept++] = ring->points[i];
    ring->n_points = n_kept;

    for (unsigned i = 0; i < ring->n_changed; i++)
        n_fresh += wanted_points(ring, &ring->slots[ring->changed[i]]);
    _cleanup_free_ uint64_t *fresh = xcalloc(n_fresh, sizeof(*fresh));
    _cleanup_free_ uint64_t *spare = xcalloc(n_fresh, sizeof(*spare));
    n_fresh = 0;
    for (unsigned i = 0; i < ring->n_changed; i++) {
        struct slot *slot = &ring->slots[ring->changed[i]];
        size_t n = wanted_points(ring, slot);
        add_points(fresh + n_fresh, n, slot, ring->changed[i]);
        n_fresh += n;
        slot->is_changed = false;
    }
    ring->n_changed = 0;
    sort(fresh, spare, n_fresh);
    merge(ring, fresh, n_fresh);
}

/* ---- finding ---------------------------------------------------------------------------------------------
 */

static size_t first_at_or_after(const struct balance_ring *ring, uint64_t place)
{
    size_t low = 0, high = ring->n_points;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ring->points[middle] < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool all_are_excluded(const struct balance_ring *ring, const struct balance_request *request)
{
    unsigned n = 0;

    for (size_t word = 0; word < request->n_exclude; word++)
        for (uint64_t bits = request->exclude[word]; bits; bits &= bits - 1) {
            size_t index = word * 64 + (size_t)__builtin_ctzll(bits);
            n += index < ring->n_slots && ring->slots[index].usable && ring->slots[index].weight > 0;
        }
    return n == ring->n_usable;
}

int balance_ring_find(struct balance_ring *ring, const struct balance_request *request)
{
    bool some_is_left = false;

    if (ring->n_usable == 0)
        return -1;
    if (!ring->is_settled) {
        choose_density(ring);
        if (ring->n_changed > 0)
            mend(ring);
        ring->is_settled = true;
    }
    for (size_t i = first_at_or_after(ring, balance_scramble(request->hash));; i++) {
        unsigned index = ring->points[i % ring->n_points] & INDEX_MASK;
        if (!ring->slots[index].usable)
            continue;
        if (!balance_request_excludes(request, index))
            return (int)index;
        /* Asked once, and only by those that need to know: whoever is left will be met. */
        if (!some_is_left && all_are_excluded(ring, request))
            return -1;
        some_is_left = true;
    }
}
