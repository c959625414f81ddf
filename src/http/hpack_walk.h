#pragma once
/* The outline of an HPACK header block (RFC 7541 6): how many fields it has, told without decoding any.
 *
 * One byte can stand for a field of 4 KB, so what a block becomes is known only by its fields; and they are
 * to be counted before a decoder makes room for them. Pure, and incremental: a block may come in any pieces.
 *
 * Of the names it tells one, Content-Length, of which a decoder that keeps the last alone does not say that
 * there were two. For that it is told all blocks of a connection, since a field may be one of a block before.
 */

#include "util/macros.h"

enum hpack_part {
    HPACK_FIELD, /* the next octet begins a field; only here a block may end */
    HPACK_NAME_SIZE,
    HPACK_VALUE_SIZE,
    HPACK_NAME, /* from here on only as what an integer or string belongs to */
    HPACK_VALUE,
    HPACK_NAME_INDEX,
    HPACK_FIELD_INDEX,
    HPACK_TABLE_SIZE,
};

/* A dynamic table of 4096, the size that is announced by default, has no more: each costs 32 at least. */
#define HPACK_TABLE_ENTRIES 128

struct hpack_walk {
    enum hpack_part part;
    bool in_integer;  /* … and more of its octets come */
    bool in_string;   /* … whose remaining octets are passed over */
    unsigned shift;   /* of the integer's next octet */
    uint32_t integer; /* so far, or what remains of the string */
    uint32_t fields;  /* so far; changes of the dynamic table's size count, too */
    uint32_t lengths; /* so far: Content-Length */

    bool is_indexed;      /* the field goes into the dynamic table */
    bool is_huffman;      /* the string is coded so */
    uint32_t name_octets; /* … and as many octets of it are those of Content-Length; UINT32_MAX: it is not */
    /* Which of the fields that went into the table last were Content-Length: bit 0 of the first, the last. */
    uint64_t table[HPACK_TABLE_ENTRIES / 64];
};

/* A block begins; what the connection's others have put into the table is kept. */
void hpack_walk_begin(struct hpack_walk *walk);

/* Goes on with the next octets of a block, at first with a zeroed object. Returns false where no decoder
 * could go on: an integer of more than 28 bits, an empty name. */
bool hpack_walk(struct hpack_walk *walk, const uint8_t *data, size_t size) _warn_unused_;

/* The block may end here. */
static inline bool hpack_walk_may_end(const struct hpack_walk *walk)
{
    return walk->part == HPACK_FIELD;
}

/* How many octets at `data`, where a field begins, are its own, with the changes of the table's size before
 * it; 0 when it is not whole. */
size_t hpack_field_size(const uint8_t *data, size_t size);
