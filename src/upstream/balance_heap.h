#pragma once
/* An intrusive binary heap: the first of many in O(1), everything else in O(log n). */

#include "util/macros.h"

struct balance_heap_item {
    size_t place; /* from 1; 0: not in the heap */
};

struct balance_heap {
    bool (*is_before)(const struct balance_heap_item *a, const struct balance_heap_item *b);
    size_t n;
    struct balance_heap_item **items; /* items[0] is not used */
};

/* Room for at most `capacity` items, which are never freed by the heap. */
void balance_heap_init(struct balance_heap *heap, size_t capacity,
                       bool (*is_before)(const struct balance_heap_item *a,
                                         const struct balance_heap_item *b));
void balance_heap_deinit(struct balance_heap *heap);

/* NULL when the heap is empty. */
static inline struct balance_heap_item *balance_heap_first(const struct balance_heap *heap)
{
    return heap->n > 0 ? heap->items[1] : NULL;
}

/* The item must not be in the heap; for the other two it must. */
void balance_heap_insert(struct balance_heap *heap, struct balance_heap_item *item);
void balance_heap_remove(struct balance_heap *heap, struct balance_heap_item *item);
/* What the item is ordered by has changed. */
void balance_heap_update(struct balance_heap *heap, struct balance_heap_item *item);
