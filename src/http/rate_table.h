#pragma once
/* The buckets of one rate limit, by whom they limit, for all workers together.
 *
 * The table has a fixed number of entries, in sets of RATE_TABLE_WAYS: a key can stand in one set only, and
 * is found by looking at that. A key is a keyed hash of 128 bits, so nobody can choose who shares a set, nor
 * have two names for one bucket or one for two. When a set is full, the bucket goes that would be full
 * soonest: of all that is known there it matters least. So whoever has many names pushes out what he has
 * hardly used, not the buckets he has emptied; those he can only outnumber, and then each of his names has
 * been held to the limit. A bucket that is full again is no entry at all.
 *
 * Sets are shared out among locks, each held for the few hundred nanoseconds of one decision. */

#include "util/rate.h"
#include "util/siphash.h"

#define RATE_TABLE_WAYS 8
struct rate_table;

/* `entries` is rounded up to a power of two. */
struct rate_table *rate_table_new(const struct rate *rate, size_t entries);
/* Accepts NULL, returns NULL. */
struct rate_table *rate_table_free(struct rate_table *table);

/* As the functions of util/rate.h, for the bucket of `key`; any thread. True when a bucket that was not full
 * had to go for it. */
bool rate_table_take(struct rate_table *table, const struct siphash *key, usec_t now,
                     struct rate_verdict *ret);
void rate_table_give_back(struct rate_table *table, const struct siphash *key, usec_t now);
void rate_table_drain(struct rate_table *table, const struct siphash *key, usec_t length, usec_t now);

/* Calls back for each bucket that is not full, with the time until it is. No lock is held meanwhile: what
 * other threads do beside it may be seen or not. */
void rate_table_each(struct rate_table *table, usec_t now,
                     void (*callback)(void *userdata, const struct siphash *key, usec_t full_after),
                     void *userdata);
