/* What all algorithms keep, and round robin. Others: test-balance-load.c, test-balance-hash.c. */

#include "balance-fixture.h"

/* ---- whatever the algorithm ------------------------------------------------------------------------------
 */

static void test_there_may_be_none(void **state)
{
    for (size_t a = 0; a < ARRAY_SIZE(algorithms); a++) {
        struct balance_set *set = make_equal(algorithms[a], 0);
        assert_int_equal(pick_one(set), -1);
        balance_free(set);

        set = make(algorithms[a], 2, (unsigned[]){0}, 1, 0);
        assert_int_equal(pick_one(set), -1);
        assert_int_equal(balance_n_usable(set), 0);
        balance_free(set);

        set = balance_new(&(struct balance_options){.how = algorithms[a], .n_slots = 4});
        balance_add(set, 2, 1, 7);
        assert_int_equal(pick_one(set), -1); /* added ones are not usable at first */
        set_usable(set, 2, true);
        assert_int_equal(pick_one(set), 2);
        assert_int_equal(balance_n_usable(set), 1);
        balance_free(set);
    }
    assert_null(balance_free(NULL));
}

static void test_weight_zero_is_never_picked_but_may_be_preferred(void **state)
{
    for (size_t a = 0; a < ARRAY_SIZE(algorithms); a++) {
        struct balance_set *set = make(algorithms[a], 3, (unsigned[]){1, 0, 2}, 3, 0);
        uint64_t exclude = 1 << 1;

        set_usable(set, 1, false);
        set_usable(set, 1, true);
        pick(set, 300);
        assert_int_equal(picks[1], 0);
        assert_int_equal(balance_n_usable(set), 2);

        assert_true(balance_prefer(set, 1, &(struct balance_request){0}));
        assert_false(balance_prefer(set, 1, &(struct balance_request){.exclude = &exclude, .n_exclude = 1}));
        set_usable(set, 1, false);
        assert_false(balance_prefer(set, 1, &(struct balance_request){0}));
        balance_remove(set, 1);
        assert_false(balance_prefer(set, 1, &(struct balance_request){0}));

        balance_set_weight(set, 0, 0);
        balance_set_weight(set, 2, 0);
        assert_int_equal(pick_one(set), -1);
        balance_set_weight(set, 0, 1);
        assert_int_equal(pick_one(set), 0);
        balance_free(set);
    }
}

/* As a request does that is tried on one target after the other. */
static void test_excluded_ones_are_passed_over(void **state)
{
    for (size_t a = 0; a < ARRAY_SIZE(algorithms); a++) {
        struct balance_set *set = make_equal(algorithms[a], 70);
        uint64_t exclude[2] = {0, 0};

        set_usable(set, 69, false);
        for (unsigned i = 0; i < 69; i++) {
            int index = pick_but(set, exclude, 2, 5);
            assert_in_range(index, 0, 68);
            assert_false(exclude[index / 64] >> index % 64 & 1);
            exclude[index / 64] |= UINT64_C(1) << index % 64;
        }
        assert_int_equal(pick_but(set, exclude, 2, 5), -1);
        assert_in_range(pick_but(set, exclude, 1, 5), 64,
                        68); /* of what is beyond the words none is excluded */
        pick(set, 70 * 200);
        for (unsigned i = 0; i < 69; i++)
            assert_true(picks[i] > 0);
        balance_free(set);
    }
}

static void test_unusable_ones_are_not_picked(void **state)
{
    for (size_t a = 0; a < ARRAY_SIZE(algorithms); a++) {
        struct balance_set *set = make_equal(algorithms[a], 4);

        set_usable(set, 2, false);
        pick(set, 3000);
        assert_int_equal(picks[2], 0);
        assert_int_equal(balance_n_usable(set), 3);
        for (unsigned i = 0; i < 4; i++)
            set_usable(set, i, false);
        assert_int_equal(pick_one(set), -1);
        assert_int_equal(balance_n_usable(set), 0);
        set_usable(set, 1, true);
        for (unsigned i = 0; i < 10; i++)
            assert_int_equal(pick_hash(set, i), 1);
        balance_free(set);
    }
}

