#include <stdarg.h>

#include "ctl/table.h"
#include "util/strbuf.h"

static const char *const colour_codes[_COLOUR_MAX] = {
    [COLOUR_NONE] = "",           [COLOUR_BOLD] = "\033[1m",   [COLOUR_GREEN] = "\033[32m",
    [COLOUR_YELLOW] = "\033[33m", [COLOUR_RED] = "\033[1;31m",
};

struct table_cell {
    char *text;
    enum colour colour;
};

struct table {
    const struct table_column *columns;
    size_t n_columns;
    struct table_cell *cells;
    size_t n_cells;
};

struct table *table_new(const struct table_column *columns, size_t n_columns)
{
    struct table *table = xcalloc(1, sizeof(*table));
    *table = (struct table){.columns = columns, .n_columns = n_columns};
    return table;
}

struct table *table_free(struct table *table)
{
    if (!table)
        return NULL;
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
    return NULL;
}

/* Control characters (C0, DEL, and C1 in UTF-8) become '?', in place. */
static void make_printable(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
            p[0] = p[1] = '?';
}

/* Columns that UTF-8 text takes, for what has no wide characters. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void table_add(struct table *table, enum colour colour, const char *format, ...)
{
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&text, format, args);
    va_end(args);

    table->cells = xrealloc(table->cells, table->n_cells + 1, sizeof(*table->cells));
    table->cells[table->n_cells] = (struct table_cell){strbuf_steal(&text), colour};
    make_printable(table->cells[table->n_cells].text);
    table->n_cells++;
}

static void print_colour(const struct ctl_options *options, enum colour colour, const char *text)
{
    if (options->colours && colour != COLOUR_NONE)
        printf("%s%s\033[0m", colour_codes[colour], text);
    else
        fputs(text, stdout);
}

void print_coloured(const struct ctl_options *options, enum colour colour, const char *text)
{
    _cleanup_free_ char *printable = xstrdup(text);
    make_printable(printable);
    print_colour(options, colour, printable);
}

static void print_spaces(size_t n)
{
    while (n-- > 0)
        putchar(' ');
}

/* One cell, with what separates it from the one before. */
static void print_cell(const struct table *table, const struct ctl_options *options, size_t column,
                       size_t width, enum colour colour, const char *text)
{
    if (!options->is_terminal) {
        if (column > 0)
            putchar('\t');
        fputs(text, stdout);
        return;
    }
    size_t padding = width - width_of(text);
    bool is_number = table->columns[column].is_number, is_last = column + 1 == table->n_columns;
    print_spaces(column > 0 ? 2 : 0);
    print_spaces(is_number ? padding : 0);
    print_colour(options, colour, text);
    print_spaces(is_number || is_last ? 0 : padding);
}

void table_print(const struct table *table, const struct ctl_options *options)
{
    if (table->n_cells == 0)
        return;
    assert(table->n_cells % table->n_columns == 0);

    _cleanup_free_ size_t *widths = xcalloc(table->n_columns, sizeof(*widths));
    for (size_t c = 0; c < table->n_columns; c++)
        widths[c] = width_of(table->columns[c].title);
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t c = i % table->n_columns;
        widths[c] = MAX(widths[c], width_of(table->cells[i].text));
    }

    for (size_t c = 0; c < table->n_columns; c++)
        print_cell(table, options, c, widths[c], COLOUR_BOLD, table->columns[c].title);
    putchar('\n');
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t c = i % table->n_columns;
        print_cell(table, options, c, widths[c], table->cells[i].colour, table->cells[i].text);
        if (c + 1 == table->n_columns)
            putchar('\n');
    }
}
