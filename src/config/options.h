#pragma once
/* Every option there is: one row each, which parser, default, error text, manual and completion go by. */

#include "util/macros.h"
#include "util/strbuf.h"

enum section_kind {
    SECTION_GATEWAY,
    SECTION_LISTENER,
    SECTION_UPSTREAM,
    SECTION_ROUTE,
    SECTION_CHECK,
    _SECTION_KIND_MAX,
};

const char *section_kind_to_string(enum section_kind kind);
/* _SECTION_KIND_MAX for a word that is none. */
enum section_kind section_kind_from_string(const char *word);

struct config_option;

/* How one kind of value is read (config/values.h). */
struct option_type {
    /* Reads the text (never empty) into the object's member that the option names. On failure the member is
     * untouched, and `error` may say more than "not a valid value". */
    bool (*parse)(const struct config_option *option, const char *value, void *member, struct strbuf *error);
    /* Frees what the member holds and clears it; NULL where the next value simply takes the place of this
     * one. */
    void (*reset)(void *member);
};

enum {
    OPTION_LIST = 1 << 0,    /* given again, it adds; otherwise the last one counts */
    OPTION_DERIVED = 1 << 1, /* the default is not a value but words about it; it is set when all is known */
};

struct config_option {
    enum section_kind section;
    const char *key;
    const struct option_type *type;
    size_t offset; /* of the member in the section's object */
    unsigned flags;
    const char *const *choices; /* for a choice: its words, NULL-terminated, in the enum's order */
    const char *accepted;       /* for people */
    const char *fallback;       /* the default; NULL: none */
    const char *help;           /* one line */
};

const struct config_option *config_options(size_t *ret_n);
/* NULL when the section has no such key. */
const struct config_option *config_option_find(enum section_kind section, const char *key);
