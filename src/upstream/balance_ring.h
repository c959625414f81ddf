#pragma once
/* Consistent hashing: each target stands at many points of a ring, as many as its weight asks for, and a hash
 * goes to the next point of one that may be picked. Where the points are depends on the target's key alone.
 *
 * A target has 64 points per unit of weight as long as all have BALANCE_RING_POINTS_MAX or less together;
 * beyond that 32, 16 and so on, half a point and less, but at least one. So a ring takes 8 bytes per point
 * and at most 8 MiB, and 8 bytes per target above a million; while it is made, twice that again. 256 targets
 * of weight 1 take 128 KiB.
 *
 * A target with p points has its share of the hashes with a standard deviation of 1/sqrt(p) of it: 12 % for
 * 64 points, 3 % for 1024; one with a single point may have nothing, or several times its share. When a
 * target comes or goes, its share moves and nothing else, but for the moment when the sum of the weights goes
 * past 16,384, or a doubling of that: then about half moves.
 *
 * The ring is mended at the first look-up after changes, all at once: O(points), with sorting of what is new
 * only. A million points take some 40 ms to make and 2 ms when one target changes, 16,384 points 0.4 and 0.03
 * ms. */

#include "upstream/balance.h"

#define BALANCE_RING_POINTS_MAX (1U << 20)

struct balance_ring;

struct balance_ring *balance_ring_new(unsigned n_slots);
struct balance_ring *balance_ring_free(struct balance_ring *ring);

/* Weight 0: it has no points. */
void balance_ring_set_weight(struct balance_ring *ring, unsigned index, unsigned weight, uint64_t key);
/* All are not usable at first. Those that are not keep their points, and are passed over. */
void balance_ring_set_usable(struct balance_ring *ring, unsigned index, bool usable);
/* The target of the request's hash among those that are usable, have weight and are not excluded; -1: none.
 */
int balance_ring_find(struct balance_ring *ring, const struct balance_request *request);
/* How many points there are now. */
size_t balance_ring_n_points(const struct balance_ring *ring);
