#include "config/words.h"

char *next_word(const char **s)
{
    const char *from = *s + strspn(*s, " \t");
    size_t size = strcspn(from, " \t");

    *s = from + size;
    if (size == 0)
        return NULL;
    return xstrndup(from, size);
}

bool parse_words(const char *value, const char *(*parse)(const char *word, void *object), void *object,
                 struct strbuf *error)
{
    for (;;) {
        _cleanup_free_ char *word = next_word(&value);
        const char *problem = word ? parse(word, object) : NULL;
        if (!word)
            return true;
        if (!problem)
            continue;
        if (*problem == '\0')
            strbuf_addf(error, "\"%s\" is not understood", word);
        else
            strbuf_add_string(error, problem);
        return false;
    }
}
