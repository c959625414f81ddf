#include "http/hpack_walk.h"

/* Four octets behind the prefix: more is nothing that a size or an index could mean. */
#define MAX_SHIFT 28

static void expect_string(struct hpack_walk *walk, enum hpack_part part)
{
    walk->part = part;
    walk->in_string = true;
}

static bool integer_ends(struct hpack_walk *walk)
{
    walk->in_integer = false;
    switch (walk->part) {
    case HPACK_FIELD:
        return true;
    case HPACK_NAME_INDEX:
        walk->part = walk->integer == 0 ? HPACK_NAME_SIZE : HPACK_VALUE_SIZE;
        return true;
    case HPACK_NAME_SIZE:
        expect_string(walk, HPACK_NAME);
        return walk->integer > 0;
    case HPACK_VALUE_SIZE:
        if (walk->integer > 0)
            expect_string(walk, HPACK_VALUE);
        else
            walk->part = HPACK_FIELD;
        return true;
    case HPACK_NAME:
    case HPACK_VALUE:
    default:
        WRONG("part of a header block");
    }
}

/* RFC 7541 5.1 */
static bool integer_begins(struct hpack_walk *walk, uint8_t octet, unsigned prefix)
{
    const uint32_t limit = (1U << prefix) - 1;

    walk->integer = octet & limit;
    walk->shift = 0;
    walk->in_integer = true;
    return walk->integer == limit || integer_ends(walk);
}

static bool integer_goes_on(struct hpack_walk *walk, uint8_t octet)
{
    if (walk->shift == MAX_SHIFT)
        return false;
    walk->integer += (uint32_t)(octet & 0x7f) << walk->shift;
    walk->shift += 7;
    return (octet & 0x80) || integer_ends(walk);
}

static bool field_begins(struct hpack_walk *walk, uint8_t octet)
{
    walk->fields++;
    if (octet & 0x80) /* 6.1: indexed */
        return integer_begins(walk, octet, 7);
    if ((octet & 0xe0) == 0x20) /* 6.3: a change of the table's size */
        return integer_begins(walk, octet, 5);
    walk->part = HPACK_NAME_INDEX; /* 6.2: a literal, to be indexed or not */
    return integer_begins(walk, octet, octet & 0x40 ? 6 : 4);
}

/* Passes over as much of a string as there is; returns how much that was. */
static size_t string_goes_on(struct hpack_walk *walk, size_t available)
{
    const size_t n = MIN((size_t)walk->integer, available);

    walk->integer -= (uint32_t)n;
    if (walk->integer == 0) {
        walk->in_string = false;
        walk->part = walk->part == HPACK_NAME ? HPACK_VALUE_SIZE : HPACK_FIELD;
    }
    return n;
}

bool hpack_walk(struct hpack_walk *walk, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size;) {
        if (walk->in_string) {
            i += string_goes_on(walk, size - i);
            continue;
        }
        const uint8_t octet = data[i++];
        const bool ok = walk->in_integer            ? integer_goes_on(walk, octet)
                        : walk->part == HPACK_FIELD ? field_begins(walk, octet)
                                                    : integer_begins(walk, octet, 7);
        if (!ok)
            return false;
    }
    return true;
}
