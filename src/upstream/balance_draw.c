#include "upstream/balance_draw.h"

struct balance_draw {
    size_t n;
    size_t top; /* the greatest power of two that is at most n */
    uint64_t total;
    uint64_t *weights;
    uint64_t *sums; /* sums[i], from 1: of the i & -i weights that end with the one before index i */
};

struct balance_draw *balance_draw_new(size_t n)
{
    struct balance_draw *draw = xcalloc(1, sizeof(*draw));

    draw->n = n;
    for (draw->top = 1; draw->top * 2 <= n; draw->top *= 2)
        ;
    draw->weights = xcalloc(n, sizeof(draw->weights[0]));
    draw->sums = xcalloc(n + 1, sizeof(draw->sums[0]));
    return draw;
}

struct balance_draw *balance_draw_free(struct balance_draw *draw)
{
    if (!draw)
        return NULL;
    free(draw->weights);
    free(draw->sums);
    free(draw);
    return NULL;
}

void balance_draw_set(struct balance_draw *draw, size_t index, uint64_t weight)
{
    assert(index < draw->n);
    /* A decrease wraps around, and so do the sums: right again in the end. */
    uint64_t change = weight - draw->weights[index];

    draw->weights[index] = weight;
    draw->total += change;
    for (size_t i = index + 1; i <= draw->n; i += i & -i)
        draw->sums[i] += change;
}

uint64_t balance_draw_total(const struct balance_draw *draw)
{
    return draw->total;
}

size_t balance_draw_find(const struct balance_draw *draw, uint64_t point)
{
    size_t before = 0; /* how many weights end at or before the point */

    assert(point < draw->total);
    for (size_t step = draw->top; step > 0; step /= 2)
        if (before + step <= draw->n && draw->sums[before + step] <= point) {
            before += step;
            point -= draw->sums[before];
        }
    return before;
}
