#include "http/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "http/h2o.h"
#include "http/tls_internal.h"
#include "util/clock.h"

/* Mozilla's "intermediate" profile, version 5.7. TLS 1.3's own suites are OpenSSL's defaults. */
#define INTERMEDIATE_CIPHERS                                                                   \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"   \
    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384"

struct tls_config {
    const struct listener_config *listener;
    SSL_CTX **contexts; /* one per certificate; the first is the default and the one connections begin with */
    char identity[2 * EVP_MAX_MD_SIZE + 1]; /* of what a session may be resumed with, in hex */
    X509 **leaves;                          /* borrowed from the contexts */
    size_t n_contexts;
};

static const char *openssl_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "unknown reason";
}

/* Which certificate speaks for the name that the client asked for; the first one when none does. */
static int choose_certificate(SSL *ssl, int *alert, void *userdata)
{
    struct tls_config *tls = userdata;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    for (size_t i = 0; i < tls->n_contexts; i++) {
        if (X509_check_host(tls->leaves[i], name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1) {
            if (i > 0)
                SSL_set_SSL_CTX(ssl, tls->contexts[i]);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static void set_session_id_context(struct tls_config *tls, SSL_CTX *context)
{
    const struct listener_config *listener = tls->listener;
    /* Sessions belong to this listener and its certificates: one resumed elsewhere would carry over what was
     * verified there (CVE-2023-41337). */
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    struct strbuf identity = STRBUF_INIT;
    strbuf_add_string(&identity, listener->name);
    for (size_t i = 0; i < listener->n_certificates; i++)
        strbuf_addf(&identity, "\n%s", listener->certificates[i].certificate);
    strbuf_addf(&identity, "\n%s\n%d", listener->client_ca ? listener->client_ca : "",
                (int)listener->client_verify);
    EVP_Digest(identity.data, identity.size, digest, &size, EVP_sha256(), NULL);
    SSL_CTX_set_session_id_context(context, digest, MIN(size, (unsigned)SSL_MAX_SID_CTX_LENGTH));
    for (unsigned i = 0; i < size; i++)
        snprintf(tls->identity + 2 * i, 3, "%02x", digest[i]);
    strbuf_deinit(&identity);
}

static int load_client_ca(SSL_CTX *context, const struct listener_config *listener, const char *section,
                          struct config_report *report)
{
    if (listener->client_verify == CLIENT_VERIFY_NONE)
        return 0;
    STACK_OF(X509_NAME) *names = listener->client_ca ? SSL_load_client_CA_file(listener->client_ca) : NULL;
    if (!names || SSL_CTX_load_verify_file(context, listener->client_ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        config_report_add(report, true, listener->place, section, "TLSClientCA", listener->client_ca,
                          "a readable PEM file with the CA certificates that sign clients' certificates",
                          "cannot load CA certificates: %s", openssl_reason());
        return -EBADMSG;
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(
        context,
        SSL_VERIFY_PEER |
            (listener->client_verify == CLIENT_VERIFY_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        NULL);
    return 0;
}

static void warn_about_validity(X509 *leaf, const struct certificate_config *certificate, const char *section,
                                struct config_report *report)
{
    if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0)
        config_report_add(report, false, certificate->certificate_place, section, "TLSCertificate",
                          certificate->certificate, NULL, "the certificate has expired");
    else if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
        config_report_add(report, false, certificate->certificate_place, section, "TLSCertificate",
                          certificate->certificate, NULL, "the certificate is not valid yet");
}

static int load_certificate(SSL_CTX *context, const struct certificate_config *certificate,
                            const char *section, struct config_report *report)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, certificate->certificate) != 1) {
        config_report_add(report, true, certificate->certificate_place, section, "TLSCertificate",
                          certificate->certificate,
                          "a readable PEM file, the server's certificate first, then the chain",
                          "cannot load the certificate: %s", openssl_reason());
        return -EBADMSG;
    }
    if (SSL_CTX_use_PrivateKey_file(context, certificate->key, SSL_FILETYPE_PEM) != 1) {
        bool mismatch = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
        config_report_add(
            report, true, certificate->key_place, section, "TLSKey", certificate->key,
            "a readable PEM file with the private key of the certificate beside it, without passphrase",
            "the key %s %s: %s",
            mismatch ? "does not match the certificate" : "cannot be loaded for the certificate",
            certificate->certificate, openssl_reason());
        return -EBADMSG;
    }
    if (SSL_CTX_check_private_key(context) != 1) {
        config_report_add(report, true, certificate->key_place, section, "TLSKey", certificate->key,
                          "the private key of the certificate beside it",
                          "the key does not match the certificate %s", certificate->certificate);
        return -EBADMSG;
    }
    warn_about_validity(SSL_CTX_get0_certificate(context), certificate, section, report);
    return 0;
}

static int no_passphrase(char *buf, int size, int rwflag, void *userdata)
{
    return 0; /* never ask on the terminal */
}

static SSL_CTX *make_context(struct tls_config *tls, const struct certificate_config *certificate,
                             const char *section, struct config_report *report)
{
    const struct listener_config *listener = tls->listener;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        abort();
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_min_proto_version(context,
                                  listener->tls_minimum == TLS_VERSION_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, INTERMEDIATE_CIPHERS);
    SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384");
    SSL_CTX_set_dh_auto(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* resumption is by ticket */
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    set_session_id_context(tls, context);
    if (listener->http2)
        h2o_ssl_register_alpn_protocols(context, h2o_http2_alpn_protocols);
    if (load_certificate(context, certificate, section, report) < 0 ||
        load_client_ca(context, listener, section, report) < 0) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

int tls_config_new(struct tls_config **ret, const struct listener_config *listener,
                   struct config_report *report)
{
    struct tls_config *tls = xcalloc(1, sizeof(*tls));
    struct strbuf section = STRBUF_INIT;
    int r = listener->n_certificates ? 0 : -EBADMSG;

    strbuf_addf(&section, "Listener %s", listener->name);
    tls->listener = listener;
    tls->contexts = xcalloc(listener->n_certificates, sizeof(*tls->contexts));
    tls->leaves = xcalloc(listener->n_certificates, sizeof(*tls->leaves));
    for (size_t i = 0; i < listener->n_certificates; i++) {
        SSL_CTX *context = make_context(tls, &listener->certificates[i], section.data, report);
        if (!context) {
            r = -EBADMSG;
            continue; /* the others' problems are told too */
        }
        tls->contexts[tls->n_contexts] = context;
        tls->leaves[tls->n_contexts++] = SSL_CTX_get0_certificate(context);
    }
    strbuf_deinit(&section);
    if (r < 0) {
        tls_config_free(tls);
        return r;
    }
    SSL_CTX_set_tlsext_servername_callback(tls->contexts[0], choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(tls->contexts[0], tls);
    *ret = tls;
    return 0;
}

struct tls_config *tls_config_free(struct tls_config *tls)
{
    if (!tls)
        return NULL;
    for (size_t i = 0; i < tls->n_contexts; i++)
        SSL_CTX_free(tls->contexts[i]);
    free(tls->contexts);
    free(tls->leaves);
    free(tls);
    return NULL;
}

struct ssl_ctx_st *tls_config_ssl(struct tls_config *tls)
{
    return tls->contexts[0];
}

/* What OpenSSL makes tickets with: a name, a MAC key and a cipher key. */
#define TICKET_KEYS_MAX 256

void tls_config_export_keys(struct tls_config *tls, json_t *document)
{
    unsigned char keys[TICKET_KEYS_MAX];
    char hex[2 * TICKET_KEYS_MAX + 1];
    /* With NULL it tells how many bytes there are. */
    const long size = SSL_CTX_get_tlsext_ticket_keys(tls->contexts[0], NULL, 0);
    if (size <= 0 || size > TICKET_KEYS_MAX ||
        SSL_CTX_get_tlsext_ticket_keys(tls->contexts[0], keys, (size_t)size) != 1)
        return; /* clients shake hands anew */
    for (long i = 0; i < size; i++)
        snprintf(hex + 2 * i, 3, "%02x", keys[i]);
    json_object_set_new(document, tls->identity, json_string(hex));
    explicit_bzero(keys, sizeof(keys));
    explicit_bzero(hex, sizeof(hex));
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void tls_config_import_keys(struct tls_config *tls, const json_t *document)
{
    const char *hex = json_string_value(json_object_get(document, tls->identity));
    unsigned char keys[TICKET_KEYS_MAX];
    const long size = SSL_CTX_get_tlsext_ticket_keys(tls->contexts[0], NULL, 0);
    if (!hex || size <= 0 || size > TICKET_KEYS_MAX || strlen(hex) != 2 * (size_t)size)
        return;
    for (long i = 0; i < size; i++) {
        const int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return;
        keys[i] = (unsigned char)(high << 4 | low);
    }
    (void)SSL_CTX_set_tlsext_ticket_keys(tls->contexts[0], keys, (size_t)size);
    explicit_bzero(keys, sizeof(keys));
}
