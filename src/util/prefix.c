#include "util/prefix.h"

#include "util/parse.h"

/* An address as a number; of IPv4 the high half is zero. */
struct key {
    uint64_t high, low;
};

struct prefix_range {
    struct key first, last;
};

static uint64_t read_bytes(const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | bytes[i];
    return value;
}

static struct key key_of(const struct ip_address *address)
{
    if (address->family == IP_V4)
        return (struct key){0, read_bytes(address->bytes, 4)};
    return (struct key){read_bytes(address->bytes, 8), read_bytes(address->bytes + 8, 8)};
}

static bool is_less(struct key a, struct key b)
{
    return a.high != b.high ? a.high < b.high : a.low < b.low;
}

/* How many ranges begin at `key` or before. */
static size_t count_to(const struct prefix_ranges *ranges, struct key key)
{
    size_t low = 0, high = ranges->n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (is_less(key, ranges->items[middle].first))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool ranges_contain(const struct prefix_ranges *ranges, struct key key)
{
    const size_t n = count_to(ranges, key);
    return n > 0 && !is_less(ranges->items[n - 1].last, key);
}

static void ranges_add(struct prefix_ranges *ranges, struct prefix_range range)
{
    const size_t at = count_to(ranges, range.first);
    size_t end = at;

    /* One that begins here already and is narrower gives way too, and so do those behind. */
    if (at > 0 && !is_less(ranges->items[at - 1].last, range.last))
        return;
    const size_t from = at > 0 && !is_less(ranges->items[at - 1].first, range.first) ? at - 1 : at;
    while (end < ranges->n && !is_less(range.last, ranges->items[end].last))
        end++;
    if (from == end && ranges->n == ranges->size) {
        ranges->size = MAX(ranges->size * 2, (size_t)8);
        ranges->items = xrealloc(ranges->items, ranges->size, sizeof(*ranges->items));
    }
    memmove(&ranges->items[from + 1], &ranges->items[end], (ranges->n - end) * sizeof(*ranges->items));
    ranges->items[from] = range;
    ranges->n = ranges->n - (end - from) + 1;
}

/* The bits of a number of `width` that come after its first `length`. */
static struct key host_bits(unsigned width, unsigned length)
{
    const unsigned n = width - length;
    return (struct key){
        .high = n <= 64    ? 0
                : n == 128 ? UINT64_MAX
                           : (UINT64_C(1) << (n - 64)) - 1,
        .low = n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1,
    };
}

static void add_prefix(struct prefix_set *set, const struct ip_address *address, unsigned length)
{
    const bool is_v4 = address->family == IP_V4;
    const struct key first = key_of(address), host = host_bits(is_v4 ? 32 : 128, length);

    ranges_add(is_v4 ? &set->v4 : &set->v6,
               (struct prefix_range){first, {first.high | host.high, first.low | host.low}});
}

static void clear_host_bits(struct ip_address *address, unsigned length)
{
    for (unsigned bit = length; bit < 128; bit++)
        address->bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static bool refuse(struct strbuf *error, struct slice word, const char *message)
{
    strbuf_addf(error, "\"%.*s\" %s", (int)MIN(word.size, (size_t)100), word.data, message);
    return false;
}

/* An address, or one with the length of its prefix. */
static bool parse_prefix(struct slice word, struct ip_address *ret, unsigned *ret_length,
                         struct strbuf *error)
{
    struct slice rest = word;
    const struct slice text = slice_split(&rest, '/');
    const bool is_prefix = text.size < word.size;
    _cleanup_free_ char *number = xstrndup(rest.size > 0 ? rest.data : "", rest.size);
    char meant[IP_ADDRESS_TEXT_MAX], single[IP_ADDRESS_TEXT_MAX];
    struct ip_address address;
    uint64_t length;

    if (!ip_address_parse(text, &address))
        return refuse(error, word, "is neither an address or prefix nor a word that stands for some");
    const bool is_v4 = address.family == IP_V4;
    /* Written as IPv6 all the same, so that its length counts from there. */
    const bool is_mapped = is_v4 && memchr(text.data, ':', text.size);
    const unsigned width = is_v4 ? 32 : 128, skipped = is_mapped ? 96 : 0;

    if (!is_prefix)
        length = width;
    else if (parse_u64(number, skipped, width + skipped, &length) < 0)
        return refuse(error, word,
                      is_mapped ? "has a length that is not from 96 to 128, as an IPv4-mapped address needs"
                      : is_v4   ? "has a length that is not a number from 0 to 32"
                                : "has a length that is not a number from 0 to 128");
    else
        length -= skipped;
    *ret = address;
    clear_host_bits(ret, (unsigned)length);
    if (!ip_address_eq(ret, &address)) {
        refuse(error, word, "has bits set beyond its length");
        strbuf_addf(error, "; is %s/%u meant, or %s alone?", ip_address_format(ret, meant), (unsigned)length,
                    ip_address_format(&address, single));
        return false;
    }
    *ret_length = (unsigned)length;
    return true;
}

static const struct {
    struct slice word;
    const char *prefixes[2];
    bool has_unix;
} words[] = {
    {SLICE_LITERAL("any"), {"0.0.0.0/0", "::/0"}, true},
    {SLICE_LITERAL("localhost"), {"127.0.0.0/8", "::1"}, false},
    {SLICE_LITERAL("link-local"), {"169.254.0.0/16", "fe80::/64"}, false},
    {SLICE_LITERAL("unix"), {NULL}, true},
};

bool prefix_set_add(struct prefix_set *set, struct slice word, struct strbuf *error)
{
    struct ip_address address;
    unsigned length;

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (!slice_eq(words[i].word, word))
            continue;
        set->has_unix = set->has_unix || words[i].has_unix;
        for (size_t j = 0; j < ARRAY_SIZE(words[i].prefixes) && words[i].prefixes[j]; j++)
            if (!prefix_set_add(set, slice_of(words[i].prefixes[j]), error))
                WRONG("a prefix of our own");
        return true;
    }
    if (!parse_prefix(word, &address, &length, error))
        return false;
    add_prefix(set, &address, length);
    return true;
}

bool prefix_set_contains(const struct prefix_set *set, const struct ip_address *address)
{
    switch (address->family) {
    case IP_NONE:
        return false;
    case IP_UNIX:
        return set->has_unix;
    case IP_V4:
        return ranges_contain(&set->v4, key_of(address));
    case IP_V6:
        return ranges_contain(&set->v6, key_of(address));
    case _IP_FAMILY_MAX:
    default:
        WRONG("address family");
    }
}

bool prefix_set_is_empty(const struct prefix_set *set)
{
    return set->v4.n == 0 && set->v6.n == 0 && !set->has_unix;
}

void prefix_set_deinit(struct prefix_set *set)
{
    free(set->v4.items);
    free(set->v6.items);
    *set = (struct prefix_set){0};
}

bool prefix_access_is_granted(const struct prefix_access *access, const struct ip_address *address)
{
    if (prefix_set_contains(&access->allow, address))
        return true;
    if (prefix_set_is_empty(&access->deny))
        return prefix_set_is_empty(&access->allow);
    return !prefix_set_contains(&access->deny, address);
}

void prefix_access_deinit(struct prefix_access *access)
{
    prefix_set_deinit(&access->allow);
    prefix_set_deinit(&access->deny);
}
