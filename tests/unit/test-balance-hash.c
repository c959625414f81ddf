/* Hashing: balance_hash(), and BALANCE_HASH by way of its ring. */

#include "balance-fixture.h"
#include "upstream/balance_ring.h"

#define N_KEYS 100000

static int before[N_KEYS];

/* These numbers are where clients are: they must not change from release to release. */
static void test_the_hash_is_the_same_everywhere(void **state)
{
    assert_int_equal(balance_hash("", 0), UINT64_C(0xe220a8397b1dcdaf));
    assert_int_equal(balance_hash("a", 1), UINT64_C(0x6232969000262121));
    assert_int_equal(balance_hash("192.0.2.1", 9), UINT64_C(0x33b53f4c748663d2));
    assert_int_not_equal(balance_hash("a", 1), balance_hash("a\0", 2));
}

/* Each bit of the input changes half of the output. */
static void test_the_hash_mixes_well(void **state)
{
    unsigned char bytes[21] = "a header's value";
    const uint64_t hash = balance_hash(bytes, sizeof(bytes));

    for (unsigned bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= 1U << bit % 8;
        assert_in_range(__builtin_popcountll(hash ^ balance_hash(bytes, sizeof(bytes))), 12, 52);
        bytes[bit / 8] ^= 1U << bit % 8;
    }
}

static void remember(struct balance_set *set)
{
    for (unsigned i = 0; i < N_KEYS; i++)
        before[i] = pick_hash(set, i);
}

static void test_only_the_share_of_one_moves(void **state)
{
    static const unsigned sizes[] = {2, 4, 10, 64, 200};

    for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
        const unsigned n = sizes[s], gone = n / 2;
        struct balance_set *set = make_equal(BALANCE_HASH, n);
        unsigned n_moved = 0;

        remember(set);
        balance_remove(set, gone);
        for (unsigned i = 0; i < N_KEYS; i++) {
            int index = pick_hash(set, i);
            assert_int_not_equal(index, gone);
            if (before[i] == (int)gone)
                n_moved++;
            else
                assert_int_equal(index, before[i]);
        }
        /* About 1/n; its 64 points are 12 % more or less, or three times that. */
        assert_in_range(n_moved, N_KEYS / n * 6 / 10, N_KEYS / n * 14 / 10);

        /* Not usable is as gone; and when it is back, all is as it was. */
        balance_add(set, gone, 1, key_of(gone));
        for (unsigned i = 0; i < N_KEYS; i += 10)
            assert_int_not_equal(pick_hash(set, i), gone);
        set_usable(set, gone, true);
        for (unsigned i = 0; i < N_KEYS; i++)
            assert_int_equal(pick_hash(set, i), before[i]);
        balance_free(set);
    }
}

/* More weight only brings some to it; what comes is given back with the weight. */
static void test_a_weight_changes(void **state)
{
    struct balance_set *set = make(BALANCE_HASH, 10, (unsigned[]){4}, 1, 1);
    unsigned n_moved = 0;

    remember(set);
    balance_set_weight(set, 3, 8);
    for (unsigned i = 0; i < N_KEYS; i++) {
        int index = pick_hash(set, i);
        if (index == before[i])
            continue;
        assert_int_equal(index, 3);
        n_moved++;
    }
    /* From 4 of 40 to 8 of 44. */
    assert_in_range(n_moved, N_KEYS * 0.06, N_KEYS * 0.11);
    balance_set_weight(set, 3, 4);
    for (unsigned i = 0; i < N_KEYS; i++)
        assert_int_equal(pick_hash(set, i), before[i]);
    balance_free(set);
}

/* When the ring would be too large, each has half as many points: not all is lost. */
static void test_half_moves_when_points_are_halved(void **state)
{
    struct balance_set *set = make(BALANCE_HASH, 65, (unsigned[]){256}, 1, 1);
    unsigned n_moved = 0;

    balance_remove(set, 64);
    remember(set); /* 16,384 in all */
    balance_add(set, 64, 1, key_of(64));
    for (unsigned i = 0; i < N_KEYS; i++)
        n_moved += pick_hash(set, i) != before[i];
    assert_in_range(n_moved, N_KEYS * 0.4, N_KEYS * 0.6);
    balance_free(set);
}

