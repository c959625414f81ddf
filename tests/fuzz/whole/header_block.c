/* Header blocks (RFC 7541), in all the forms that a field may have. */

#include "grammar.h"

static void add_integer(struct strbuf *out, unsigned prefix, unsigned first, uint64_t value)
{
    const uint64_t limit = (UINT64_C(1) << prefix) - 1;

    if (value < limit) {
        strbuf_add_char(out, (char)(first | value));
        return;
    }
    strbuf_add_char(out, (char)(first | limit));
    for (value -= limit; value >= 128; value >>= 7)
        strbuf_add_char(out, (char)(value % 128 + 128));
    strbuf_add_char(out, (char)value);
}

static void add_string(struct chance *chance, struct strbuf *out, struct slice s)
{
    if (chance_in(chance, 10)) { /* "www.example.com", or what is no code at all */
        static const char huffman[] = "\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        const size_t size = chance_in(chance, 70) ? 12 : chance_below(chance, 13);
        add_integer(out, 7, 0x80, size);
        strbuf_add(out, huffman, size);
        return;
    }
    add_integer(out, 7, 0, s.size);
    strbuf_add_slice(out, s);
}

static void add_field(struct chance *chance, struct strbuf *out, struct slice name, struct slice value)
{
    static const unsigned firsts[] = {0x00, 0x10, 0x40, 0x40}; /* not, never, and twice to be indexed */

    strbuf_add_char(out, (char)CHANCE_PICK(chance, firsts));
    add_string(chance, out, name);
    add_string(chance, out, value);
}

static void add_pseudo_fields(struct chance *chance, struct strbuf *out)
{
    const struct slice method = grammar_method(chance), target = grammar_target(chance, false);

    if (slice_eq(method, SLICE_LITERAL("GET")) && chance_in(chance, 70))
        add_integer(out, 7, 0x80, 2);
    else
        add_field(chance, out, SLICE_LITERAL(":method"), method);
    add_integer(out, 7, 0x80, chance_in(chance, 90) ? 6 : 7);
    if (chance_in(chance, 95))
        add_field(chance, out, SLICE_LITERAL(":path"), target);
    if (chance_in(chance, 95))
        add_field(chance, out, SLICE_LITERAL(":authority"), SLICE_LITERAL("localhost"));
    if (chance_in(chance, 3))
        add_field(chance, out, SLICE_LITERAL(":protocol"), SLICE_LITERAL("websocket"));
}

void grammar_header_block(struct chance *chance, bool trailers, struct strbuf *out)
{
    struct slice name, value;

    if (chance_in(chance, 5))
        add_integer(out, 5, 0x20, chance_below(chance, 8192)); /* the size of the table */
    if (!trailers)
        add_pseudo_fields(chance, out);
    for (size_t n = chance_few(chance); n > 1; n--) {
        if (chance_in(chance, 20)) { /* one of the tables' */
            add_integer(out, 7, 0x80, chance_below(chance, 80));
            continue;
        }
        grammar_field(chance, &name, &value);
        add_field(chance, out, name, value);
    }
    if (chance_in(chance, 1))
        add_field(chance, out, SLICE_LITERAL("connection"), SLICE_LITERAL("close"));
    if (chance_in(chance, 1)) /* a small block that is large when it is decoded */
        for (size_t n = chance_below(chance, 4000); n > 0; n--)
            add_integer(out, 7, 0x80, 62);
}