/* What a set answers is the same whether it was built so, or became so. */
static void test_an_index_is_used_again(void **state)
{
    for (size_t a = 0; a < ARRAY_SIZE(algorithms); a++) {
        struct balance_set *set = make(algorithms[a], 3, (unsigned[]){8}, 1, 1);

        pick(set, 1000);
        balance_begin(set, 1);
        balance_remove(set, 1);
        assert_int_equal(balance_n_usable(set), 2);
        memset(picks, 0, sizeof(picks));
        pick(set, 1000);
        assert_int_equal(picks[1], 0);
        balance_end(set, 1); /* of the one that is gone: nothing happens */
        balance_add(set, 1, 16, key_of(77));
        pick(set, 100);
        assert_int_equal(picks[1], 0);
        set_usable(set, 1, true);
        memset(picks, 0, sizeof(picks));
        for (unsigned i = 0; i < 4000; i++) {
            int index = pick_hash(set, i);
            picks[index]++;
            balance_begin(set,
                          (unsigned)index); /* for least-connections: nothing ends, so it goes by weight */
        }
        assert_in_range(picks[1], 1700, 2300);
        balance_free(set);
    }
}

static void test_the_same_seed_gives_the_same_picks(void **state)
{
    for (size_t a = 0; a < ARRAY_SIZE(algorithms); a++) {
        struct balance_set *one = make(algorithms[a], 20, (unsigned[]){1, 3}, 2, 9);
        struct balance_set *other = make(algorithms[a], 20, (unsigned[]){1, 3}, 2, 9);

        for (unsigned i = 0; i < 1000; i++)
            assert_int_equal(pick_hash(one, i), pick_hash(other, i));
        balance_free(one);
        balance_free(other);
    }
}

static void test_seeds_start_at_different_targets(void **state)
{
    for (size_t a = 0; a < ARRAY_SIZE(algorithms); a++) {
        unsigned seen = 0;

        if (algorithms[a] == BALANCE_HASH)
            continue; /* the workers are to agree */
        for (unsigned seed = 0; seed < 64; seed++) {
            struct balance_set *set = make(algorithms[a], 8, (unsigned[]){1}, 1, seed);
            seen |= 1U << pick_one(set);
            balance_free(set);
        }
        assert_in_range(__builtin_popcount(seen), 7, 8);
    }
}

/* Anything may happen to a set, and what it picks may always be picked. */
static void test_whatever_happens(void **state)
{
    enum { N = 200 };

    for (size_t a = 0; a < ARRAY_SIZE(algorithms); a++) {
        struct balance_set *set = balance_new(&(struct balance_options){algorithms[a], N, 1000, 3});
        bool is_present[N] = {false}, is_usable[N] = {false};
        unsigned weights[N] = {0}, in_flight[N] = {0};
        uint64_t random = 1;

        for (usec_t now = 0; now < 60000; now++) {
            unsigned i = (unsigned)(balance_random(&random) % N), weight = (unsigned)(random >> 60);
            uint64_t exclude[(N + 63) / 64];
            for (size_t j = 0; j < ARRAY_SIZE(exclude); j++)
                exclude[j] = now % 3 ? 0 : balance_random(&random) | balance_random(&random);
            struct balance_request request = {now, exclude, ARRAY_SIZE(exclude), now};

            switch (balance_random(&random) % 8) {
            case 0:
                if (is_present[i]) {
                    balance_remove(set, i);
                    in_flight[i] = 0;
                } else
                    balance_add(set, i, weights[i] = weight, key_of(i));
                is_present[i] = !is_present[i];
                is_usable[i] = false;
                break;
            case 1:
                if (is_present[i])
                    balance_set_weight(set, i, weights[i] = weight);
                break;
            case 2:
            case 3:
                if (is_present[i])
                    balance_set_usable(set, i, is_usable[i] = random >> 40 & 1, random >> 41 & 1, now);
                break;
            case 4:
                if (in_flight[i] > 0) {
                    in_flight[i]--;
                    balance_end(set, i);
                }
                break;
            case 5:
                assert_int_equal(balance_prefer(set, i, &request),
                                 is_present[i] && is_usable[i] && !balance_request_excludes(&request, i));
                break;
            default: {
                size_t n_usable = 0, n_left = 0;
                for (unsigned j = 0; j < N; j++) {
                    bool usable = is_present[j] && is_usable[j] && weights[j] > 0;
                    n_usable += usable;
                    n_left += usable && !balance_request_excludes(&request, j);
                }
                assert_int_equal(balance_n_usable(set), n_usable);
                int index = balance_pick(set, &request);
                assert_int_equal(index >= 0, n_left > 0);
                if (index < 0)
                    break;
                assert_true(is_present[index] && is_usable[index] && weights[index] > 0);
                assert_false(balance_request_excludes(&request, (unsigned)index));
                in_flight[index]++;
                balance_begin(set, (unsigned)index);
            }
            }
        }
        balance_free(set);
    }
}

