/* What is chosen in a TLS handshake: the protocol on top, and the name that a certificate is looked for. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "http/tls_profile.h"

static void assert_choice(const char *offered, size_t size, bool http2, const char *expected)
{
    const struct slice chosen = tls_choose_protocol(slice_make(offered, size), http2);
    assert_int_equal(chosen.size, strlen(expected));
    assert_true(slice_eq(chosen, slice_of(expected)));
}
#define OFFERED(s) s, STRLEN(s)

static void test_protocol(void **state)
{
    assert_choice(OFFERED("\x02h2\x08http/1.1"), true, "h2");
    assert_choice(OFFERED("\x08http/1.1\x02h2"), true, "h2"); /* ours is the preference */
    assert_choice(OFFERED("\x02h2\x08http/1.1"), false, "http/1.1");
    assert_choice(OFFERED("\x08http/1.0"), true, "http/1.0");
    assert_choice(OFFERED("\x02h2"), false, "");
    assert_choice(OFFERED("\x03h2c\x05h2-14\x07h2-16\x00"), true, "");
    assert_choice(OFFERED("\x03\x66tp\x04imap"), true, "");
    assert_choice(OFFERED("\x02H2"), true, "");
    /* Malformed lists: nothing behind the fault is believed. */
    assert_choice(OFFERED(""), true, "");
    assert_choice(OFFERED("\x00\x02h2"), true, "");
    assert_choice(OFFERED("\x03h2"), true, "");
    assert_choice(OFFERED("\xffh2"), true, "");
    assert_choice(OFFERED("\x01"), true, "");
}

static void assert_name(const char *extension, size_t size, const char *expected)
{
    const struct slice name = tls_parse_server_name(slice_make(extension, size));
    assert_true(slice_eq(name, slice_of(expected)));
}

static void test_server_name(void **state)
{
    assert_name(OFFERED("\x00\x06\x00\x00\x03"
                        "a.b"),
                "a.b");
    assert_name(OFFERED(""), "");
    assert_name(OFFERED("\x00"), "");
    assert_name(OFFERED("\x00\x00"), "");
    assert_name(OFFERED("\x00\x03\x00\x00\x00"), ""); /* no name */
    assert_name(OFFERED("\x00\x06\x01\x00\x03"
                        "a.b"),
                ""); /* another type */
    assert_name(OFFERED("\x00\x06\x00\x00\x04"
                        "a.b"),
                "");
    assert_name(OFFERED("\x00\x05\x00\x00\x03"
                        "a.b"),
                "");
    assert_name(OFFERED("\x00\x0a\x00\x00\x03"
                        "a.b\x00\x00\x01x"),
                ""); /* two names */
    assert_name(OFFERED("\x00\x06\x00\x00\x03"
                        "a\x00z"),
                "");
    char longest[5 + 256] = "\x01\x02\x00\x00\xff";
    memset(longest + 5, 'a', 256);
    longest[0] = 1, longest[1] = 2, longest[3] = 0, longest[4] = (char)255;
    assert_int_equal(tls_parse_server_name(slice_make(longest, 5 + 255)).size, 255);
    longest[1] = 3, longest[3] = 1, longest[4] = 0;
    assert_int_equal(tls_parse_server_name(slice_make(longest, 5 + 256)).size, 0);
}

/* RFC 9113 appendix A lists what it prohibits by name: everything with RSA or static keys, without AEAD, or
 * without authentication or encryption. */
static void test_suites_of_http2(void **state)
{
    static const char *const prohibited[] = {
        "AES128-SHA",
        "AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-SHA256",
        "ECDHE-RSA-NULL-SHA",
        "ADH-AES128-GCM-SHA256",
        "AECDH-AES128-SHA",
        "DHE-RSA-AES256-SHA",
        "ECDHE-ECDSA-AES256-SHA384",
        "PSK-AES128-GCM-SHA256",
        "RSA-PSK-AES128-GCM-SHA256",
        "DHE-RSA-CAMELLIA128-SHA",
        "NULL-SHA256",
    };
    static const char *const allowed[] = {
        "TLS_AES_128_GCM_SHA256",        "TLS_CHACHA20_POLY1305_SHA256",  "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "DHE-RSA-AES128-GCM-SHA256",
    };
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_set_cipher_list(context, "ALL:COMPLEMENTOFALL:@SECLEVEL=0"), 1);
    const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(context);
    size_t n_prohibited = 0, n_allowed = 0;
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
        for (size_t j = 0; j < ARRAY_SIZE(prohibited); j++)
            if (streq(SSL_CIPHER_get_name(cipher), prohibited[j])) {
                assert_false(tls_cipher_allows_http2(cipher));
                n_prohibited++;
            }
        for (size_t j = 0; j < ARRAY_SIZE(allowed); j++)
            if (streq(SSL_CIPHER_get_name(cipher), allowed[j])) {
                assert_true(tls_cipher_allows_http2(cipher));
                n_allowed++;
            }
    }
    assert_int_equal(n_prohibited, ARRAY_SIZE(prohibited));
    assert_int_equal(n_allowed, ARRAY_SIZE(allowed));
    assert_false(tls_cipher_allows_http2(NULL));
    SSL_CTX_free(context);
}

/* So none of those that are spoken stands in HTTP/2's way. */
static void test_profile(void **state)
{
    for (unsigned version = 0; version < _TLS_VERSION_MAX; version++) {
        const struct listener_config listener = {.tls_minimum = (enum tls_version)version, .http2 = true};
        SSL_CTX *context = SSL_CTX_new(TLS_server_method());
        tls_profile_apply(context, &listener);
        const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(context);
        assert_int_equal(sk_SSL_CIPHER_num(ciphers), 9);
        for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++)
            assert_true(tls_cipher_allows_http2(sk_SSL_CIPHER_value(ciphers, i)));
        assert_int_equal(SSL_CTX_get_max_early_data(context), 0);
        SSL_CTX_free(context);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protocol),
        cmocka_unit_test(test_server_name),
        cmocka_unit_test(test_suites_of_http2),
        cmocka_unit_test(test_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
