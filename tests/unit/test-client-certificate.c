/* What apps are told of a client's certificate, and which names are ours for that. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "http/client_certificate.h"
#include "http/tls_conn.h"

static X509 *make(const char *subject, int type)
{
    X509 *certificate = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 0x1a2b);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Ex, ample", -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", type, (const unsigned char *)subject, -1, -1, 0);
    X509_NAME_add_entry_by_txt(X509_get_issuer_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"CA", -1, -1, 0);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    EVP_PKEY_free(key);
    return certificate;
}

static char *fields_of(const char *subject, int type, enum client_certificate_fields which)
{
    X509 *x509 = make(subject, type);
    struct client_certificate *certificate = client_certificate_new(x509);
    const struct slice fields = client_certificate_fields(certificate, which);
    char *copy = xstrndup(fields.data, fields.size);
    assert_int_equal(strlen(copy), fields.size);
    client_certificate_free(certificate);
    X509_free(x509);
    return copy;
}

static void test_names(void **state)
{
    char *fields = fields_of("alice", MBSTRING_ASC, CLIENT_CERTIFICATE_FIELDS_NAMES);
    static const char expected[] = "X-Client-Cert-Verified: yes\r\n"
                                   "X-Client-Cert-Subject: CN=alice,O=Ex\\, ample\r\n"
                                   "X-Client-Cert-Issuer: CN=CA\r\n"
                                   "X-Client-Cert-Serial: 1A2B\r\n"
                                   "X-Client-Cert-Fingerprint: ";
    assert_memory_equal(fields, expected, strlen(expected));
    assert_int_equal(strlen(fields), strlen(expected) + 64 + 2);
    assert_null(strstr(fields, "\r\nClient-Cert: "));
    free(fields);
}

static void test_whole(void **state)
{
    char *fields = fields_of("alice", MBSTRING_ASC, CLIENT_CERTIFICATE_FIELDS_ALL);
    char *value = strstr(fields, "\r\nClient-Cert: :");
    assert_non_null(value);
    value += STRLEN("\r\nClient-Cert: :");
    char *end = strstr(value, ":\r\n");
    assert_non_null(end);
    assert_string_equal(end, ":\r\n");
    unsigned char der[4096];
    const int size = EVP_DecodeBlock(der, (const unsigned char *)value, (int)(end - value));
    const unsigned char *p = der;
    X509 *back = d2i_X509(NULL, &p, size);
    assert_non_null(back);
    X509_free(back);
    free(fields);
}

static void test_nothing_gets_out_of_its_field(void **state)
{
    static const struct {
        const char *subject, *told;
    } cases[] = {
        {"a\r\nX-Admin: yes", "CN=a\\0D\\0AX-Admin: yes,"},
        {"a\nb", "CN=a\\0Ab,"},
        {"J\xc3\xb6rg", "CN=J\\C3\\B6rg,"},
        {" a,b+c\"d\\e<f>g;", "CN=\\ a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;,"},
        {"\x7f", "CN=\\7F,"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *fields = fields_of(cases[i].subject, MBSTRING_UTF8, CLIENT_CERTIFICATE_FIELDS_NAMES);
        assert_non_null(strstr(fields, cases[i].told));
        assert_null(strstr(fields, "\nX-Admin"));
        free(fields);
    }
}

static void test_without(void **state)
{
    assert_true(slice_eq(client_certificate_fields(NULL, CLIENT_CERTIFICATE_FIELDS_ALL),
                         SLICE_LITERAL("X-Client-Cert-Verified: no\r\n")));
    assert_int_equal(client_certificate_fields(NULL, CLIENT_CERTIFICATE_FIELDS_NONE).size, 0);
    char *fields = fields_of("alice", MBSTRING_ASC, CLIENT_CERTIFICATE_FIELDS_NONE);
    assert_string_equal(fields, "");
    free(fields);
}

static void test_names_that_are_ours(void **state)
{
    static const char *const ours[] = {
        "client-cert",           "Client-Cert",           "CLIENT_CERT",           "client-cert-chain",
        "Client_Cert-Chain",     "x-client-cert-subject", "X_Client_Cert_Subject", "X.Client~Cert!Subject",
        "x-client-cert-unheard", "x-client-certificate",
    };
    static const char *const others[] = {"",         "client",      "client-cer",    "xclient-cert",
                                         "x-client", "x-client-id", "my-client-cert"};
    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        assert_true(client_certificate_owns_field(slice_of(ours[i])));
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_false(client_certificate_owns_field(slice_of(others[i])));
}

static void test_key_updates(void **state)
{
    struct tls_conn tls = {0};
    const usec_t start = 1000 * USEC_PER_SEC;
    for (unsigned i = 0; i < TLS_KEY_UPDATES_MAX; i++)
        assert_true(tls_conn_take_key_update(&tls, start));
    assert_false(tls_conn_take_key_update(&tls, start));
    assert_false(tls_conn_take_key_update(&tls, start + USEC_PER_SEC - 1));
    /* One a second is had for ever. */
    for (unsigned i = 1; i < 1000; i++)
        assert_true(tls_conn_take_key_update(&tls, start + i * USEC_PER_SEC));
    assert_false(tls_conn_take_key_update(&tls, start + 999 * USEC_PER_SEC));
    /* After a while there is room for as many as in the beginning, not for more. */
    unsigned n = 0;
    while (tls_conn_take_key_update(&tls, start + 100000 * USEC_PER_SEC))
        n++;
    assert_int_equal(n, TLS_KEY_UPDATES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_without),
        cmocka_unit_test(test_nothing_gets_out_of_its_field),
        cmocka_unit_test(test_names_that_are_ours),
        cmocka_unit_test(test_key_updates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
