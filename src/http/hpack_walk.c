#include "http/hpack_walk.h"

/* Four octets behind the prefix: more is nothing that a size or an index could mean. */
#define MAX_SHIFT 28

#define CONTENT_LENGTH_INDEX 28 /* in the static table (RFC 7541 A) */
#define STATIC_ENTRIES 61

struct octets {
    const uint8_t *data;
    uint32_t size;
};

/* "content-length" as it is, or in Huffman's code, which leaves no choice (RFC 7541 5.2). Capitals are not
 * taken from anybody. */
static struct octets content_length(bool is_huffman)
{
    static const uint8_t coded[] = {0x21, 0xea, 0x49, 0x6a, 0x4a, 0xd4, 0x16, 0xa9, 0x93, 0x3f};
    static const char plain[] = "content-length";

    return is_huffman ? (struct octets){coded, sizeof(coded)}
                      : (struct octets){(const uint8_t *)plain, sizeof(plain) - 1};
}

static bool index_is_length(const struct hpack_walk *walk, uint32_t index)
{
    if (index <= STATIC_ENTRIES)
        return index == CONTENT_LENGTH_INDEX;
    const uint32_t at = index - STATIC_ENTRIES - 1;
    return at < HPACK_TABLE_ENTRIES && (walk->table[at / 64] >> at % 64 & 1);
}

/* Fields that push others out of the table need not be followed: who refers to what is gone is refused. */
static void name_ends(struct hpack_walk *walk, bool is_length)
{
    walk->lengths += is_length;
    if (!walk->is_indexed)
        return;
    walk->table[1] = walk->table[1] << 1 | walk->table[0] >> 63;
    walk->table[0] = walk->table[0] << 1 | is_length;
}

static void compare_name(struct hpack_walk *walk, const uint8_t *data, size_t n)
{
    const struct octets wanted = content_length(walk->is_huffman);

    if (walk->name_octets == UINT32_MAX)
        return;
    if (n > wanted.size - walk->name_octets || memcmp(data, wanted.data + walk->name_octets, n) != 0)
        walk->name_octets = UINT32_MAX;
    else
        walk->name_octets += (uint32_t)n;
}

static bool name_is_length(const struct hpack_walk *walk)
{
    return walk->name_octets == content_length(walk->is_huffman).size;
}

static void expect_string(struct hpack_walk *walk, enum hpack_part part)
{
    walk->part = part;
    walk->in_string = true;
}

static bool integer_ends(struct hpack_walk *walk)
{
    walk->in_integer = false;
    switch (walk->part) {
    case HPACK_FIELD_INDEX:
        walk->lengths += index_is_length(walk, walk->integer);
        walk->part = HPACK_FIELD;
        return true;
    case HPACK_TABLE_SIZE:
        walk->part = HPACK_FIELD;
        return true;
    case HPACK_NAME_INDEX:
        if (walk->integer > 0)
            name_ends(walk, index_is_length(walk, walk->integer));
        walk->part = walk->integer == 0 ? HPACK_NAME_SIZE : HPACK_VALUE_SIZE;
        return true;
    case HPACK_NAME_SIZE:
        expect_string(walk, HPACK_NAME);
        walk->name_octets = 0;
        return walk->integer > 0;
    case HPACK_VALUE_SIZE:
        if (walk->integer > 0)
            expect_string(walk, HPACK_VALUE);
        else
            walk->part = HPACK_FIELD;
        return true;
    case HPACK_FIELD:
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
    if (octet & 0x80) { /* 6.1: indexed */
        walk->part = HPACK_FIELD_INDEX;
        return integer_begins(walk, octet, 7);
    }
    if ((octet & 0xe0) == 0x20) { /* 6.3: a change of the table's size */
        walk->part = HPACK_TABLE_SIZE;
        return integer_begins(walk, octet, 5);
    }
    walk->part = HPACK_NAME_INDEX; /* 6.2: a literal, to be indexed or not */
    walk->is_indexed = octet & 0x40;
    return integer_begins(walk, octet, walk->is_indexed ? 6 : 4);
}

static bool string_begins(struct hpack_walk *walk, uint8_t octet)
{
    walk->is_huffman = octet & 0x80;
    return integer_begins(walk, octet, 7);
}

/* Passes over as much of a string as there is; returns how much that was. */
static size_t string_goes_on(struct hpack_walk *walk, const uint8_t *data, size_t available)
{
    const size_t n = MIN((size_t)walk->integer, available);
    const bool is_name = walk->part == HPACK_NAME;

    if (is_name)
        compare_name(walk, data, n);
    walk->integer -= (uint32_t)n;
    if (walk->integer == 0) {
        if (is_name)
            name_ends(walk, name_is_length(walk));
        walk->in_string = false;
        walk->part = is_name ? HPACK_VALUE_SIZE : HPACK_FIELD;
    }
    return n;
}

void hpack_walk_begin(struct hpack_walk *walk)
{
    *walk = (struct hpack_walk){.table = {walk->table[0], walk->table[1]}};
}

bool hpack_walk(struct hpack_walk *walk, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size;) {
        if (walk->in_string) {
            i += string_goes_on(walk, data + i, size - i);
            continue;
        }
        const uint8_t octet = data[i++];
        const bool ok = walk->in_integer            ? integer_goes_on(walk, octet)
                        : walk->part == HPACK_FIELD ? field_begins(walk, octet)
                                                    : string_begins(walk, octet);
        if (!ok)
            return false;
    }
    return true;
}

size_t hpack_field_size(const uint8_t *data, size_t size)
{
    struct hpack_walk walk = {0};

    for (size_t i = 0, begin = 0; i < size; i++) {
        if (!hpack_walk(&walk, data + i, 1))
            return 0;
        if (!hpack_walk_may_end(&walk))
            continue;
        if ((data[begin] & 0xe0) != 0x20)
            return i + 1;
        begin = i + 1;
    }
    return 0;
}
