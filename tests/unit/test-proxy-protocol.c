/* The header of the PROXY protocol: what the specification allows, and what it does not, each in pieces too.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http/proxy_protocol.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define V4_ADDRESSES \
    "\xc0\0\2\1"     \
    "\xc6\x33\x64\2" \
    "\x01\xbb"       \
    "\0\x50" /* 192.0.2.1:443 to 198.51.100.2:80 */
#define V6_ADDRESSES                         \
    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" \
    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2" \
    "\x01\xbb\0\x50"
#define ZEROS27 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define UNIX_ADDRESSES ZEROS27 ZEROS27 ZEROS27 ZEROS27 ZEROS27 ZEROS27 ZEROS27 ZEROS27 /* 216 bytes */

struct example {
    const char *data;
    size_t size;
    const char *found; /* "source:port destination:port", "local", or what is wrong */
};
#define EXAMPLE(data, found)          \
    {                                 \
        data, sizeof(data) - 1, found \
    }

/* Parses in a block of its own, so that a sanitizer sees a read behind the end. */
static int parse(const char *data, size_t size, struct proxy_header *ret, const char **ret_problem)
{
    uint8_t *exact = xcalloc(1, size);
    memcpy(exact, data, size);
    const int r = proxy_header_parse(exact, size, ret, ret_problem);
    free(exact);
    return r;
}

static void describe(int r, const struct proxy_header *header, const char *problem, char ret[200])
{
    char source[IP_ADDRESS_TEXT_MAX], destination[IP_ADDRESS_TEXT_MAX];
    if (r == PROXY_HEADER_MORE)
        snprintf(ret, 200, "more");
    else if (r == PROXY_HEADER_MALFORMED)
        snprintf(ret, 200, "%s", problem);
    else
        snprintf(ret, 200, "%s%s:%u %s:%u", header->is_local ? "local " : "",
                 ip_address_format(&header->source, source), header->source_port,
                 ip_address_format(&header->destination, destination), header->destination_port);
}

static void check(const struct example *example)
{
    struct proxy_header header = {0};
    const char *problem = NULL;
    char found[200];

    int r = parse(example->data, example->size, &header, &problem);
    describe(r, &header, problem, found);
    if (!streq(found, example->found))
        fail_msg("%.60s: expected \"%s\", found \"%s\"", example->data, example->found, found);
    if (r == 0)
        assert_int_equal(header.size, example->size);

    /* With one byte more each time: nothing is decided by what has not come, and nothing is taken back. */
    for (size_t size = 0; size < example->size; size++) {
        const int early = parse(example->data, size, &header, &problem);
        if (r == 0 || early != PROXY_HEADER_MALFORMED)
            assert_int_equal(early, PROXY_HEADER_MORE);
        if (early == PROXY_HEADER_MALFORMED)
            break;
    }
    if (r != 0)
        return;
    /* What follows does not matter. */
    char *longer = xcalloc(1, example->size + 200);
    memcpy(longer, example->data, example->size);
    memset(longer + example->size, '\r', 200);
    assert_int_equal(parse(longer, example->size + 200, &header, &problem), 0);
    assert_int_equal(header.size, example->size);
    free(longer);
}

