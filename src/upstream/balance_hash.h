#pragma once
/* Hashing and pseudo-random numbers for balancing: fast, well mixed, and no secret. */

#include "util/macros.h"

/* A good 64-bit hash of bytes (for keys, header values, addresses), the same in every process and release:
 * what is placed by it stays in its place. */
uint64_t balance_hash(const void *data, size_t size);

/* The step of the splitmix64 generator: any two numbers give unrelated ones, and different ones. */
static inline uint64_t balance_scramble(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The next number of the generator whose state is `*state`; any state is a good one. */
static inline uint64_t balance_random(uint64_t *state)
{
    uint64_t number = balance_scramble(*state);
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return number;
}
