#pragma once
/* Chance that can be had again: the same seed gives the same sequence. SplitMix64 (Steele, Lea, Flood 2014).
 */

#include "util/macros.h"

struct chance {
    uint64_t state;
};

static inline uint64_t chance_next(struct chance *chance)
{
    uint64_t z = (chance->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* What is the same for all numbers of a seed is far apart between two of them. */
static inline struct chance chance_of(uint64_t seed, uint64_t number)
{
    struct chance chance = {.state = seed * UINT64_C(0xd1342543de82ef95) + number};
    chance.state = chance_next(&chance);
    return chance;
}

/* 0 to n - 1; n is not 0. */
static inline size_t chance_below(struct chance *chance, size_t n)
{
    return (size_t)(chance_next(chance) % n);
}

/* True in `percent` of all cases. */
static inline bool chance_in(struct chance *chance, unsigned percent)
{
    return chance_below(chance, 100) < percent;
}

/* From 1 on, each next one half as likely. */
static inline size_t chance_few(struct chance *chance)
{
    return 1 + (size_t)__builtin_ctzll(chance_next(chance) | (UINT64_C(1) << 10));
}

#define CHANCE_PICK(chance, array) ((array)[chance_below((chance), ARRAY_SIZE(array))])