/* Another worker, another process, other indices, another order: what counts is the key. */
static void test_only_keys_count(void **state)
{
    enum { N = 50 };
    struct balance_set *set = make(BALANCE_HASH, N, (unsigned[]){1}, 1, 1);
    struct balance_set *other = balance_new(
        &(struct balance_options){.how = BALANCE_HASH, .n_slots = 2 * N, .seed = 2, .slow_start = 1000});

    remember(set);
    for (unsigned i = 0; i < N; i++) {
        balance_add(other, 2 * N - 1 - i, 1, key_of(i));
        balance_set_usable(other, 2 * N - 1 - i, true, true, 0);
        assert_int_equal(pick_hash(other, 1) >= N, true); /* the ring is made while they come */
    }
    for (unsigned i = 0; i < N_KEYS; i++)
        assert_int_equal(2 * N - 1 - pick_hash(other, i), before[i]);
    balance_free(set);
    balance_free(other);
}

/* One that was excluded is passed over as if it were gone. */
static void test_excluded_is_as_gone(void **state)
{
    struct balance_set *set = make(BALANCE_HASH, 20, (unsigned[]){1, 4}, 2, 1);
    uint64_t exclude = 1 << 7 | 1 << 11;

    for (unsigned i = 0; i < 10000; i++)
        before[i] = pick_but(set, &exclude, 1, i);
    balance_remove(set, 7);
    set_usable(set, 11, false);
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(pick_hash(set, i), before[i]);
    balance_free(set);
}

/* A share's deviation is 1/sqrt(points) of it, and that of counting: five times that does not happen. */
static void assert_shares(unsigned n, const unsigned *weights, size_t n_weights, unsigned points_per_weight,
                          size_t n_picks)
{
    struct balance_set *set = make(BALANCE_HASH, n, weights, n_weights, 1);
    double total = 0;

    for (unsigned i = 0; i < n; i++)
        total += weights[i % n_weights];
    pick(set, n_picks);
    for (unsigned i = 0; i < n; i++) {
        unsigned weight = weights[i % n_weights];
        if (weight * points_per_weight < 32)
            continue; /* so few points that it may have nearly nothing */
        double share = (double)n_picks * weight / total, off = picks[i] / share - 1;
        if (off * off > 25 * (1.0 / (weight * points_per_weight) + 1 / share))
            fail_msg("target %u of %u, of weight %u, has %u picks, not %f", i, n, weight, picks[i], share);
    }
    balance_free(set);
}

static void test_shares_go_by_weight(void **state)
{
    unsigned weights[256];

    for (unsigned i = 0; i < ARRAY_SIZE(weights); i++)
        weights[i] = i + 1;
    assert_shares(4, (unsigned[]){1}, 1, 64, 100000);
    assert_shares(10, (unsigned[]){1, 2, 1, 100, 256}, 5, 64, 1000000);
    assert_shares(1000, (unsigned[]){1, 5}, 2, 64, 1000000);
}

/* Beyond a million points there are fewer for each: a third of one per unit of weight here. */
static void test_many_targets(void **state)
{
    unsigned weights[256];
    size_t halves[2] = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(weights); i++)
        weights[i] = i + 1;
    struct balance_set *set = make(BALANCE_HASH, TARGETS_MAX, weights, 256, 1);
    pick(set, 2000000);
    for (unsigned i = 0; i < TARGETS_MAX; i++)
        halves[weights[i % 256] > 128] += picks[i];
    /* 128 * 129 / 2 of 256 * 257 / 2, but for the last, incomplete round. */
    assert_in_range(halves[0], 2000000 * 0.24, 2000000 * 0.26);
    for (unsigned i = 0; i < TARGETS_MAX; i++) {
        double weight = weights[i % 256], share = 2000000 * weight / 1285000, off = picks[i] / share - 1;
        if (weight >= 64 && off * off > 36 * (2 / weight + 1 / share))
            fail_msg("target %u of weight %u has %u picks, not %f", i, weights[i % 256], picks[i], share);
    }
    balance_free(set);
}

