#pragma once
/* What is done to an input: bits flipped, parts left out, repeated, moved, cut off, or put in from elsewhere.
 */

#include "chance.h"
#include "util/strbuf.h"

#define MUTATED_SIZE_MAX (256 * 1024)

/* `other` is another input, to take parts of. */
void mutate(struct chance *chance, struct slice other, struct strbuf *input);
