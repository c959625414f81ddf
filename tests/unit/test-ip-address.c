/* Addresses of clients: read, written, and taken from sockets. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/un.h>

#include "util/ip_address.h"

static const char *rewritten(const char *text, enum ip_family family)
{
    static char out[IP_ADDRESS_TEXT_MAX];
    struct ip_address address;
    assert_true(ip_address_parse(slice_of(text), &address));
    assert_int_equal(address.family, family);
    return ip_address_format(&address, out);
}

static void test_text(void **state)
{
    assert_string_equal(rewritten("192.0.2.1", IP_V4), "192.0.2.1");
    assert_string_equal(rewritten("2001:DB8:0:0::1", IP_V6), "2001:db8::1");
    assert_string_equal(rewritten("::", IP_V6), "::");
    assert_string_equal(rewritten("::ffff:192.0.2.1", IP_V4), "192.0.2.1");
    assert_string_equal(rewritten("::ffff:c000:201", IP_V4), "192.0.2.1");
    assert_string_equal(rewritten("::192.0.2.1", IP_V6), "::192.0.2.1");
    assert_string_equal(rewritten("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", IP_V6),
                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static void test_junk(void **state)
{
    static const char *const junk[] = {
        "",
        " ",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4 ",
        "0x1.2.3.4",
        "[::1]",
        "::1%lo",
        "1.2.3.4:80",
        ":",
        ":::",
        "g::",
        "1::2::3",
        "unix",
        "unknown",
        "_hidden",
        "1.2.3.4/32",
        "::1/128",
        "localhost",
        "-1.2.3.4",
        "12345::",
        "1.2.3.4\n",
        "1.2.3.4,",
        "1:2:3:4:5:6:7:8:9",
        "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255 ",
    };
    struct ip_address address;
    for (size_t i = 0; i < ARRAY_SIZE(junk); i++)
        if (ip_address_parse(slice_of(junk[i]), &address))
            fail_msg("\"%s\" was taken for an address", junk[i]);
    assert_false(ip_address_parse(slice_make("1.2.3.4\0", 8), &address));
    assert_true(ip_address_parse(slice_make("1.2.3.45", 7), &address)); /* no byte beyond is looked at */
    assert_int_equal(address.bytes[3], 4);
}

static void test_sockets(void **state)
{
    char text[IP_ADDRESS_TEXT_MAX];
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = 80, .sin_addr.s_addr = htonl(0xc0000201)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_scope_id = 2};
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/socket"};
    struct ip_address address = ip_address_from_sockaddr((struct sockaddr *)&v4, sizeof(v4));

    assert_string_equal(ip_address_format(&address, text), "192.0.2.1");
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr), 1);
    const struct ip_address mapped = ip_address_from_sockaddr((struct sockaddr *)&v6, sizeof(v6));
    assert_true(ip_address_eq(&address, &mapped));
    assert_int_equal(inet_pton(AF_INET6, "fe80::1", &v6.sin6_addr), 1);
    address = ip_address_from_sockaddr((struct sockaddr *)&v6, sizeof(v6));
    assert_string_equal(ip_address_format(&address, text), "fe80::1");
    address = ip_address_from_sockaddr((struct sockaddr *)&un, sizeof(un.sun_family)); /* unnamed */
    assert_string_equal(ip_address_format(&address, text), "unix");
    address = ip_address_from_sockaddr((struct sockaddr *)&un, sizeof(un));
    assert_int_equal(address.family, IP_UNIX);
    address = ip_address_from_sockaddr((struct sockaddr *)&v4, 4); /* cut short */
    assert_string_equal(ip_address_format(&address, text), "unknown");
    address = ip_address_from_sockaddr((struct sockaddr *)&v4, 0);
    assert_int_equal(address.family, IP_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_junk),
        cmocka_unit_test(test_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
