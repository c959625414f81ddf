#include "upstream/balance_hash.h"

#include <endian.h>

uint64_t balance_hash(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint64_t hash = size, word;

    for (; size >= sizeof(word); bytes += sizeof(word), size -= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        hash = balance_scramble(hash ^ le64toh(word));
    }
    word = 0;
    if (size > 0)
        memcpy(&word, bytes, size);
    return balance_scramble(hash ^ le64toh(word));
}
