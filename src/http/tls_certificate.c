#include "http/tls_certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "http/tls_staple.h"
#include "util/clock.h"

/* What is left of a certificate's time when it is said that there is little: renewals are automatic, and
 * begin at a third of it, so that this is one that has failed for weeks. */
#define SOON (14 * 24 * 3600 * USEC_PER_SEC)

static void warn(const struct tls_loading *loading, struct config_place place, const char *key,
                 const char *value, const char *accepted, const char *message)
{
    config_report_add(loading->report, false, place, loading->section, key, value, accepted, "%s", message);
}

/* 0 for a time that cannot be read: long ago. */
static usec_t read_time(const ASN1_TIME *time)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return 0;
    const time_t seconds = timegm(&tm);
    return seconds > 0 ? (usec_t)seconds * USEC_PER_SEC : 0;
}

static void warn_about_validity(const struct tls_certificate *certificate,
                                const struct certificate_config *config, const struct tls_loading *loading)
{
    const usec_t now = now_realtime();
    char message[128];
    if (certificate->expires <= now)
        snprintf(message, sizeof(message), "the certificate has expired");
    else if (read_time(X509_get0_notBefore(certificate->leaf)) > now)
        snprintf(message, sizeof(message), "the certificate is not valid yet");
    else if (certificate->expires - now < SOON)
        snprintf(message, sizeof(message), "the certificate expires in %u days",
                 (unsigned)((certificate->expires - now) / (24 * 3600 * USEC_PER_SEC)));
    else
        return;
    warn(loading, config->certificate_place, "TLSCertificate", config->certificate, NULL, message);
}

static void warn_about_permissions(const struct certificate_config *config, const struct tls_loading *loading)
{
    struct stat st;
    if (stat(config->key, &st) == 0 && (st.st_mode & S_IROTH))
        warn(loading, config->key_place, "TLSKey", config->key,
             "a file that only root, or the service's user, may read (chmod 0600)",
             "every user of this machine may read the private key");
}

static int load_chain(const struct certificate_config *config, SSL_CTX *context,
                      const struct tls_loading *loading)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, config->certificate) == 1)
        return 0;
    config_report_add(loading->report, true, config->certificate_place, loading->section, "TLSCertificate",
                      config->certificate,
                      "a readable PEM file, the server's certificate first, then the chain",
                      "cannot load the certificate: %s", tls_reason());
    return -EBADMSG;
}

static int load_key(const struct certificate_config *config, SSL_CTX *context,
                    const struct tls_loading *loading)
{
    if (SSL_CTX_use_PrivateKey_file(context, config->key, SSL_FILETYPE_PEM) != 1) {
        const bool mismatch = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
        config_report_add(
            loading->report, true, config->key_place, loading->section, "TLSKey", config->key,
            "a readable PEM file with the private key of the certificate beside it, without passphrase",
            "the key %s %s: %s",
            mismatch ? "does not match the certificate" : "cannot be loaded for the certificate",
            config->certificate, tls_reason());
        return -EBADMSG;
    }
    if (SSL_CTX_check_private_key(context) != 1) {
        config_report_add(loading->report, true, config->key_place, loading->section, "TLSKey", config->key,
                          "the private key of the certificate beside it",
                          "the key does not match the certificate %s", config->certificate);
        return -EBADMSG;
    }
    return 0;
}

static int no_passphrase(char *buf, int size, int rwflag, void *userdata)
{
    return 0; /* never ask on the terminal */
}

static void digest_one(const X509 *x509, EVP_MD_CTX *digest)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (X509_digest(x509, EVP_sha256(), md, &size) != 1)
        abort();
    EVP_DigestUpdate(digest, md, size);
}

static void digest_chain(struct tls_certificate *certificate)
{
    STACK_OF(X509) *chain = NULL;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (!digest || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
        abort();
    digest_one(certificate->leaf, digest);
    SSL_CTX_get0_chain_certs(certificate->context, &chain);
    for (int i = 0; i < sk_X509_num(chain); i++)
        digest_one(sk_X509_value(chain, i), digest);
    EVP_DigestFinal_ex(digest, certificate->digest, NULL);
    EVP_MD_CTX_free(digest);
}

int tls_certificate_load(struct tls_certificate *ret, SSL_CTX *context,
                         const struct certificate_config *config, const struct tls_loading *loading)
{
    struct tls_certificate certificate = {.context = context};
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    if (load_chain(config, context, loading) < 0 || load_key(config, context, loading) < 0) {
        tls_certificate_deinit(&certificate);
        return -EBADMSG;
    }
    certificate.leaf = SSL_CTX_get0_certificate(context);
    certificate.expires = read_time(X509_get0_notAfter(certificate.leaf));
    digest_chain(&certificate);
    warn_about_validity(&certificate, config, loading);
    warn_about_permissions(config, loading);
    if (tls_staple_load(&certificate, config, loading) < 0) {
        tls_certificate_deinit(&certificate);
        return -EBADMSG;
    }
    *ret = certificate;
    return 0;
}

void tls_certificate_deinit(struct tls_certificate *certificate)
{
    SSL_CTX_free(certificate->context);
    OPENSSL_free(certificate->staple.response);
    *certificate = (struct tls_certificate){0};
}

bool tls_certificate_is_for(const struct tls_certificate *certificate, struct slice name)
{
    return name.size > 0 && X509_check_host(certificate->leaf, name.data, name.size,
                                            X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}
