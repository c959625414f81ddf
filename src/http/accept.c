#include "http/accept.h"

/* Cuts off what stands before the next separator that is not in a quoted string. */
static struct slice cut(struct slice *rest, char separator)
{
    bool is_quoted = false;
    size_t i = 0;
    for (; i < rest->size; i++) {
        char c = rest->data[i];
        if (is_quoted && c == '\\' && i + 1 < rest->size)
            i++;
        else if (c == '"')
            is_quoted = !is_quoted;
        else if (c == separator && !is_quoted)
            break;
    }
    struct slice head = slice_trim(slice_make(rest->data, i));
    *rest = slice_skip(*rest, i < rest->size ? i + 1 : i);
    return head;
}

/* "0.25" is 250; -1 for what is not a quality value. */
static int parse_quality(struct slice s)
{
    if (s.size == 0 || s.size > 5 || (s.data[0] != '0' && s.data[0] != '1') ||
        (s.size > 1 && s.data[1] != '.'))
        return -1;
    int value = (s.data[0] - '0') * ACCEPT_MAX, unit = ACCEPT_MAX / 10;
    for (size_t i = 2; i < s.size; i++, unit /= 10) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return -1;
        value += (s.data[i] - '0') * unit;
    }
    return value <= ACCEPT_MAX ? value : -1;
}

/* The next element of the list; one with a malformed quality is passed over. */
static bool next_element(struct slice *rest, struct slice *ret_name, int *ret_quality)
{
    while (rest->size > 0) {
        struct slice element = cut(rest, ',');
        struct slice name = cut(&element, ';');
        int quality = ACCEPT_MAX;
        while (element.size > 0) {
            struct slice parameter = cut(&element, ';');
            if (parameter.size >= 2 && (parameter.data[0] == 'q' || parameter.data[0] == 'Q') &&
                parameter.data[1] == '=')
                quality = parse_quality(slice_skip(parameter, 2));
        }
        if (name.size > 0 && quality >= 0) {
            *ret_name = name;
            *ret_quality = quality;
            return true;
        }
    }
    return false;
}

int accept_coding_quality(struct slice field, struct slice coding)
{
    int wildcard = ACCEPT_UNLISTED, quality;
    struct slice name;
    while (next_element(&field, &name, &quality)) {
        if (slice_caseeq(name, coding))
            return quality;
        if (slice_eq(name, SLICE_LITERAL("*")))
            wildcard = quality;
    }
    return wildcard;
}

/* How closely a media range names a type: 0 not at all, 1 as one of all, 2 by its type, 3 exactly. */
static int range_specificity(struct slice range, struct slice type)
{
    if (slice_caseeq(range, type))
        return 3;
    if (slice_eq(range, SLICE_LITERAL("*/*")))
        return 1;
    if (range.size < 2 || range.data[range.size - 1] != '*' || range.data[range.size - 2] != '/')
        return 0;
    size_t size = range.size - 1; /* with its '/' */
    return type.size > size && slice_caseeq(slice_make(range.data, size), slice_make(type.data, size)) ? 2
                                                                                                       : 0;
}

int accept_media_quality(struct slice field, struct slice type)
{
    int best = 0, best_quality = ACCEPT_UNLISTED, quality;
    struct slice range;
    while (next_element(&field, &range, &quality)) {
        int specificity = range_specificity(range, type);
        if (specificity > best) {
            best = specificity;
            best_quality = quality;
        }
    }
    return best_quality;
}
