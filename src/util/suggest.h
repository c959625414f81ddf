#pragma once
/* "Did you mean …?": the nearest of several words to one that is not among them. */

#include "util/macros.h"

struct suggestion {
    const char *word;
    const char *best; /* NULL: nothing is near */
    size_t distance;  /* of best */
};

/* The word is borrowed, and so are the candidates. */
void suggest_init(struct suggestion *suggestion, const char *word);
/* Remembers the candidate if it is nearer than all before it, and near enough to be meant. */
void suggest_consider(struct suggestion *suggestion, const char *candidate);
