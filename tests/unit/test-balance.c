#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "upstream/balance.h"

#define TARGETS_MAX 10000

static struct target_config targets[TARGETS_MAX];
static struct upstream_config upstream = {.targets = targets};
static unsigned picks[TARGETS_MAX];

static struct balance_set *make(size_t n, const unsigned *weights, size_t n_weights, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        targets[i].index = (unsigned)i;
        targets[i].weight = weights[i % n_weights];
    }
    upstream.n_targets = n;
    memset(picks, 0, sizeof(picks));
    return balance_new(&upstream, seed);
}

static void pick(struct balance_set *set, size_t n)
{
    for (size_t i = 0; i < n; i++)
        picks[balance_pick(set, NULL, 0)->index]++;
}

/* At every moment, not only in the end, each target has had its share, give or take two picks. */
static void test_shares_are_even_at_every_moment(void **state)
{
    static const unsigned sets[][4] = {
        {1, 1, 1, 1}, {5, 1, 1, 1}, {256, 1, 128, 7}, {3, 3, 3, 1}, {256, 255, 254, 253}};

    for (size_t s = 0; s < ARRAY_SIZE(sets); s++)
        for (unsigned seed = 0; seed < 20; seed++) {
            struct balance_set *set = make(4, sets[s], 4, seed);
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

static void assert_within_one_percent(size_t n_targets, const unsigned *weights, size_t n_weights)
{
    struct balance_set *set = make(n_targets, weights, n_weights, 1);
    uint64_t total = 0;

    for (size_t i = 0; i < n_targets; i++)
        total += targets[i].weight;
    /* Enough that two picks more or less are within a percent for weight 1. */
    const size_t n = total * 200;
    pick(set, n);
    for (size_t i = 0; i < n_targets; i++) {
        double share = (double)n * targets[i].weight / (double)total;
        if (picks[i] < share * 0.99 || picks[i] > share * 1.01)
            fail_msg("target %zu of weight %u has %u picks, not %f", i, targets[i].weight, picks[i], share);
    }
    balance_free(set);
}

static void test_many_targets_are_within_one_percent(void **state)
{
    assert_within_one_percent(TARGETS_MAX, (unsigned[]){1, 2, 1}, 3);
    assert_within_one_percent(70, (unsigned[]){1, 2, 3, 10, 256, 7, 100}, 7);
}

/* The shortest of some tries, so that another process does not count. */
static usec_t time_of_picks(size_t n_targets)
{
    struct balance_set *set = make(n_targets, (unsigned[]){1, 2, 3}, 3, 1);
    usec_t best = USEC_INFINITY;

    for (unsigned i = 0; i < 20; i++) {
        usec_t begin = now_monotonic();
        pick(set, 20000);
        best = usec_min(best, now_monotonic() - begin);
    }
    balance_free(set);
    return best;
}

static void test_cost_is_flat(void **state)
{
    /* Anything linear would take a thousand times as long. */
    assert_true(time_of_picks(TARGETS_MAX) < 50 * (time_of_picks(10) + 1));
}

static void test_equal_weights_are_round_robin(void **state)
{
    struct balance_set *set = make(7, (unsigned[]){1}, 1, 3);
    unsigned order[7];

    for (size_t i = 0; i < 7; i++)
        order[i] = balance_pick(set, NULL, 0)->index;
    for (size_t i = 0; i < 70; i++)
        assert_int_equal(balance_pick(set, NULL, 0)->index, order[i % 7]);
    balance_free(set);
}

static void test_a_heavy_target_is_interleaved(void **state)
{
    struct balance_set *set = make(5, (unsigned[]){4, 1, 1, 1, 1}, 5, 0);
    unsigned run = 0, longest = 0;

    for (size_t i = 0; i < 800; i++) {
        run = balance_pick(set, NULL, 0)->index == 0 ? run + 1 : 0;
        longest = MAX(longest, run);
    }
    assert_in_range(longest, 1, 4);
    balance_free(set);
}

static void test_seeds_start_at_different_targets(void **state)
{
    bool seen[8] = {false};
    unsigned n = 0;

    for (unsigned seed = 0; seed < 64; seed++) {
        struct balance_set *set = make(8, (unsigned[]){1}, 1, seed);
        seen[balance_pick(set, NULL, 0)->index] = true;
        balance_free(set);
    }
    for (size_t i = 0; i < 8; i++)
        n += seen[i];
    assert_in_range(n, 6, 8);
}

static void test_weight_zero_is_never_picked(void **state)
{
    struct balance_set *set = make(3, (unsigned[]){1, 0, 2}, 3, 0);

    balance_set_usable(set, &targets[1], false);
    balance_set_usable(set, &targets[1], true);
    pick(set, 300);
    assert_int_equal(picks[1], 0);
    balance_free(set);

    set = make(2, (unsigned[]){0}, 1, 0);
    assert_null(balance_pick(set, NULL, 0));
    balance_free(set);
    set = make(0, (unsigned[]){1}, 1, 0);
    assert_null(balance_pick(set, NULL, 0));
    balance_free(set);
}

static void test_excluded_ones_are_passed_over_and_keep_their_turn(void **state)
{
    struct balance_set *set = make(70, (unsigned[]){1}, 1, 0);
    uint64_t exclude[2] = {0, 0};
    bool seen[70] = {false};

    /* As a request does that is tried on one target after the other. */
    for (size_t i = 0; i < 70; i++) {
        const struct target_config *target = balance_pick(set, exclude, 2);
        assert_false(seen[target->index]);
        seen[target->index] = true;
        exclude[target->index / 64] |= UINT64_C(1) << target->index % 64;
    }
    assert_null(balance_pick(set, exclude, 2));

    const struct target_config *next = balance_pick(set, NULL, 0);
    memset(exclude, 0, sizeof(exclude));
    pick(set, 69);
    exclude[next->index / 64] |= UINT64_C(1) << next->index % 64;
    assert_ptr_not_equal(balance_pick(set, exclude, 2), next);
    assert_ptr_equal(balance_pick(set, NULL, 0), next);
    balance_free(set);
}

static void test_unusable_ones_are_not_picked_and_do_not_catch_up(void **state)
{
    struct balance_set *set = make(4, (unsigned[]){1}, 1, 0);

    balance_set_usable(set, &targets[2], false);
    balance_set_usable(set, &targets[2], false);
    pick(set, 3000);
    assert_int_equal(picks[2], 0);
    balance_set_usable(set, &targets[2], true);
    balance_set_usable(set, &targets[2], true);
    memset(picks, 0, sizeof(picks));
    pick(set, 400);
    for (size_t i = 0; i < 4; i++)
        assert_in_range(picks[i], 98, 102);

    for (size_t i = 0; i < 4; i++)
        balance_set_usable(set, &targets[i], false);
    assert_null(balance_pick(set, NULL, 0));
    balance_set_usable(set, &targets[1], true);
    assert_ptr_equal(balance_pick(set, NULL, 0), &targets[1]);
    balance_free(set);
}

/* Picked ones come back usable again and again: it must not cost them their share. */
static void test_flapping_does_not_starve(void **state)
{
    struct balance_set *set = make(4, (unsigned[]){1}, 1, 0);

    for (size_t i = 0; i < 4000; i++) {
        balance_set_usable(set, &targets[0], false);
        balance_set_usable(set, &targets[0], true);
        pick(set, 1);
    }
    assert_in_range(picks[0], 990, 1010);
    balance_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares_are_even_at_every_moment),
        cmocka_unit_test(test_many_targets_are_within_one_percent),
        cmocka_unit_test(test_cost_is_flat),
        cmocka_unit_test(test_equal_weights_are_round_robin),
        cmocka_unit_test(test_a_heavy_target_is_interleaved),
        cmocka_unit_test(test_seeds_start_at_different_targets),
        cmocka_unit_test(test_weight_zero_is_never_picked),
        cmocka_unit_test(test_excluded_ones_are_passed_over_and_keep_their_turn),
        cmocka_unit_test(test_unusable_ones_are_not_picked_and_do_not_catch_up),
        cmocka_unit_test(test_flapping_does_not_starve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
