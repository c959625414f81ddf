#include "util/siphash.h"

#include <endian.h>
#include <sys/random.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static inline void rounds(struct sip *s, unsigned n)
{
    for (; n > 0; n--) {
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static inline void take_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    rounds(s, 2);
    s->v0 ^= word;
}

static inline uint64_t finish(struct sip *s)
{
    rounds(s, 4);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

struct siphash siphash(const struct siphash_secret *secret, const void *data, size_t size)
{
    const uint64_t k0 = secret->words[0], k1 = secret->words[1];
    struct sip s = {
        .v0 = UINT64_C(0x736f6d6570736575) ^ k0,
        .v1 = UINT64_C(0x646f72616e646f6d) ^ k1 ^ 0xee,
        .v2 = UINT64_C(0x6c7967656e657261) ^ k0,
        .v3 = UINT64_C(0x7465646279746573) ^ k1,
    };
    const unsigned char *p = data;
    uint64_t word;

    for (size_t left = size; left >= sizeof(word); left -= sizeof(word), p += sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        take_word(&s, le64toh(word));
    }
    word = (uint64_t)size << 56;
    for (size_t i = 0; i < size % sizeof(word); i++)
        word |= (uint64_t)p[i] << (8 * i);
    take_word(&s, word);

    struct siphash ret;
    s.v2 ^= 0xee;
    ret.words[0] = finish(&s);
    s.v1 ^= 0xdd;
    ret.words[1] = finish(&s);
    return ret;
}

void siphash_secret_draw(struct siphash_secret *ret)
{
    if (getrandom(ret, sizeof(*ret), 0) != sizeof(*ret))
        abort();
}
