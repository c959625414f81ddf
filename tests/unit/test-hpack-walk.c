/* Blocks of HPACK, told whole and octet by octet. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http/hpack_walk.h"

#define LITERAL(s) (s), sizeof(s) - 1

/* Content-Length: in the static table, as it is, in Huffman's code. */
#define INDEX      \
    "\x0f\x0d\x01" \
    "5"
#define PLAIN        \
    "\x00\x0e"       \
    "content-length" \
    "\x01"           \
    "5"
#define CODED                                              \
    "\x00\x8a\x21\xea\x49\x6a\x4a\xd4\x16\xa9\x93\x3f\x01" \
    "5"
#define INTO_TABLE \
    "\x5c\x01"     \
    "5"
#define OTHER_INTO_TABLE "\x40\x01x\x01y"

struct block {
    const char *data;
    size_t size;
    bool ok;
    uint32_t fields, lengths;
};

static void tell(struct hpack_walk *walk, const struct block *block, size_t step)
{
    bool ok = true;

    hpack_walk_begin(walk);
    for (size_t at = 0; ok && at < block->size; at += step)
        ok = hpack_walk(walk, (const uint8_t *)block->data + at, MIN(step, block->size - at));
    assert_int_equal(ok && hpack_walk_may_end(walk), block->ok);
    if (!ok)
        return;
    assert_int_equal(walk->fields, block->fields);
    assert_int_equal(walk->lengths, block->lengths);
}

static void test_blocks(void **state)
{
    static const struct block blocks[] = {
        {LITERAL(""), true, 0, 0},
        {LITERAL("\x82\x86\x84"), true, 3, 0},
        {LITERAL(INDEX), true, 1, 1},
        {LITERAL("\x9c"), true, 1, 1},
        {LITERAL("\x3c"), true, 1, 0}, /* a table size of 28 */
        {LITERAL(PLAIN), true, 1, 1},
        {LITERAL(CODED), true, 1, 1},
        {LITERAL(INDEX "\x82" PLAIN CODED), true, 4, 3},
        {LITERAL(INTO_TABLE "\xbe"), true, 2, 2},
        {LITERAL(INTO_TABLE OTHER_INTO_TABLE "\xbe\xbf"), true, 4, 2},
        {LITERAL(INTO_TABLE OTHER_INTO_TABLE "\x7e\x00\xbf"), true, 4,
         1}, /* another of the last one's name */
        {LITERAL("\x00\x0d"
                 "content-lengt"
                 "\x01"
                 "5"),
         true, 1, 0},
        {LITERAL("\x00\x0f"
                 "content-lengths"
                 "\x01"
                 "5"),
         true, 1, 0},
        {LITERAL("\x00\x0e"
                 "content-lengtg"
                 "\x01"
                 "5"),
         true, 1, 0},
        {LITERAL("\x00\x01x\x0e"
                 "content-length"),
         true, 1, 0},
        {LITERAL("\x00\x0e"
                 "content-length"),
         false, 1, 1},
        {LITERAL("\x00\x00"), false, 0, 0},
        {LITERAL("\xff\xff\xff\xff\xff\xff"), false, 0, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
        for (size_t step = 1; step <= blocks[i].size + 1; step++)
            tell(&(struct hpack_walk){0}, &blocks[i], step);
}

static void test_the_table_outlives_blocks(void **state)
{
    static const struct block first = {LITERAL(INTO_TABLE), true, 1, 1},
                              other = {LITERAL(OTHER_INTO_TABLE), true, 1, 0};
    struct hpack_walk walk = {0};

    tell(&walk, &first, 1);
    for (uint32_t i = 0; i < HPACK_TABLE_ENTRIES; i++) {
        /* 62 is the last one: an integer of seven bits, or of two octets. */
        const uint32_t index = 62 + i;
        const char data[2] = {(char)(index < 127 ? 0x80 | index : 0xff), (char)(index - 127)};
        tell(&walk, &(struct block){data, index < 127 ? 1 : 2, true, 1, 1}, 1);
        tell(&walk, &other, 1);
    }
    tell(&walk, &(struct block){LITERAL("\xff\x3f"), true, 1, 0},
         1); /* 190: further than any table reaches */
}

static void test_fields_are_told_apart(void **state)
{
    static const struct {
        const char *data;
        size_t size, first;
    } cases[] = {
        {LITERAL(""), 0},
        {LITERAL("\x82\x86"), 1},
        {LITERAL("\xff\x80\x01\x82"), 3},
        {LITERAL(PLAIN "\x82"), 18},
        {LITERAL("\x20\x82\x86"), 2},
        {LITERAL("\x3f\x80\x01\x20\x82\x86"), 5},
        {LITERAL("\x20"), 0},
        {LITERAL("\x00\x02x"), 0},
        {LITERAL("\xff\xff\xff\xff\xff\xff"), 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(hpack_field_size((const uint8_t *)cases[i].data, cases[i].size), cases[i].first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_the_table_outlives_blocks),
        cmocka_unit_test(test_fields_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
