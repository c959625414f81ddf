#pragma once
/* Values that are words with blanks between them. */

#include "util/strbuf.h"

/* The next word of *s, which moves behind it; NULL at the end. The caller frees it. */
char *next_word(const char **s);

/* Gives each word to `parse`, until one is wrong: it returns NULL, or what is wrong, which is empty when the
 * word is not understood at all. False with `error` filled in. */
bool parse_words(const char *value, const char *(*parse)(const char *word, void *object), void *object,
                 struct strbuf *error);