/* ---- the ring --------------------------------------------------------------------------------------------
 */

static int find(struct balance_ring *ring, uint64_t hash)
{
    return balance_ring_find(ring, &(struct balance_request){.hash = hash});
}

static void test_memory_is_bounded(void **state)
{
    struct balance_ring *ring = balance_ring_new(TARGETS_MAX);

    for (unsigned i = 0; i < 256; i++) {
        balance_ring_set_weight(ring, i, 1, key_of(i));
        balance_ring_set_usable(ring, i, true);
    }
    assert_true(find(ring, 1) >= 0);
    assert_int_equal(balance_ring_n_points(ring), 256 * 64);
    for (unsigned i = 0; i < TARGETS_MAX; i++) {
        balance_ring_set_weight(ring, i, BALANCE_WEIGHT_MAX, key_of(i));
        balance_ring_set_usable(ring, i, true);
    }
    assert_true(find(ring, 1) >= 0);
    assert_in_range(balance_ring_n_points(ring), BALANCE_RING_POINTS_MAX / 2, BALANCE_RING_POINTS_MAX);
    for (unsigned i = 10; i < TARGETS_MAX; i++)
        balance_ring_set_weight(ring, i, i % 2, key_of(i)); /* at least a point each */
    assert_true(find(ring, 1) >= 0);
    assert_in_range(balance_ring_n_points(ring), BALANCE_RING_POINTS_MAX / 2,
                    BALANCE_RING_POINTS_MAX + TARGETS_MAX);
    for (unsigned i = 0; i < TARGETS_MAX; i++)
        balance_ring_set_weight(ring, i, 0, key_of(i));
    assert_int_equal(find(ring, 1), -1);
    balance_ring_free(ring);
}

/* A ring of which hardly anything is usable is thinned, and filled again; nobody can tell. */
static void test_a_sparse_ring_answers_the_same(void **state)
{
    enum { N = 1000 };
    struct balance_ring *ring = balance_ring_new(N);
    size_t n_whole;

    for (unsigned i = 0; i < N; i++) {
        balance_ring_set_weight(ring, i, 1, key_of(i));
        balance_ring_set_usable(ring, i, true);
    }
    for (unsigned i = 0; i < 10000; i++)
        before[i] = find(ring, i);
    n_whole = balance_ring_n_points(ring);
    assert_int_equal(n_whole, N * 64);

    /* One that holds the usable ones only is what it must agree with. */
    struct balance_ring *plain = balance_ring_new(N);
    for (unsigned i = 0; i < N; i++) {
        balance_ring_set_usable(ring, i, i % 100 == 0);
        balance_ring_set_usable(plain, i, true);
        if (i % 100 == 0)
            balance_ring_set_weight(plain, i, 1, key_of(i));
    }
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(find(ring, i), find(plain, i));
    balance_ring_free(plain);
    assert_int_equal(find(ring, 0) % 100, 0);
    assert_int_equal(balance_ring_n_points(ring), 10 * 64);
    for (unsigned i = 0; i < N; i++) {
        balance_ring_set_usable(ring, i, true);
        if (i % 50 == 0)
            find(ring, i);
    }
    for (unsigned i = 0; i < 10000; i++)
        assert_int_equal(find(ring, i), before[i]);
    assert_int_equal(balance_ring_n_points(ring), n_whole);
    balance_ring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_hash_is_the_same_everywhere),
        cmocka_unit_test(test_the_hash_mixes_well),
        cmocka_unit_test(test_only_the_share_of_one_moves),
        cmocka_unit_test(test_a_weight_changes),
        cmocka_unit_test(test_half_moves_when_points_are_halved),
        cmocka_unit_test(test_only_keys_count),
        cmocka_unit_test(test_excluded_is_as_gone),
        cmocka_unit_test(test_shares_go_by_weight),
        cmocka_unit_test(test_many_targets),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_a_sparse_ring_answers_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
