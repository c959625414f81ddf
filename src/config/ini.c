/* A reader of our own, after the syntax of systemd's units, because Debian's libinih cannot be strict. As it
 * is compiled there, it
 *
 *  - does not say in which line something stands, so an error could not name its place;
 *  - tells of no section header, so two sections of one name in a row are one, while two [Route /api] with
 *    different methods are two routes here;
 *  - cuts section names and keys after 49 bytes without a word, and route patterns are longer;
 *  - cuts lines after 199 bytes and takes the rest for another line;
 *  - reads " ;" as the beginning of a comment, and an indented line as a further value of the key above;
 *  - can be told otherwise in part, by global variables only.
 *
 * What is read here: "[Section name]", "Key=value", lines that begin with '#' or ';' are comments, a
 * backslash at the end of a line joins the next one to it by a blank (comments between are skipped). Blanks
 * around section names, keys and values do not count. Text is UTF-8 without control characters other than the
 * tab. */

#include "config/ini.h"

#include "util/parse.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

void ini_init(struct ini *ini, const char *data, size_t size)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";

    if (size >= STRLEN("\xef\xbb\xbf") && memcmp(data, byte_order_mark, STRLEN("\xef\xbb\xbf")) == 0) {
        data += STRLEN("\xef\xbb\xbf");
        size -= STRLEN("\xef\xbb\xbf");
    }
    ini->next = data;
    ini->end = data + size;
    ini->line = 0;
}

/* The next line of the text without blanks at both ends; false at the end. */
static bool next_line(struct ini *ini, const char **ret, size_t *ret_size)
{
    if (ini->next == ini->end)
        return false;

    const char *line = ini->next;
    const char *newline = memchr(line, '\n', (size_t)(ini->end - line));
    const char *line_end = newline ? newline : ini->end;

    ini->next = newline ? newline + 1 : ini->end;
    ini->line++;
    while (line < line_end && is_blank(*line))
        line++;
    while (line < line_end && is_blank(line_end[-1]))
        line_end--;
    *ret = line;
    *ret_size = (size_t)(line_end - line);
    return true;
}

static bool is_comment(const char *line, size_t size)
{
    return size > 0 && (line[0] == '#' || line[0] == ';');
}

static const char *find_bad_text(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (line[i] == '\0')
            return "the line contains a NUL byte";
        if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
            return "the line contains a control character";
    }
    return utf8_is_valid(line, size) ? NULL : "the line is not valid UTF-8";
}

/* Keeps the beginning of a line that cannot be taken, for the message about it. Returns its size. */
static size_t keep_excerpt(struct ini *ini, const char *line, size_t size)
{
    size = strnlen(line, MIN(size, (size_t)200));
    memcpy(ini->buffer, line, size);
    ini->buffer[size] = '\0';
    return size;
}

/* Puts the next line that is not empty and no comment, with all lines that continue it, into the buffer.
 * Returns false at the end of the text. A line that cannot be taken is read to its end all the same. */
static bool read_logical_line(struct ini *ini, unsigned *ret_line, size_t *ret_size, const char **ret_problem)
{
    const char *line, *problem = NULL;
    size_t size, total = 0;
    bool began = false, continues;

    do {
        if (!next_line(ini, &line, &size)) {
            if (!began)
                return false;
            break; /* a backslash at the very end: nothing follows */
        }
        if (is_comment(line, size) || (size == 0 && !began)) {
            /* Hostile bytes have no place in a comment either: a terminal may show the file. */
            const char *bad = find_bad_text(line, size);
            if (bad && !began) {
                *ret_line = ini->line;
                *ret_size = keep_excerpt(ini, line, size);
                *ret_problem = bad;
                return true;
            }
            problem = problem ? problem : bad;
            continues = true;
            continue;
        }
        if (!began)
            *ret_line = ini->line;
        continues = size > 0 && line[size - 1] == '\\';
        if (continues)
            size--;
        if (!problem)
            problem = find_bad_text(line, size);
        if (!problem && size > INI_LINE_MAX - 1 - total)
            problem = "the line is longer than 65535 bytes";
        if (problem && total == 0) {
            total = keep_excerpt(ini, line, size);
        } else if (!problem) {
            if (began)
                ini->buffer[total++] = ' ';
            memcpy(ini->buffer + total, line, size);
            total += size;
        }
        began = true;
    } while (continues);

    while (total > 0 && is_blank(ini->buffer[total - 1]))
        total--;
    ini->buffer[total] = '\0';
    *ret_size = total;
    *ret_problem = problem;
    return true;
}

static void malformed(struct ini_item *item, const char *line, const char *problem)
{
    item->kind = INI_MALFORMED;
    item->value = line;
    item->problem = problem;
}

static void split_section(char *line, size_t size, struct ini_item *item)
{
    if (size < 2 || line[size - 1] != ']') {
        malformed(item, line, "a section header does not end in ']'");
        item->is_header = true;
        return;
    }
    line[size - 1] = '\0';
    char *name = line + 1, *end = line + size - 1;
    while (is_blank(*name))
        name++;
    while (end > name && is_blank(end[-1]))
        *--end = '\0';
    item->kind = INI_SECTION;
    item->section = name;
}

static void split_assignment(char *line, struct ini_item *item)
{
    char *equals = strchr(line, '=');

    if (!equals) {
        malformed(item, line, "neither a [section], nor Key=value, nor a comment");
        return;
    }
    char *key_end = equals, *value = equals + 1;
    while (key_end > line && is_blank(key_end[-1]))
        key_end--;
    if (key_end == line) {
        malformed(item, line, "nothing stands before the '='");
        return;
    }
    *key_end = '\0';
    while (is_blank(*value))
        value++;
    item->kind = INI_ASSIGNMENT;
    item->key = line;
    item->value = value;
}

void ini_next(struct ini *ini, struct ini_item *ret)
{
    const char *problem = NULL;
    size_t size = 0;

    *ret = (struct ini_item){.kind = INI_END};
    if (!read_logical_line(ini, &ret->line, &size, &problem))
        return;
    if (problem)
        malformed(ret, ini->buffer, problem);
    else if (ini->buffer[0] == '[')
        split_section(ini->buffer, size, ret);
    else
        split_assignment(ini->buffer, ret);
}
