/* Sets of prefixes: what words mean, what is refused, and lookups against a model without any cunning. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "util/prefix.h"

static struct ip_address address_of(const char *text)
{
    struct ip_address address = {.family = IP_UNIX};
    if (!streq(text, "unix"))
        assert_true(ip_address_parse(slice_of(text), &address));
    return address;
}

/* A set of the words in `text`. */
static struct prefix_set set_of(const char *text)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    struct prefix_set set = {0};
    for (struct slice rest = slice_of(text); rest.size > 0;)
        if (!prefix_set_add(&set, slice_split(&rest, ' '), &error))
            fail_msg("%s: %s", text, strbuf_string(&error));
    return set;
}

static void test_membership(void **state)
{
    static const struct {
        const char *set, *in, *out;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.0 192.0.2.255 ::ffff:192.0.2.7", "192.0.1.255 192.0.3.0 unix ::192.0.2.0"},
        {"192.0.2.7", "192.0.2.7", "192.0.2.6 192.0.2.8"},
        {"192.0.2.7/32", "192.0.2.7", "192.0.2.6 192.0.2.8"},
        {"0.0.0.0/0", "0.0.0.0 255.255.255.255 ::ffff:1.2.3.4", ":: ::1 unix"},
        {"::/0", ":: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1.2.3.4 ::ffff:1.2.3.4 unix"},
        {"::ffff:0.0.0.0/96", "0.0.0.0 255.255.255.255", "::1"},
        {"::ffff:192.0.2.0/120", "192.0.2.0 192.0.2.255", "192.0.3.0"},
        {"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.0"},
        {"2001:db8::/32", "2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7:: 2001:db9::"},
        {"2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::"},
        {"2001:db8::/65", "2001:db8::7fff:ffff:ffff:ffff", "2001:db8::8000:0:0:0"},
        {"2001:db8::/63", "2001:db8:0:1::1", "2001:db8:0:2::"},
        {"2001:db8::/127", "2001:db8::1", "2001:db8::2"},
        {"8000::/1", "8000:: ffff::", "7fff::"},
        {"128.0.0.0/1", "128.0.0.0 255.0.0.1", "127.255.255.255"},
        {"localhost", "127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1", "128.0.0.0 ::2 :: unix"},
        {"link-local", "169.254.1.1 fe80::1", "169.255.0.0 fe80:0:0:1::"},
        {"unix", "unix", "0.0.0.0 ::"},
        {"any", "unix 1.2.3.4 ::1 ff02::1", ""},
        {"10.0.0.0/8 10.1.0.0/16 10.0.0.1", "10.0.0.1 10.1.2.3 10.255.255.255", "11.0.0.0 9.255.255.255"},
        {"10.1.0.0/16 10.3.0.0/16 10.0.0.0/8", "10.2.0.0 10.1.0.0 10.255.255.255", "11.0.0.0"},
        {"10.0.0.0/24 10.0.0.0/8", "10.1.0.0", "11.0.0.0"},
        {"10.0.0.0/8 10.0.0.0/8 10.0.0.0/24", "10.1.0.0", "11.0.0.0"},
        {"", "", "unix 1.2.3.4 ::1"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct prefix_set set = set_of(cases[i].set);
        for (int expected = 0; expected < 2; expected++)
            for (struct slice rest = slice_of(expected ? cases[i].in : cases[i].out); rest.size > 0;) {
                const struct slice word = slice_split(&rest, ' ');
                _cleanup_free_ char *text = xstrndup(word.data, word.size);
                const struct ip_address address = address_of(text);
                if (prefix_set_contains(&set, &address) != expected)
                    fail_msg("%s in %s is not %d", text, cases[i].set, expected);
            }
        const struct ip_address nobody = {.family = IP_NONE};
        assert_false(prefix_set_contains(&set, &nobody));
        assert_int_equal(prefix_set_is_empty(&set), cases[i].set[0] == '\0');
        prefix_set_deinit(&set);
        assert_true(prefix_set_is_empty(&set));
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *word, *says;
    } cases[] = {
        {"192.0.2.1/24", "is 192.0.2.0/24 meant, or 192.0.2.1 alone?"},
        {"2001:db8::1/32", "is 2001:db8::/32 meant, or 2001:db8::1 alone?"},
        {"::ffff:192.0.2.1/120", "is 192.0.2.0/24 meant, or 192.0.2.1 alone?"},
        {"128.0.0.0/0", "is 0.0.0.0/0 meant"},
        {"192.0.2.0/33", "from 0 to 32"},
        {"192.0.2.0/", "from 0 to 32"},
        {"192.0.2.0/-1", "from 0 to 32"},
        {"192.0.2.0/24/24", "from 0 to 32"},
        {"192.0.2.0/255.255.255.0", "from 0 to 32"},
        {"192.0.2.0/ 24", "from 0 to 32"},
        {"192.0.2.0/99999999999999999999", "from 0 to 32"},
        {"2001:db8::/129", "from 0 to 128"},
        {"::ffff:0.0.0.0/95", "from 96 to 128"},
        {"::ffff:0.0.0.0/24", "from 96 to 128"},
        {"", "neither"},
        {"/", "neither"},
        {"/24", "neither"},
        {"192.0.2", "neither"},
        {"[::1]", "neither"},
        {"fe80::1%eth0", "neither"},
        {"192.0.2.1:80", "neither"},
        {"192.0.2.1-192.0.2.9", "neither"},
        {"example.com", "neither"},
        {"Any", "neither"},
        {"any/0", "neither"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
        struct prefix_set set = {0};
        assert_false(prefix_set_add(&set, slice_of(cases[i].word), &error));
        if (!strstr(strbuf_string(&error), cases[i].says))
            fail_msg("%s: %s", cases[i].word, strbuf_string(&error));
        assert_true(prefix_set_is_empty(&set));
    }
}

static void test_access(void **state)
{
    static const struct {
        const char *allow, *deny, *in, *out;
    } cases[] = {
        {"", "", "192.0.2.1 unix ::1", ""},
        {"10.0.0.0/8", "", "10.0.0.1", "192.0.2.1 ::1 unix"},
        {"", "10.0.0.0/8", "192.0.2.1 ::1 unix", "10.0.0.1"},
        {"10.0.0.1", "10.0.0.0/8", "10.0.0.1 192.0.2.1", "10.0.0.2"},
        {"10.0.0.0/8", "10.0.0.1", "10.0.0.1 192.0.2.1", ""}, /* allowing wins, however narrow the other is */
        {"10.0.0.0/8", "any", "10.0.0.1", "192.0.2.1 ::1 unix"},
        {"", "any", "", "192.0.2.1 ::1 unix"},
        {"unix", "", "unix", "127.0.0.1"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct prefix_access access = {set_of(cases[i].allow), set_of(cases[i].deny)};
        for (int expected = 0; expected < 2; expected++)
            for (struct slice rest = slice_of(expected ? cases[i].in : cases[i].out); rest.size > 0;) {
                const struct slice word = slice_split(&rest, ' ');
                _cleanup_free_ char *text = xstrndup(word.data, word.size);
                const struct ip_address address = address_of(text);
                if (prefix_access_is_granted(&access, &address) != expected)
                    fail_msg("allow %s, deny %s: %s is not %d", cases[i].allow, cases[i].deny, text,
                             expected);
            }
        prefix_access_deinit(&access);
    }
}

/* The model: a prefix is compared bit by bit. */
struct model_prefix {
    struct ip_address address;
    unsigned length;
};

static bool model_contains(const struct model_prefix *prefixes, size_t n, const struct ip_address *address)
{
    for (size_t i = 0; i < n; i++) {
        bool is_in = prefixes[i].address.family == address->family;
        for (unsigned bit = 0; is_in && bit < prefixes[i].length; bit++)
            is_in = ((prefixes[i].address.bytes[bit / 8] ^ address->bytes[bit / 8]) & 0x80 >> bit % 8) == 0;
        if (is_in)
            return true;
    }
    return false;
}

static uint64_t random_state;

static uint32_t random_u32(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

/* Few values in each byte, so that prefixes meet. */
static struct ip_address random_address(unsigned spread)
{
    struct ip_address address = {.family = random_u32() % 2 ? IP_V4 : IP_V6};
    for (size_t i = 0; i < (address.family == IP_V4 ? 4u : 16u); i++)
        address.bytes[i] = (uint8_t)(random_u32() % spread * (256 / spread) + (random_u32() % 8 ? 0 : 1));
    return address;
}

static struct model_prefix random_prefix(unsigned spread)
{
    const struct ip_address address = random_address(spread);
    struct model_prefix prefix = {address, random_u32() % (address.family == IP_V4 ? 33 : 129)};
    for (unsigned bit = prefix.length; bit < 128; bit++)
        prefix.address.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    return prefix;
}

static void add(struct prefix_set *set, const struct model_prefix *prefix)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT, word = STRBUF_INIT;
    char text[IP_ADDRESS_TEXT_MAX];
    strbuf_addf(&word, "%s/%u", ip_address_format(&prefix->address, text), prefix->length);
    assert_true(prefix_set_add(set, slice_of(strbuf_string(&word)), &error));
}

static void test_against_model(void **state)
{
    size_t found = 0, looked_up = 0;

    random_state = 4;
    for (unsigned round = 0; round < 2000; round++) {
        struct model_prefix prefixes[40];
        struct prefix_set set = {0};
        const unsigned spread = 2u << random_u32() % 3;
        const size_t n = random_u32() % ARRAY_SIZE(prefixes);
        for (size_t i = 0; i < n; i++) {
            do
                prefixes[i] = random_prefix(spread);
            while (prefixes[i].length < round % 8); /* or one contains all the others mostly */
            add(&set, &prefixes[i]);
        }
        for (unsigned i = 0; i < 100; i++, looked_up++) {
            const struct ip_address address = random_address(spread);
            const bool expected = model_contains(prefixes, n, &address);
            found += expected;
            assert_int_equal(prefix_set_contains(&set, &address), expected);
        }
        prefix_set_deinit(&set);
    }
    assert_true(found > looked_up / 10 && found < looked_up * 9 / 10); /* both answers were asked for */
}

/* Ten thousand in the least favourable order; a lookup compares a few of them only. */
static void test_many(void **state)
{
    struct prefix_set set = {0};
    for (uint32_t i = 10000; i > 0; i--) {
        const uint32_t address = i << 12;
        const struct model_prefix prefix = {
            {IP_V4, {(uint8_t)(address >> 24), (uint8_t)(address >> 16), (uint8_t)(address >> 8)}}, 24};
        add(&set, &prefix);
    }
    assert_int_equal(set.v4.n, 10000);
    for (uint32_t i = 1; i <= 10000; i++) {
        const uint32_t address = i << 12;
        struct ip_address in = {
            IP_V4, {(uint8_t)(address >> 24), (uint8_t)(address >> 16), (uint8_t)(address >> 8), 255}};
        assert_true(prefix_set_contains(&set, &in));
        in.bytes[2]++;
        assert_false(prefix_set_contains(&set, &in));
    }
    prefix_set_deinit(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_membership),    cmocka_unit_test(test_refused), cmocka_unit_test(test_access),
        cmocka_unit_test(test_against_model), cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
