#pragma once
/* Weights by index, of which one is drawn in proportion: a Fenwick tree, O(log n) to draw and to change. */

#include "util/macros.h"

struct balance_draw;

/* Indices are less than `n`; all weights are 0. */
struct balance_draw *balance_draw_new(size_t n);
struct balance_draw *balance_draw_free(struct balance_draw *draw);

void balance_draw_set(struct balance_draw *draw, size_t index, uint64_t weight);
/* The sum of the weights. */
uint64_t balance_draw_total(const struct balance_draw *draw);
/* The index whose stretch `point` is in, when the weights are laid end to end; `point` is less than the
 * total. */
size_t balance_draw_find(const struct balance_draw *draw, uint64_t point);
