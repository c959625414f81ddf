#pragma once
/* Which target gets the next request. Pure: no socket, no clock and no chance of its own. One instance per
 * upstream and worker; the workers' instances know nothing of each other, and begin at different places, so
 * that together they stay even.
 *
 * What each algorithm keeps, of n targets:
 *
 * - round-robin: at every moment each target has had the share that its weight asks for, give or take two.
 * - least-connections: the target with the least (in flight + 1) / weight, of equal ones in turn.
 * - random-two: of two drawn by weight, the one with the less in flight / weight; of equal ones the first
 *   drawn, so that idle targets have their share by weight but for what chance does.
 * - hash: the same hash goes to the same target, on every worker and in every process; when a target comes or
 *   goes, only its share moves. upstream/balance_ring.h says how even that is, and what memory it takes.
 *
 * A pick takes O(log n), and as much again for each excluded target that it meets. Memory is some 100 bytes
 * per slot beside the ring's. */

#include "config/config.h"
#include "upstream/balance_hash.h"
#include "util/clock.h"
#include "util/macros.h"

#define BALANCE_WEIGHT_MAX 65536
#define BALANCE_SLOTS_MAX (1U << 20)

struct balance_set;

struct balance_options {
    enum balance how;
    unsigned n_slots;  /* indices are less than this; BALANCE_SLOTS_MAX at most */
    usec_t slow_start; /* 0: none; BALANCE_HASH has none in any case */
    uint64_t seed;     /* differs by worker; the same seed and calls give the same picks */
};

struct balance_request {
    uint64_t hash;           /* for BALANCE_HASH: of the header, cookie or client address */
    const uint64_t *exclude; /* a bit per index tried already; NULL: none */
    size_t n_exclude;        /* its words; indices beyond are not excluded */
    usec_t now;              /* for slow start; CLOCK_MONOTONIC as all times here */
};

struct balance_set *balance_new(const struct balance_options *options);
struct balance_set *balance_free(struct balance_set *set);

/* Targets come and go, by their index, which must be free and taken respectively. `key` (a hash of the
 * address) is where a target stands for hashing: the same on every worker, in every process. Weight 0: never
 * picked but by balance_prefer(); BALANCE_WEIGHT_MAX at most. What a target has in flight is forgotten
 * when it is removed. */
void balance_add(struct balance_set *set, unsigned index, unsigned weight, uint64_t key);
void balance_remove(struct balance_set *set, unsigned index);
void balance_set_weight(struct balance_set *set, unsigned index, unsigned weight);

/* Whether it may be picked; added ones may not at first. `slow`: it begins with a tenth of its share, which
 * grows evenly to the whole during the slow start; that is not so for what was there when the process began.
 * Nothing happens when it is already as wanted: a slow start that goes on is neither begun again nor ended.
 */
void balance_set_usable(struct balance_set *set, unsigned index, bool usable, bool slow, usec_t now);

/* The index, or -1 when there is none. */
int balance_pick(struct balance_set *set, const struct balance_request *request);
/* For a request that belongs to a certain target: whether it may go there, which is so for one that is usable
 * and not excluded, of any weight. Then it is as if that had been picked: the others' turns come first. */
bool balance_prefer(struct balance_set *set, unsigned index, const struct balance_request *request);

/* What a target has in flight, for least-connections and random-two: begin when a request goes to it, end
 * when it is over. The ends of a removed target's requests are not for the one that has its index now; where
 * nothing is in flight, an end does nothing. */
void balance_begin(struct balance_set *set, unsigned index);
void balance_end(struct balance_set *set, unsigned index);

/* How many are usable, those of weight 0 not counted: balance_pick() finds none when this is 0. */
size_t balance_n_usable(const struct balance_set *set);

static inline bool balance_request_excludes(const struct balance_request *request, unsigned index)
{
    return request->exclude && index / 64 < request->n_exclude &&
           (request->exclude[index / 64] >> index % 64 & 1);
}