/* ---- slow start ------------------------------------------------------------------------------------------
 */

enum { IN_FLIGHT = 910 };

/* The share of target 0 from `begin` to `end`, with a request each millisecond; least-connections sees each
 * last as long as IN_FLIGHT others take to come. */
static double share_between(struct balance_set *set, enum balance how, usec_t begin, usec_t end)
{
    static int in_flight[IN_FLIGHT];
    unsigned n = 0, n_first = 0;

    for (usec_t now = begin; now < end; now += USEC_PER_MSEC, n++) {
        int index = pick_at(set, now);
        n_first += index == 0;
        if (how != BALANCE_LEAST_CONNECTIONS)
            continue;
        int *place = &in_flight[now / USEC_PER_MSEC % IN_FLIGHT];
        if (now >= IN_FLIGHT * USEC_PER_MSEC)
            balance_end(set, (unsigned)*place);
        balance_begin(set, (unsigned)index);
        *place = index;
    }
    return (double)n_first / n;
}

static void test_a_slow_start_grows_evenly(void **state)
{
    static const struct {
        enum balance how;
        double tolerance;
    } cases[] = {
        {BALANCE_ROUND_ROBIN, 0.001}, {BALANCE_LEAST_CONNECTIONS, 0.003}, {BALANCE_RANDOM_TWO, 0.015}};
    const usec_t began = 5 * USEC_PER_SEC, length = 100 * USEC_PER_SEC;

    for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
        struct balance_set *set = make_slow(cases[c].how, 10, (unsigned[]){3}, 1, c, length);

        set_usable(set, 0, false);
        assert_true(share_between(set, cases[c].how, 0, began) == 0);
        balance_set_usable(set, 0, true, true, began);
        for (unsigned tenth = 0; tenth < 12; tenth++) {
            usec_t begin = began + tenth * length / 10;
            double part = tenth < 10 ? 0.1 + 0.9 * (tenth + 0.5) / 10 : 1, expected = part / (9 + part);
            double share = share_between(set, cases[c].how, begin, begin + length / 10);
            if (share < expected - cases[c].tolerance || share > expected + cases[c].tolerance)
                fail_msg("case %zu, tenth %u: a share of %f, not %f", c, tenth, share, expected);
            balance_set_usable(set, 0, true, true, begin); /* which it is: nothing begins again */
        }
        balance_free(set);
    }
}

static void test_what_was_there_does_not_start_slowly(void **state)
{
    struct balance_set *set = make_slow(BALANCE_ROUND_ROBIN, 4, (unsigned[]){1}, 1, 0, USEC_PER_SEC);

    pick(set, 400);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(picks[i], 100);
    balance_free(set);
}

/* All of them at once: then nobody is slow, and there is always one. */
static void test_all_start_slowly(void **state)
{
    struct balance_set *set = make_slow(BALANCE_ROUND_ROBIN, 4, (unsigned[]){1}, 1, 0, USEC_PER_SEC);

    for (unsigned i = 0; i < 4; i++)
        set_usable(set, i, false);
    for (unsigned i = 0; i < 4; i++)
        balance_set_usable(set, i, true, true, 0);
    for (usec_t now = 0; now < 2000; now++)
        picks[pick_at(set, now * USEC_PER_MSEC)]++;
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(picks[i], 495, 505);
    balance_free(set);
}

