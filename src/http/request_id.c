#include "http/request_id.h"

static const bool is_id[256] = {
    ['-'] = 1, ['_'] = 1, ['.'] = 1, ['~'] = 1,         ['+'] = 1,         ['/'] = 1,
    ['='] = 1, [':'] = 1, ['@'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

bool request_id_is_valid(struct slice id)
{
    if (id.size == 0 || id.size > 128)
        return false;
    for (size_t i = 0; i < id.size; i++)
        if (!is_id[(unsigned char)id.data[i]])
            return false;
    return true;
}

static void hex(char *to, uint64_t n)
{
    for (int i = 15; i >= 0; i--, n >>= 4)
        to[i] = "0123456789abcdef"[n & 15];
}

void request_id_format(char *to, uint64_t prefix, uint64_t counter)
{
    hex(to, prefix);
    hex(to + 16, counter);
}
