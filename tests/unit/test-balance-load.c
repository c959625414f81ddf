/* The algorithms that go by what is in flight: least-connections and random-two. */

#include "balance-fixture.h"

static int pick_and_begin(struct balance_set *set)
{
    int index = pick_one(set);
    assert_true(index >= 0);
    picks[index]++;
    balance_begin(set, (unsigned)index);
    return index;
}

/* ---- least-connections -----------------------------------------------------------------------------------
 */

static void test_idle_ones_come_in_turn(void **state)
{
    struct balance_set *set = make_equal(BALANCE_LEAST_CONNECTIONS, 5);
    int order[5];

    for (unsigned i = 0; i < 5; i++)
        order[i] = pick_one(set);
    for (unsigned i = 0; i < 50; i++) {
        int index = pick_and_begin(set);
        assert_int_equal(index, order[i % 5]);
        balance_end(set, (unsigned)index);
    }
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(picks[i], 10);
    balance_free(set);
}

/* However long requests last: what is in flight differs by one at most while they only come, and by little
 * when they end at random. */
static void test_load_is_even_under_uneven_durations(void **state)
{
    enum { N = 20, REQUESTS = 400 };
    struct balance_set *set = make_equal(BALANCE_LEAST_CONNECTIONS, N);
    unsigned in_flight[N] = {0};
    int where[REQUESTS];
    uint64_t random = 5;

    for (unsigned i = 0; i < REQUESTS; i++)
        in_flight[where[i] = pick_and_begin(set)]++;
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(in_flight[i], REQUESTS / N);

    /* A quarter of the targets takes ten times as long as the others. */
    memset(picks, 0, sizeof(picks));
    for (unsigned n = 0; n < 100000; n++) {
        unsigned i = (unsigned)(balance_random(&random) % REQUESTS);
        if (where[i] % 4 == 0 && balance_random(&random) % 10)
            continue;
        in_flight[where[i]]--;
        balance_end(set, (unsigned)where[i]);
        in_flight[where[i] = pick_and_begin(set)]++;
        for (unsigned j = 0; j < N; j++)
            assert_in_range(in_flight[j], REQUESTS / N - 2, REQUESTS / N + 2);
    }
    assert_in_range(picks[1], picks[0] * 8, picks[0] * 12);
    balance_free(set);
}

static void test_load_goes_by_weight(void **state)
{
    static unsigned weights[256];
    size_t total = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(weights); i++)
        weights[i] = i + 1;
    struct balance_set *set = make(BALANCE_LEAST_CONNECTIONS, TARGETS_MAX, weights, 256, 1);
    for (unsigned i = 0; i < TARGETS_MAX; i++)
        total += weights[i % 256];
    for (size_t i = 0; i < total; i++)
        pick_and_begin(set);
    for (unsigned i = 0; i < TARGETS_MAX; i++)
        assert_int_equal(picks[i], weights[i % 256]);
    balance_free(set);
}

static void test_one_that_is_full_is_passed_over(void **state)
{
    struct balance_set *set = make_equal(BALANCE_LEAST_CONNECTIONS, 3);

    for (unsigned i = 0; i < 10; i++)
        balance_begin(set, 1);
    for (unsigned i = 0; i < 20; i++)
        assert_int_not_equal(pick_and_begin(set), 1);
    balance_set_weight(set, 1, 2); /* 11 in 2 is less than 11 in 1 */
    assert_int_equal(pick_and_begin(set), 1);
    balance_free(set);
}

/* ---- random-two ------------------------------------------------------------------------------------------
 */

/* Of idle targets, chance decides: with k picks to be expected the deviation is sqrt(k), that is 1 % at
 * 10,000. Six times that does not happen. */
static void test_idle_ones_have_their_share(void **state)
{
    static const struct {
        unsigned n_targets;
        size_t n_picks;
    } cases[] = {{10, 1000000}, {TARGETS_MAX, 3000000}};
    unsigned weights[256];

    for (unsigned i = 0; i < ARRAY_SIZE(weights); i++)
        weights[i] = i + 1;
    for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
        struct balance_set *set = make(BALANCE_RANDOM_TWO, cases[c].n_targets, weights, 256, 1);
        double total = 0, square = 0;

        for (unsigned i = 0; i < cases[c].n_targets; i++)
            total += weights[i % 256];
        pick(set, cases[c].n_picks);
        for (unsigned i = 0; i < cases[c].n_targets; i++) {
            double share = (double)cases[c].n_picks * weights[i % 256] / total, off = picks[i] - share;
            if (off * off > 36 * MAX(share, 4.0))
                fail_msg("target %u of %u has %u picks, not %f", i, cases[c].n_targets, picks[i], share);
            square += off * off / share;
        }
        /* Together they are as far off as chance says, no more. */
        assert_true(square / cases[c].n_targets < 2);
        balance_free(set);
    }
}

