#pragma once
/* SipHash-2-4 with a result of 128 bits (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, and
 * the authors' variant for longer results). For keys of tables that strangers fill: who does not know the
 * secret can make no two that meet. */

#include "util/macros.h"

struct siphash_secret {
    uint64_t words[2];
};

struct siphash {
    uint64_t words[2];
};

/* One that nobody can guess. */
void siphash_secret_draw(struct siphash_secret *ret);

struct siphash siphash(const struct siphash_secret *secret, const void *data, size_t size);
