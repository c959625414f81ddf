#include "util/suggest.h"

/* Longer words than any key, name or verb that somebody types; they are not looked at. */
#define WORD_MAX 64

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* How many letters must be added, removed, changed or swapped with their neighbour to make b of a; case does
 * not count (optimal string alignment). */
static size_t edit_distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *previous = rows[1], *current = rows[2];

    for (size_t j = 0; j <= b_size; j++)
        previous[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        current[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t change = previous[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));
            size_t best = MIN(previous[j], current[j - 1]) + 1;
            best = MIN(best, change);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                best = MIN(best, before[j - 2] + 1);
            current[j] = best;
        }
        size_t *oldest = before;
        before = previous;
        previous = current;
        current = oldest;
    }
    return previous[b_size];
}

void suggest_init(struct suggestion *suggestion, const char *word)
{
    *suggestion = (struct suggestion){.word = word};
}

void suggest_consider(struct suggestion *suggestion, const char *candidate)
{
    size_t word_size = strlen(suggestion->word), size = strlen(candidate);

    if (word_size > WORD_MAX || size > WORD_MAX)
        return;
    /* A third of the letters may be wrong; more than that is another word. */
    size_t near = MAX(word_size, size) / 3 + 1;
    size_t distance = edit_distance(suggestion->word, word_size, candidate, size);
    if (distance <= near && distance < size && (!suggestion->best || distance < suggestion->distance)) {
        suggestion->best = candidate;
        suggestion->distance = distance;
    }
}
