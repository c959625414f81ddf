#include "journal/text.h"

/* Characters that are valid and yet must not be shown: controls, line and paragraph separators, and those
 * that change the direction of what follows. */
static bool codepoint_is_harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

size_t text_printable(struct slice s)
{
    if (s.size == 0)
        return 0;
    const unsigned char *b = (const unsigned char *)s.data;
    if (b[0] < 0x80)
        return codepoint_is_harmful(b[0]) ? 0 : 1;

    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t size = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc0 || b[0] > 0xf7 || s.size < size)
        return 0;
    uint32_t c = b[0] & (0xffU >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (b[i] & 0x3fU);
    }
    if (c < smallest[size] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || codepoint_is_harmful(c))
        return 0;
    return size;
}

#define ESCAPE_SIZE 4
#define ELLIPSIS "…"

static void write_escape(char out[ESCAPE_SIZE], char byte)
{
    static const char digits[] = "0123456789abcdef";
    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[(unsigned char)byte >> 4];
    out[3] = digits[(unsigned char)byte & 0xf];
}

size_t text_escape(struct slice text, char *out, size_t capacity)
{
    assert(capacity >= 8);

    size_t at = 0;
    size_t fits = 0; /* the last place where the ellipsis would still fit */
    while (text.size > 0) {
        if (at + STRLEN(ELLIPSIS) < capacity)
            fits = at;
        const size_t printable = text_printable(text);
        const size_t need = printable ? printable : ESCAPE_SIZE;
        if (at + need >= capacity) {
            memcpy(out + fits, ELLIPSIS, sizeof(ELLIPSIS));
            return fits + STRLEN(ELLIPSIS);
        }
        if (printable)
            memcpy(out + at, text.data, printable);
        else
            write_escape(out + at, text.data[0]);
        at += need;
        text.data += printable ? printable : 1;
        text.size -= printable ? printable : 1;
    }
    out[at] = '\0';
    return at;
}

static bool is_plain(struct slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        const char c = value.data[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=' || c == '(' || c == ')')
            return false;
    }
    return value.size > 0;
}

void text_add_value(struct strbuf *out, struct slice value)
{
    if (is_plain(value)) {
        strbuf_add_slice(out, value);
        return;
    }
    strbuf_add_char(out, '"');
    while (value.size > 0) {
        size_t printable = text_printable(value);
        if (printable == 0) {
            write_escape(strbuf_reserve(out, ESCAPE_SIZE), value.data[0]);
            out->size += ESCAPE_SIZE;
            printable = 1;
        } else {
            if (value.data[0] == '"' || value.data[0] == '\\')
                strbuf_add_char(out, '\\');
            strbuf_add(out, value.data, printable);
        }
        value.data += printable;
        value.size -= printable;
    }
    strbuf_add_char(out, '"');
}
