#pragma once
/* Tables for people: columns aligned and colours on a terminal, otherwise one line per row with tabs between
 * its fields. */

#include "ctl/ctl.h"

enum colour {
    COLOUR_NONE,
    COLOUR_BOLD,
    COLOUR_GREEN,
    COLOUR_YELLOW,
    COLOUR_RED,
    _COLOUR_MAX,
};

struct table;

struct table_column {
    const char *title;
    bool is_number; /* aligned to the right */
};

/* `columns` must outlive the table. */
struct table *table_new(const struct table_column *columns, size_t n_columns);
/* Accepts NULL, returns NULL. */
struct table *table_free(struct table *table);
DEFINE_CLEANUP(struct table *, cleanup_table, table_free)
#define _cleanup_table_ _cleanup_(cleanup_table)

/* The next cell, row by row. What could move a terminal's cursor is replaced. */
void table_add(struct table *table, enum colour colour, const char *format, ...) _printf_(3, 4);
/* Prints the head and all rows on standard output; nothing when there is no row. */
void table_print(const struct table *table, const struct ctl_options *options);

/* Prints text in a colour where there are colours, with control characters replaced. */
void print_coloured(const struct ctl_options *options, enum colour colour, const char *text);
