#pragma once
/* The outline of an HPACK header block (RFC 7541 6): how many fields it has, told without decoding any.
 *
 * One byte can stand for a field of 4 KB, so what a block becomes is known only by its fields; and they are
 * to be counted before a decoder makes room for them. Pure, and incremental: a block may come in any pieces.
 */

#include "util/macros.h"

enum hpack_part {
    HPACK_FIELD, /* the next octet begins a field; only here a block may end */
    HPACK_NAME_SIZE,
    HPACK_VALUE_SIZE,
    HPACK_NAME, /* from here on only as what an integer or string belongs to */
    HPACK_VALUE,
    HPACK_NAME_INDEX,
};

struct hpack_walk {
    enum hpack_part part;
    bool in_integer;  /* … and more of its octets come */
    bool in_string;   /* … whose remaining octets are passed over */
    unsigned shift;   /* of the integer's next octet */
    uint32_t integer; /* so far, or what remains of the string */
    uint32_t fields;  /* so far; changes of the dynamic table's size count, too */
};

/* Goes on with the next octets of a block, at first with a zeroed object. Returns false where no decoder
 * could go on: an integer of more than 28 bits, an empty name. */
bool hpack_walk(struct hpack_walk *walk, const uint8_t *data, size_t size) _warn_unused_;

/* The block may end here. */
static inline bool hpack_walk_may_end(const struct hpack_walk *walk)
{
    return walk->part == HPACK_FIELD && !walk->in_integer;
}
