#include "upstream/balance_heap.h"

void balance_heap_init(struct balance_heap *heap, size_t capacity,
                       bool (*is_before)(const struct balance_heap_item *a,
                                         const struct balance_heap_item *b))
{
    heap->is_before = is_before;
    heap->n = 0;
    heap->items = xcalloc(capacity + 1, sizeof(heap->items[0]));
}

void balance_heap_deinit(struct balance_heap *heap)
{
    free(heap->items);
    heap->items = NULL;
}

static void put(struct balance_heap *heap, size_t place, struct balance_heap_item *item)
{
    heap->items[place] = item;
    item->place = place;
}

static void sift_up(struct balance_heap *heap, struct balance_heap_item *item)
{
    size_t i = item->place;

    for (; i > 1 && heap->is_before(item, heap->items[i / 2]); i /= 2)
        put(heap, i, heap->items[i / 2]);
    put(heap, i, item);
}

static void sift_down(struct balance_heap *heap, struct balance_heap_item *item)
{
    size_t i = item->place;

    for (size_t child; (child = 2 * i) <= heap->n; i = child) {
        if (child < heap->n && heap->is_before(heap->items[child + 1], heap->items[child]))
            child++;
        if (!heap->is_before(heap->items[child], item))
            break;
        put(heap, i, heap->items[child]);
    }
    put(heap, i, item);
}

void balance_heap_insert(struct balance_heap *heap, struct balance_heap_item *item)
{
    assert(item->place == 0);
    put(heap, ++heap->n, item);
    sift_up(heap, item);
}

void balance_heap_update(struct balance_heap *heap, struct balance_heap_item *item)
{
    assert(item->place > 0);
    sift_up(heap, item);
    sift_down(heap, item);
}

void balance_heap_remove(struct balance_heap *heap, struct balance_heap_item *item)
{
    size_t place = item->place;
    struct balance_heap_item *last = heap->items[heap->n];

    assert(place > 0);
    heap->n--;
    item->place = 0;
    if (last != item) {
        put(heap, place, last);
        balance_heap_update(heap, last);
    }
}
