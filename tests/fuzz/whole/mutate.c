#include "mutate.h"

static const struct slice tokens[] = {
    {"\r\n", 2},
    {"\n", 1},
    {"\r", 1},
    {"\0", 1},
    {"\r\n\r\n", 4},
    {"\t", 1},
    {" ", 1},
    {":", 1},
    {",", 1},
    {";", 1},
    {"\"", 1},
    {"%", 1},
    {"%00", 3},
    {"../", 3},
    {"HTTP/1.1", 8},
    {"Transfer-Encoding: chunked\r\n", 28},
    {"Content-Length: 0\r\n", 19},
    {"Host: b\r\n", 9},
    {"0\r\n\r\n", 5},
    {"ffffffffffffffff", 16},
    {"18446744073709551615", 20},
    {"-1", 2},
    {"\xff\xff\xff\xff", 4},
    {"\x80\x00\x00\x00", 4},
    {"\x7f\xff\xff\xff", 4},
    {"\xc0\x80", 2},
    {"\x00\x00\x00\x04\x01\x00\x00\x00\x00", 9},            /* SETTINGS, acknowledged */
    {"\x00\x00\x04\x03\x00\x00\x00\x00\x01\0\0\0\x08", 13}, /* RST_STREAM */
};

static void replace(struct strbuf *input, size_t at, size_t size, struct slice by)
{
    _cleanup_strbuf_ struct strbuf result = STRBUF_INIT;

    strbuf_add(&result, strbuf_string(input), at);
    strbuf_add_slice(&result, by);
    strbuf_add(&result, strbuf_string(input) + at + size, input->size - at - size);
    strbuf_clear(input);
    strbuf_add(input, strbuf_string(&result), result.size);
}

/* Mostly short. */
static struct slice some_part(struct chance *chance, struct slice of)
{
    if (of.size == 0)
        return of;
    const size_t at = chance_below(chance, of.size);
    const size_t limit = MIN(of.size - at, (size_t)1 << chance_below(chance, 16));
    return slice_make(of.data + at, 1 + chance_below(chance, limit));
}

static void repeat(struct chance *chance, struct strbuf *input, struct slice part)
{
    _cleanup_strbuf_ struct strbuf repeated = STRBUF_INIT;
    const size_t at = (size_t)(part.data + part.size - input->data);

    for (size_t n = (size_t)1 << chance_below(chance, 12); n > 0 && repeated.size + part.size < 40000; n--)
        strbuf_add_slice(&repeated, part);
    replace(input, at, 0, slice_make(repeated.data, repeated.size));
}

static void mutate_once(struct chance *chance, struct slice other, struct strbuf *input)
{
    const struct slice part = some_part(chance, slice_make(input->data, input->size));
    const size_t at = (size_t)(part.data - input->data);

    switch (chance_below(chance, 9)) {
    case 0:
        input->data[at] ^= (char)(1 << chance_below(chance, 8));
        break;
    case 1:
        input->data[at] = (char)chance_next(chance);
        break;
    case 2:
        replace(input, at, part.size, slice_make(NULL, 0));
        break;
    case 3:
        repeat(chance, input, part);
        break;
    case 4:
        replace(input, at, 0, CHANCE_PICK(chance, tokens));
        break;
    case 5:
        replace(input, at, MIN(part.size, 8u), CHANCE_PICK(chance, tokens));
        break;
    case 6:
        replace(input, at, chance_in(chance, 50) ? part.size : 0, some_part(chance, other));
        break;
    case 7:
        replace(input, at, input->size - at, slice_make(NULL, 0));
        break;
    default:
        for (size_t i = 0; i < MIN(part.size, 8u); i++)
            input->data[at + i] = (char)chance_next(chance);
    }
}

void mutate(struct chance *chance, struct slice other, struct strbuf *input)
{
    for (size_t n = chance_few(chance); n > 0 && input->size > 0 && input->size < MUTATED_SIZE_MAX; n--)
        mutate_once(chance, other, input);
}
