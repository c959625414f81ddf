#pragma once
/* What the tests of balancing share: a set of targets that are all usable, and a count of who was picked. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "upstream/balance.h"

#define TARGETS_MAX 10000

static unsigned picks[TARGETS_MAX];

/* Where a target stands: any number that no other has. */
_unused_ static uint64_t key_of(unsigned index)
{
    return balance_hash(&index, sizeof(index));
}

/* Targets 0 to n - 1, whose weights are `weights` over and over. */
_unused_ static struct balance_set *make_slow(enum balance how, unsigned n, const unsigned *weights,
                                              size_t n_weights, uint64_t seed, usec_t slow_start)
{
    struct balance_set *set = balance_new(
        &(struct balance_options){.how = how, .n_slots = n, .slow_start = slow_start, .seed = seed});

    for (unsigned i = 0; i < n; i++) {
        balance_add(set, i, weights[i % n_weights], key_of(i));
        balance_set_usable(set, i, true, false, 0);
    }
    memset(picks, 0, sizeof(picks));
    return set;
}

_unused_ static struct balance_set *make(enum balance how, unsigned n, const unsigned *weights,
                                         size_t n_weights, uint64_t seed)
{
    return make_slow(how, n, weights, n_weights, seed, 0);
}

_unused_ static struct balance_set *make_equal(enum balance how, unsigned n)
{
    return make(how, n, (unsigned[]){1}, 1, 1);
}

_unused_ static int pick_at(struct balance_set *set, usec_t now)
{
    return balance_pick(set, &(struct balance_request){.now = now});
}

_unused_ static int pick_one(struct balance_set *set)
{
    return pick_at(set, 0);
}

_unused_ static int pick_hash(struct balance_set *set, uint64_t hash)
{
    return balance_pick(set, &(struct balance_request){.hash = hash});
}

_unused_ static int pick_but(struct balance_set *set, const uint64_t *exclude, size_t n_exclude,
                             uint64_t hash)
{
    return balance_pick(set,
                        &(struct balance_request){.hash = hash, .exclude = exclude, .n_exclude = n_exclude});
}

/* Each of another hash. */
_unused_ static void pick(struct balance_set *set, size_t n)
{
    for (size_t i = 0; i < n; i++)
        picks[pick_hash(set, i)]++;
}

_unused_ static void set_usable(struct balance_set *set, unsigned index, bool usable)
{
    balance_set_usable(set, index, usable, false, 0);
}

static const enum balance algorithms[] = {BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS, BALANCE_RANDOM_TWO,
                                          BALANCE_HASH};
static_assert(ARRAY_SIZE(algorithms) == _BALANCE_MAX, "each algorithm is tested");