/* ---- round robin -----------------------------------------------------------------------------------------
 */

/* At every moment, not only in the end, each target has had its share, give or take two picks. */
static void test_shares_are_even_at_every_moment(void **state)
{
    static const unsigned sets[][4] = {
        {1, 1, 1, 1}, {5, 1, 1, 1}, {256, 1, 128, 7}, {3, 3, 3, 1}, {256, 255, 254, 253}};

    for (size_t s = 0; s < ARRAY_SIZE(sets); s++)
        for (unsigned seed = 0; seed < 20; seed++) {
            struct balance_set *set = make(BALANCE_ROUND_ROBIN, 4, sets[s], 4, seed);
            unsigned total = sets[s][0] + sets[s][1] + sets[s][2] + sets[s][3];
            for (unsigned n = 1; n <= 3 * total; n++) {
                pick(set, 1);
                for (size_t i = 0; i < 4; i++) {
                    double share = (double)n * sets[s][i] / total;
                    if (picks[i] > share + 2 || picks[i] < share - 2)
                        fail_msg("set %zu seed %u: target %zu has %u of %u picks", s, seed, i, picks[i], n);
                }
            }
            balance_free(set);
        }
}

/* The weights of a set at 10,000 targets, and `periods` times their sum of picks: a target of weight w has
 * periods * w of them, give or take two, which is within a percent from 200 on. */
static void assert_within_two(const unsigned *weights, size_t n_weights, unsigned periods)
{
    struct balance_set *set = make(BALANCE_ROUND_ROBIN, TARGETS_MAX, weights, n_weights, 1);
    size_t total = 0;

    for (unsigned i = 0; i < TARGETS_MAX; i++)
        total += weights[i % n_weights];
    for (unsigned period = 1; period <= periods; period++) {
        pick(set, total);
        for (unsigned i = 0; i < TARGETS_MAX; i++) {
            unsigned share = period * weights[i % n_weights];
            if (picks[i] + 2 < share || picks[i] > share + 2)
                fail_msg("target %u has %u picks, not %u", i, picks[i], share);
        }
    }
    balance_free(set);
}

static void test_many_targets_have_their_share(void **state)
{
    unsigned weights[256];

    for (unsigned i = 0; i < ARRAY_SIZE(weights); i++)
        weights[i] = i + 1;
    assert_within_two(weights, ARRAY_SIZE(weights), 2);
    assert_within_two((unsigned[]){1, 2, 1}, 3, 200);
}

static void test_equal_weights_are_round_robin(void **state)
{
    struct balance_set *set = make(BALANCE_ROUND_ROBIN, 7, (unsigned[]){1}, 1, 3);
    int order[7];

    for (size_t i = 0; i < 7; i++)
        order[i] = pick_one(set);
    for (size_t i = 0; i < 70; i++)
        assert_int_equal(pick_one(set), order[i % 7]);
    balance_free(set);
}

static void test_a_heavy_target_is_interleaved(void **state)
{
    struct balance_set *set = make(BALANCE_ROUND_ROBIN, 5, (unsigned[]){4, 1, 1, 1, 1}, 5, 0);
    unsigned run = 0, longest = 0;

    for (size_t i = 0; i < 800; i++) {
        run = pick_one(set) == 0 ? run + 1 : 0;
        longest = MAX(longest, run);
    }
    assert_in_range(longest, 1, 2);
    balance_free(set);
}

static void test_excluded_ones_keep_their_turn(void **state)
{
    struct balance_set *set = make_equal(BALANCE_ROUND_ROBIN, 10);
    uint64_t exclude = 1 << 3;

    for (unsigned i = 0; i < 30; i++)
        picks[pick_but(set, &exclude, 1, 0)]++;
    assert_int_equal(picks[3], 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pick_one(set), 3);
    balance_free(set);
}