static void test_a_loaded_one_is_avoided(void **state)
{
    struct balance_set *set = make_equal(BALANCE_RANDOM_TWO, 4);

    balance_begin(set, 2);
    pick(set, 4000);
    assert_int_equal(picks[2], 0); /* the other one drawn has less */
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(picks[i], i == 2 ? 0 : 1100, 1600);
    balance_end(set, 2);
    memset(picks, 0, sizeof(picks));
    pick(set, 4000);
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(picks[i], 800, 1200);

    set_usable(set, 0, false);
    set_usable(set, 1, false);
    set_usable(set, 3, false);
    balance_begin(set, 2);
    assert_int_equal(pick_one(set), 2); /* there is no other */
    balance_free(set);
}

/* One that never ends anything gets no more than the others let it. */
static void test_a_stuck_one_gets_little(void **state)
{
    struct balance_set *set = make_equal(BALANCE_RANDOM_TWO, 10);

    for (unsigned n = 0; n < 10000; n++) {
        int index = pick_and_begin(set);
        if (index != 7)
            balance_end(set, (unsigned)index);
    }
    assert_int_equal(picks[7], 1);
    balance_free(set);
}

static void test_load_is_per_weight(void **state)
{
    struct balance_set *set = make(BALANCE_RANDOM_TWO, 2, (unsigned[]){1, 9}, 2, 0);

    for (unsigned i = 0; i < 10000; i++)
        pick_and_begin(set);
    assert_in_range(picks[0], 998, 1002);
    balance_free(set);
}

/* What is drawn in vain is put back. */
static void test_excluded_ones_have_their_share_afterwards(void **state)
{
    struct balance_set *set = make(BALANCE_RANDOM_TWO, 3, (unsigned[]){2, 7, 1}, 3, 0);
    uint64_t exclude = 1 << 1;

    for (unsigned i = 0; i < 3000; i++)
        picks[pick_but(set, &exclude, 1, 0)]++;
    assert_int_equal(picks[1], 0);
    assert_in_range(picks[0], 1850, 2150);
    memset(picks, 0, sizeof(picks));
    pick(set, 10000);
    assert_in_range(picks[1], 6700, 7300);
    balance_set_weight(set, 1, 1);
    memset(picks, 0, sizeof(picks));
    pick(set, 10000);
    assert_in_range(picks[0], 4700, 5300);
    balance_free(set);
}

/* What a removed target had in flight is nothing to the one that comes after it. */
static void test_load_goes_with_its_target(void **state)
{
    static const enum balance hows[] = {BALANCE_LEAST_CONNECTIONS, BALANCE_RANDOM_TWO};

    for (size_t h = 0; h < ARRAY_SIZE(hows); h++) {
        struct balance_set *set = make_equal(hows[h], 2);

        for (unsigned i = 0; i < 100; i++)
            balance_begin(set, 1);
        balance_begin(set, 0);
        balance_remove(set, 1);
        balance_end(set, 1);
        balance_add(set, 1, 1, key_of(5));
        set_usable(set, 1, true);
        assert_int_equal(pick_and_begin(set), 1);
        balance_end(set, 1);
        balance_end(set, 1);
        assert_int_equal(pick_and_begin(set), 1);
        balance_free(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_ones_come_in_turn),
        cmocka_unit_test(test_load_is_even_under_uneven_durations),
        cmocka_unit_test(test_load_goes_by_weight),
        cmocka_unit_test(test_one_that_is_full_is_passed_over),
        cmocka_unit_test(test_idle_ones_have_their_share),
        cmocka_unit_test(test_a_loaded_one_is_avoided),
        cmocka_unit_test(test_a_stuck_one_gets_little),
        cmocka_unit_test(test_load_is_per_weight),
        cmocka_unit_test(test_load_goes_with_its_target),
        cmocka_unit_test(test_excluded_ones_have_their_share_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