static void test_version_1(void **state)
{
    static const struct example examples[] = {
        EXAMPLE("PROXY TCP4 192.0.2.1 198.51.100.2 443 80\r\n", "192.0.2.1:443 198.51.100.2:80"),
        EXAMPLE("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
                "255.255.255.255:65535 255.255.255.255:65535"),
        EXAMPLE("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0 0.0.0.0:0"),
        EXAMPLE("PROXY TCP6 2001:db8::1 2001:DB8::2 443 80\r\n", "2001:db8::1:443 2001:db8::2:80"),
        EXAMPLE("PROXY TCP6 ::ffff:192.0.2.1 ::1 443 80\r\n", "192.0.2.1:443 ::1:80"),
        EXAMPLE(
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
            "65535 65535\r\n",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:65535 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:65535"),
        EXAMPLE("PROXY UNKNOWN\r\n", "unknown:0 unknown:0"),
        EXAMPLE("PROXY UNKNOWN anything \x01\xff\r\n", "unknown:0 unknown:0"),
        EXAMPLE("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
                "unknown:0 unknown:0"), /* 107 bytes, the longest */
        EXAMPLE("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535 \r\n",
                "its line is longer than 107 bytes"),
        EXAMPLE("PROXY TCP4 192.0.2.1 198.51.100.2 443 80\n", "its line does not end in CR LF"),
        EXAMPLE("PROXY TCP4 192.0.2.1 198.51.100.2 443 80\rx", "its line does not end in CR LF"),
        EXAMPLE("PROXY UNKNOWN \n\r\n", "its line does not end in CR LF"),
        EXAMPLE("PROXY TCP4 192.0.2.1 198.51.100.2 443 80\r", "more"),
        EXAMPLE("PROXY TCP4 192.0.2.1 198.51.100.2 443 80 \r\n", "a port is none"),
        EXAMPLE("PROXY TCP4 192.0.2.1 198.51.100.2 443 80 90\r\n", "a port is none"),
        EXAMPLE("PROXY TCP4 192.0.2.1 198.51.100.2 443\r\n", "a port is none"),
        EXAMPLE("PROXY TCP4 192.0.2.1 198.51.100.2 443 65536\r\n", "a port is none"),
        EXAMPLE("PROXY TCP4 192.0.2.1 198.51.100.2 443 080\r\n", "a port is none"),
        EXAMPLE("PROXY TCP4 192.0.2.1 198.51.100.2 +43 80\r\n", "a port is none"),
        EXAMPLE("PROXY TCP4 192.0.2.1 198.51.100.2 443  80\r\n", "a port is none"),
        EXAMPLE("PROXY TCP4  192.0.2.1 198.51.100.2 443 80\r\n", "an address is none of its family"),
        EXAMPLE("PROXY TCP4 192.0.2.01 198.51.100.2 443 80\r\n", "an address is none of its family"),
        EXAMPLE("PROXY TCP4 2001:db8::1 2001:db8::2 443 80\r\n", "an address is none of its family"),
        EXAMPLE("PROXY TCP4 ::ffff:192.0.2.1 198.51.100.2 443 80\r\n", "an address is none of its family"),
        EXAMPLE("PROXY TCP6 192.0.2.1 198.51.100.2 443 80\r\n", "an address is none of its family"),
        EXAMPLE("PROXY TCP4 192.0.2.1\0 198.51.100.2 443 80\r\n", "an address is none of its family"),
        EXAMPLE("PROXY TCP4\r\n", "an address is none of its family"),
        EXAMPLE("PROXY TCP5 192.0.2.1 198.51.100.2 443 80\r\n",
                "after PROXY stands neither TCP4, TCP6 nor UNKNOWN"),
        EXAMPLE("PROXY unknown\r\n", "after PROXY stands neither TCP4, TCP6 nor UNKNOWN"),
        EXAMPLE("PROXY \r\n", "after PROXY stands neither TCP4, TCP6 nor UNKNOWN"),
        EXAMPLE("PROXY\tTCP4", "there is none"),
        EXAMPLE("proxy TCP4", "there is none"),
        EXAMPLE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "there is none"),
        EXAMPLE("GET / HTTP/1.1\r\n\r\n", "there is none"),
        EXAMPLE("\x16\x03\x01", "there is none"),
        EXAMPLE("\0", "there is none"),
        EXAMPLE("PROXY", "more"),
        EXAMPLE("P", "more"),
        EXAMPLE("", "more"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
        check(&examples[i]);
}

static void test_version_2(void **state)
{
    static const struct example examples[] = {
        EXAMPLE(V2 "\x21\x11\0\x0c" V4_ADDRESSES, "192.0.2.1:443 198.51.100.2:80"),
        EXAMPLE(V2 "\x21\x21\0\x24" V6_ADDRESSES, "2001:db8::1:443 2001:db8::2:80"),
        EXAMPLE(V2 "\x21\x31\0\xd8" UNIX_ADDRESSES, "unix:0 unix:0"),
        EXAMPLE(V2 "\x21\0\0\0", "unknown:0 unknown:0"),
        EXAMPLE(V2 "\x21\0\0\x03"
                   "\1\xff\xff",
                "unknown:0 unknown:0"),
        EXAMPLE(V2 "\x20\0\0\0", "local unknown:0 unknown:0"),
        EXAMPLE(V2 "\x20\x11\0\x0c" V4_ADDRESSES, "local unknown:0 unknown:0"),
        EXAMPLE(V2 "\x20\xff\0\x02"
                   "xx",
                "local unknown:0 unknown:0"), /* the family is not looked at */
        /* TLVs */
        EXAMPLE(V2 "\x21\x11\0\x12" V4_ADDRESSES "\4\0\3abc", "192.0.2.1:443 198.51.100.2:80"),
        EXAMPLE(V2 "\x21\x11\0\x13" V4_ADDRESSES "\4\0\1a"
                   "\xea\0\0",
                "192.0.2.1:443 198.51.100.2:80"),
        EXAMPLE(V2 "\x21\x11\0\x13" V4_ADDRESSES "\3\0\4"
                   "\x1e\x13\x63\x66",
                "192.0.2.1:443 198.51.100.2:80"),
        EXAMPLE(V2 "\x21\x11\0\x13" V4_ADDRESSES "\3\0\4"
                   "\x1e\x13\x63\x67",
                "its checksum is wrong"),
        EXAMPLE(V2 "\x21\x11\0\x12" V4_ADDRESSES "\3\0\3"
                   "\0\0\0",
                "its checksum is wrong"),
        EXAMPLE(V2 "\x21\x11\0\x12" V4_ADDRESSES "\4\0\4abc", "a TLV does not end within it"),
        EXAMPLE(V2 "\x21\x11\0\x12" V4_ADDRESSES "\4\xff\xff"
                   "abc",
                "a TLV does not end within it"),
        EXAMPLE(V2 "\x21\x11\0\x0d" V4_ADDRESSES "\4", "a TLV does not end within it"),
        EXAMPLE(V2 "\x21\x11\0\x0e" V4_ADDRESSES "\4\0", "a TLV does not end within it"),
        /* What it must not be */
        EXAMPLE(V2 "\x11\x11\0\x0c" V4_ADDRESSES, "its version is not 2"),
        EXAMPLE(V2 "\x31\x11\0\x0c" V4_ADDRESSES, "its version is not 2"),
        EXAMPLE(V2 "\x22\x11\0\x0c" V4_ADDRESSES, "its command is neither LOCAL nor PROXY"),
        EXAMPLE(V2 "\x21\x12\0\x0c" V4_ADDRESSES,
                "its family and protocol are none of which streams are made"),
        EXAMPLE(V2 "\x21\x01\0\x0c" V4_ADDRESSES,
                "its family and protocol are none of which streams are made"),
        EXAMPLE(V2 "\x21\x10\0\x0c" V4_ADDRESSES,
                "its family and protocol are none of which streams are made"),
        EXAMPLE(V2 "\x21\x41\0\x0c" V4_ADDRESSES,
                "its family and protocol are none of which streams are made"),
        EXAMPLE(V2 "\x21\x11\0\x0b"
                   "\xc0\0\2\1\xc6\x33\x64\2\x01\xbb\0",
                "its addresses do not end within it"),
        EXAMPLE(V2 "\x21\x11\0\0", "its addresses do not end within it"),
        EXAMPLE(V2 "\x21\x21\0\x0c" V4_ADDRESSES, "its addresses do not end within it"),
        EXAMPLE(V2 "\x21\x31\0\x0c" V4_ADDRESSES, "its addresses do not end within it"),
        EXAMPLE(V2 "\x21\x11\x07\xf1", "it is longer than 2048 bytes"),
        EXAMPLE(V2 "\x20\0\xff\xff", "it is longer than 2048 bytes"),
        EXAMPLE(V2 "\x21\x11\x07\xf0", "more"),
        EXAMPLE("\r\n\r\n\0\r\nQUIT\r", "there is none"),
        EXAMPLE("\r\n\r\nG", "there is none"),
        EXAMPLE(V2, "more"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
        check(&examples[i]);
}

static void test_the_longest(void **state)
{
    _cleanup_free_ char *data = xcalloc(1, PROXY_HEADER_MAX);
    struct proxy_header header = {0};
    const char *problem;
    const size_t value = PROXY_HEADER_MAX - 16 - 12 - 3;

    memcpy(data, V2 "\x21\x11\x07\xf0" V4_ADDRESSES, 28);
    data[28] = 4; /* NOOP */
    data[29] = (char)(value >> 8);
    data[30] = (char)value;
    assert_int_equal(parse(data, PROXY_HEADER_MAX - 1, &header, &problem), PROXY_HEADER_MORE);
    assert_int_equal(parse(data, PROXY_HEADER_MAX, &header, &problem), 0);
    assert_int_equal(header.size, PROXY_HEADER_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_1),
        cmocka_unit_test(test_version_2),
        cmocka_unit_test(test_the_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