static void test_a_preferred_one_has_had_its_turn(void **state)
{
    struct balance_set *set = make_equal(BALANCE_ROUND_ROBIN, 4);

    for (unsigned i = 0; i < 100; i++) {
        assert_true(balance_prefer(set, 2, &(struct balance_request){0}));
        pick(set, 3);
    }
    assert_int_equal(picks[2], 0);
    assert_in_range(picks[0], 99, 101);

    /* But one that is always preferred does not have to wait for long in the end. */
    for (unsigned i = 0; i < 10000; i++)
        balance_prefer(set, 2, &(struct balance_request){0});
    pick(set, 13);
    assert_in_range(picks[2], 1, 3);
    balance_free(set);
}

static void test_weights_change(void **state)
{
    struct balance_set *set = make(BALANCE_ROUND_ROBIN, 3, (unsigned[]){1}, 1, 0);

    for (unsigned round = 0; round < 50; round++) {
        unsigned weight = round % 2 ? 1 : 98;
        balance_set_weight(set, 1, weight);
        memset(picks, 0, sizeof(picks));
        pick(set, (weight + 2) * 10);
        assert_in_range(picks[1], weight * 10 - 2, weight * 10 + 2);
        assert_in_range(picks[0], 8, 12);
    }
    /* Less than a pick's time apart: nobody is put off by it. */
    memset(picks, 0, sizeof(picks));
    for (unsigned i = 0; i < 4000; i++) {
        balance_set_weight(set, 1, i % 2 ? 1 : 3);
        pick(set, 1);
    }
    assert_in_range(picks[1], 1600, 2400); /* between 1/3 and 3/5, as 2 of 4 would be */
    assert_in_range(picks[0], 800, 1200);
    balance_free(set);
}

static void test_unusable_ones_do_not_catch_up(void **state)
{
    struct balance_set *set = make_equal(BALANCE_ROUND_ROBIN, 4);

    set_usable(set, 2, false);
    pick(set, 300);
    set_usable(set, 2, true);
    memset(picks, 0, sizeof(picks));
    pick(set, 400);
    for (size_t i = 0; i < 4; i++)
        assert_in_range(picks[i], 98, 102);
    balance_free(set);
}

/* One that comes and goes all the time has its share all the same. */
static void test_flapping_does_not_starve(void **state)
{
    struct balance_set *set = make_equal(BALANCE_ROUND_ROBIN, 4);

    for (size_t i = 0; i < 4000; i++) {
        set_usable(set, 0, false);
        set_usable(set, 0, true);
        pick(set, 1);
    }
    assert_in_range(picks[0], 990, 1010);
    balance_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_may_be_none),
        cmocka_unit_test(test_weight_zero_is_never_picked_but_may_be_preferred),
        cmocka_unit_test(test_excluded_ones_are_passed_over),
        cmocka_unit_test(test_unusable_ones_are_not_picked),
        cmocka_unit_test(test_an_index_is_used_again),
        cmocka_unit_test(test_the_same_seed_gives_the_same_picks),
        cmocka_unit_test(test_seeds_start_at_different_targets),
        cmocka_unit_test(test_whatever_happens),
        cmocka_unit_test(test_a_slow_start_grows_evenly),
        cmocka_unit_test(test_what_was_there_does_not_start_slowly),
        cmocka_unit_test(test_all_start_slowly),
        cmocka_unit_test(test_shares_are_even_at_every_moment),
        cmocka_unit_test(test_many_targets_have_their_share),
        cmocka_unit_test(test_equal_weights_are_round_robin),
        cmocka_unit_test(test_a_heavy_target_is_interleaved),
        cmocka_unit_test(test_excluded_ones_keep_their_turn),
        cmocka_unit_test(test_a_preferred_one_has_had_its_turn),
        cmocka_unit_test(test_weights_change),
        cmocka_unit_test(test_unusable_ones_do_not_catch_up),
        cmocka_unit_test(test_flapping_does_not_starve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
