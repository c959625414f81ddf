#pragma once
/* Reads a configuration file's text, line by line: sections and assignments, each with its line number. */

#include "util/macros.h"

/* A line, with the lines that continue it. */
#define INI_LINE_MAX 65536

enum ini_item_kind {
    INI_END,
    INI_SECTION,    /* name */
    INI_ASSIGNMENT, /* key, value (may be empty) */
    INI_MALFORMED,  /* problem: what is wrong with this line; value: how it begins; is_header: it was to be a
                     * section's. Reading may go on with the next. */
};

/* The strings belong to the reader and are valid until the next ini_next(). */
struct ini_item {
    enum ini_item_kind kind;
    unsigned line; /* where it begins, from 1 */
    const char *section;
    const char *key;
    const char *value;
    const char *problem;
    bool is_header;
};

struct ini {
    const char *next;
    const char *end;
    unsigned line;
    char buffer[INI_LINE_MAX + 1];
};

/* `data` is borrowed; it need not end in a newline or in NUL. */
void ini_init(struct ini *ini, const char *data, size_t size);
void ini_next(struct ini *ini, struct ini_item *ret);
