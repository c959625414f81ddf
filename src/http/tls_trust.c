#include "http/tls_trust.h"

#include <openssl/err.h>
#include <openssl/pem.h>

DEFINE_CLEANUP(BIO *, cleanup_bio, BIO_free_all)

static bool is_end_of_file(void)
{
    const unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* Reads all PEM objects of one kind from the file; the number of them, or -1. */
static int add_authorities(struct tls_trust *trust, BIO *file)
{
    int n = 0;
    for (X509 *authority; (authority = PEM_read_bio_X509(file, NULL, NULL, NULL)); n++) {
        X509_NAME *name = X509_NAME_dup(X509_get_subject_name(authority));
        const bool ok = name && X509_STORE_add_cert(trust->store, authority) == 1 &&
                        sk_X509_NAME_push(trust->names, name) > 0;
        X509_free(authority);
        if (!ok)
            return -1;
    }
    return is_end_of_file() ? n : -1;
}

static int add_revocations(struct tls_trust *trust, BIO *file, bool *ret_is_old)
{
    int n = 0;
    for (X509_CRL *crl; (crl = PEM_read_bio_X509_CRL(file, NULL, NULL, NULL)); n++) {
        const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
        *ret_is_old |= next && X509_cmp_current_time(next) < 0;
        const bool ok = X509_STORE_add_crl(trust->store, crl) == 1;
        X509_CRL_free(crl);
        if (!ok)
            return -1;
    }
    return is_end_of_file() ? n : -1;
}

static int refuse(const struct tls_loading *loading, const char *key, const char *path, const char *what,
                  const char *accepted)
{
    config_report_add(loading->report, true, loading->listener->place, loading->section, key, path, accepted,
                      "cannot load %s: %s", what, tls_reason());
    return -EBADMSG;
}

static int load_authorities(struct tls_trust *trust, EVP_MD_CTX *digest, const struct tls_loading *loading)
{
    const char *path = loading->listener->client_ca;
    ERR_clear_error();
    _cleanup_(cleanup_bio)
    BIO *file = path ? tls_read_file(path) : NULL;
    if (file)
        tls_digest_file(digest, file);
    if (!file || add_authorities(trust, file) <= 0)
        return refuse(loading, "TLSClientCA", path, "CA certificates",
                      "a readable PEM file with the CA certificates that sign clients' certificates");
    ERR_clear_error();
    return 0;
}

static int load_revocations(struct tls_trust *trust, EVP_MD_CTX *digest, const struct tls_loading *loading)
{
    const char *path = loading->listener->client_crl;
    bool is_old = false;
    if (!path)
        return 0;
    ERR_clear_error();
    _cleanup_(cleanup_bio)
    BIO *file = tls_read_file(path);
    if (file)
        tls_digest_file(digest, file);
    if (!file || add_revocations(trust, file, &is_old) <= 0)
        return refuse(loading, "TLSClientCRL", path, "revocation lists",
                      "a readable PEM file with a revocation list of each CA in TLSClientCA=");
    ERR_clear_error();
    if (is_old)
        config_report_add(loading->report, false, loading->listener->place, loading->section, "TLSClientCRL",
                          path, "a list that is fetched anew, then a reload",
                          "a revocation list is too old: the clients of its CA are refused");
    X509_STORE_set_flags(trust->store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return 0;
}

int tls_trust_load(struct tls_trust *ret, const struct tls_loading *loading)
{
    const enum client_verify verify = loading->listener->client_verify;
    struct tls_trust trust = {0};
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    int r = 0;
    if (!digest || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
        abort();
    EVP_DigestUpdate(digest, &verify, sizeof(verify));
    if (verify != CLIENT_VERIFY_NONE) {
        trust.store = X509_STORE_new();
        trust.names = sk_X509_NAME_new_null();
        r = load_authorities(&trust, digest, loading);
        if (r == 0)
            r = load_revocations(&trust, digest, loading);
    }
    EVP_DigestFinal_ex(digest, trust.digest, NULL);
    EVP_MD_CTX_free(digest);
    if (r < 0)
        tls_trust_deinit(&trust);
    else
        *ret = trust;
    return r;
}

void tls_trust_apply(const struct tls_trust *trust, SSL_CTX *context, enum client_verify verify)
{
    if (!trust->store)
        return;
    SSL_CTX_set1_cert_store(context, trust->store);
    SSL_CTX_set_client_CA_list(context, sk_X509_NAME_deep_copy(trust->names, X509_NAME_dup, X509_NAME_free));
    SSL_CTX_set_verify(
        context, SSL_VERIFY_PEER | (verify == CLIENT_VERIFY_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        NULL);
}

void tls_trust_deinit(struct tls_trust *trust)
{
    X509_STORE_free(trust->store);
    sk_X509_NAME_pop_free(trust->names, X509_NAME_free);
    *trust = (struct tls_trust){0};
}
