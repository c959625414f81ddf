#include "router/path.h"

/* What a byte may mean to normalisation. */
enum byte_class {
    BYTE_PLAIN,
    BYTE_INVALID,
    BYTE_PERCENT,
    BYTE_DOT,
};

/* Everything that is neither printable ASCII nor allowed in a path is refused: '#' and '?' end a path, and a
 * blank or control byte would end the request line that we write to an upstream. */
static const unsigned char byte_classes[256] = {
    [0x00 ... 0x20] = BYTE_INVALID, ['#'] = BYTE_INVALID,           ['%'] = BYTE_PERCENT, ['.'] = BYTE_DOT,
    ['?'] = BYTE_INVALID,           [0x7f ... 0xff] = BYTE_INVALID,
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte that the escape at s (which is a '%') stands for, or -1. */
static int escape_value(const char *s, const char *end)
{
    if (end - s < 3)
        return -1;
    int high = hex_digit(s[1]), low = hex_digit(s[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool is_unreserved(int c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* Nothing to change, and nothing wrong. A segment that begins with a dot is left to the slow way. */
static bool is_normal(struct slice raw)
{
    char before = '\0';
    for (size_t i = 0; i < raw.size; i++) {
        unsigned char class = byte_classes[(unsigned char)raw.data[i]];
        if (class != BYTE_PLAIN && (class != BYTE_DOT || before == '/'))
            return false;
        before = raw.data[i];
    }
    return true;
}

/* `out` ends in a complete segment that began at `segment`. A dot segment is taken away again, ".." together
 * with its parent; false when there is none. */
static bool finish_segment(const char *root, char *segment, char **out)
{
    size_t size = (size_t)(*out - segment);
    if (size == 1 && segment[0] == '.') {
        *out = segment;
    } else if (size == 2 && segment[0] == '.' && segment[1] == '.') {
        if (segment == root)
            return false;
        char *parent = segment - 1;
        while (parent[-1] != '/')
            parent--;
        *out = parent;
    }
    return true;
}

enum path_result path_normalize(struct slice raw, char *out, size_t *ret_size)
{
    if (raw.size == 0 || raw.data[0] != '/')
        return PATH_INVALID;
    if (is_normal(raw))
        return PATH_AS_IS;

    /* Written bytes never outrun read ones, and out[0] is always the leading '/'. A '/' is written when the
     * segment before it is complete; after a dot segment the '/' that stands before it serves instead. */
    const char *end = raw.data + raw.size;
    char *to = out, *segment = out + 1;
    *to++ = '/';
    for (const char *from = raw.data + 1; from < end; from++) {
        switch (byte_classes[(unsigned char)*from]) {
        case BYTE_INVALID:
            return PATH_INVALID;
        case BYTE_PERCENT: {
            int value = escape_value(from, end);
            if (value <= 0)
                return PATH_INVALID;
            if (is_unreserved(value)) {
                *to++ = (char)value;
            } else {
                *to++ = '%';
                *to++ = "0123456789ABCDEF"[value >> 4];
                *to++ = "0123456789ABCDEF"[value & 15];
            }
            from += 2;
            break;
        }
        default:
            if (*from != '/') {
                *to++ = *from;
                break;
            }
            char *before = to;
            if (!finish_segment(out + 1, segment, &to))
                return PATH_INVALID;
            if (to == before)
                *to++ = '/';
            segment = to;
        }
    }
    if (!finish_segment(out + 1, segment, &to))
        return PATH_INVALID;

    *ret_size = (size_t)(to - out);
    return PATH_NORMALIZED;
}

bool path_decode(struct slice path, char *out, size_t *ret_size)
{
    const char *end = path.data + path.size;
    char *to = out;
    for (const char *from = path.data; from < end; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int value = escape_value(from, end);
        if (value <= 0 || value == '/')
            return false;
        *to++ = (char)value;
        from += 2;
    }
    *ret_size = (size_t)(to - out);
    return true;
}
