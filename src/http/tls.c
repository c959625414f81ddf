#include "http/tls.h"

#include <openssl/ssl.h>

#include "http/tls_certificate.h"
#include "http/tls_conn.h"
#include "http/tls_internal.h"
#include "http/tls_profile.h"
#include "http/tls_tickets.h"
#include "http/tls_trust.h"
#include "util/strbuf.h"

/* A session is resumed only where everything is as it was when it was made: on the same listener, with the
 * same certificates, and clients verified against the same authorities; and for the same name, as RFC 6066 3
 * demands. OpenSSL holds tickets to the session id context, which is made of that before the ticket is looked
 * at.
 *
 * What is asked of clients is up to the listener, never to the name or the route. So a connection may bring
 * requests for any host: what was verified for it holds for all of them, and none needs to be answered with
 * 421. */

struct tls_config {
    const struct listener_config *listener;
    struct tls_certificate *certificates; /* the first is the default, and the one connections begin with */
    size_t n_certificates;
    struct tls_tickets *tickets; /* NULL: there are none */
    unsigned char identity[32];  /* of what a session may be resumed with */
};

/* The certificate that speaks for the name; NULL when none does. */
static const struct tls_certificate *find_certificate(const struct tls_config *tls, struct slice name)
{
    for (size_t i = 0; i < tls->n_certificates; i++)
        if (tls_certificate_is_for(&tls->certificates[i], name))
            return &tls->certificates[i];
    return NULL;
}

static struct slice server_name(SSL *ssl)
{
    const unsigned char *data = NULL;
    size_t size = 0;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) != 1)
        return slice_make(NULL, 0);
    return tls_parse_server_name(slice_make((const char *)data, size));
}

static void bind_session(SSL *ssl, const struct tls_config *tls, const struct tls_certificate *certificate,
                         struct slice name)
{
    unsigned char id[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    char lower[256]; /* the longest name has 255 bytes */
    for (size_t i = 0; i < name.size; i++)
        lower[i] = name.data[i] >= 'A' && name.data[i] <= 'Z' ? (char)(name.data[i] | 0x20) : name.data[i];
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (!digest || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
        abort();
    EVP_DigestUpdate(digest, tls->identity, sizeof(tls->identity));
    EVP_DigestUpdate(digest, certificate->digest, sizeof(certificate->digest));
    EVP_DigestUpdate(digest, lower, name.size);
    EVP_DigestFinal_ex(digest, id, &size);
    EVP_MD_CTX_free(digest);
    SSL_set_session_id_context(ssl, id, MIN(size, (unsigned)SSL_MAX_SID_CTX_LENGTH));
}

/* Chooses by name as soon as that is known: before OpenSSL looks at tickets. */
static int on_client_hello(SSL *ssl, int *alert, void *userdata)
{
    const struct tls_config *tls = userdata;
    const struct slice name = server_name(ssl);
    const struct tls_certificate *certificate = find_certificate(tls, name);

    tls_conn_begin(ssl);
    if (!certificate && tls->listener->tls_require_sni) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (!certificate)
        certificate = &tls->certificates[0];
    SSL_set_SSL_CTX(ssl, certificate->context);
    bind_session(ssl, tls, certificate, name);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Only answers the client's extension: the certificate was chosen before. */
static int on_server_name(SSL *ssl, int *alert, void *userdata)
{
    const struct tls_config *tls = userdata;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    return name && find_certificate(tls, slice_of(name)) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static SSL_CTX *make_context(struct tls_config *tls, const struct tls_trust *trust)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        abort();
    tls_profile_apply(context, tls->listener);
    tls_tickets_attach(tls->tickets, context);
    tls_trust_apply(trust, context, tls->listener->client_verify);
    tls_conn_watch(context);
    SSL_CTX_set_client_hello_cb(context, on_client_hello, tls);
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(context, tls);
    return context;
}

static int load_certificates(struct tls_config *tls, const struct tls_trust *trust,
                             const struct tls_loading *loading)
{
    const struct listener_config *listener = tls->listener;
    int r = listener->n_certificates ? 0 : -EBADMSG;
    tls->certificates = xcalloc(listener->n_certificates, sizeof(*tls->certificates));
    for (size_t i = 0; i < listener->n_certificates; i++) {
        if (tls_certificate_load(&tls->certificates[tls->n_certificates], make_context(tls, trust),
                                 &listener->certificates[i], loading) < 0) {
            r = -EBADMSG;
            continue; /* the others' problems are told too */
        }
        tls_certificate_attach(&tls->certificates[tls->n_certificates++]);
    }
    return r;
}

static void identify(struct tls_config *tls, const struct tls_trust *trust)
{
    const char *name = tls->listener->name;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (!digest || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
        abort();
    EVP_DigestUpdate(digest, name, strlen(name) + 1);
    EVP_DigestUpdate(digest, trust->digest, sizeof(trust->digest));
    for (size_t i = 0; i < tls->n_certificates; i++)
        EVP_DigestUpdate(digest, tls->certificates[i].digest, sizeof(tls->certificates[i].digest));
    EVP_DigestFinal_ex(digest, tls->identity, NULL);
    EVP_MD_CTX_free(digest);
}

int tls_config_new(struct tls_config **ret, const struct listener_config *listener,
                   struct config_report *report)
{
    struct tls_config *tls = xcalloc(1, sizeof(*tls));
    _cleanup_strbuf_ struct strbuf section = STRBUF_INIT;
    struct tls_trust trust = {0};

    strbuf_addf(&section, "Listener %s", listener->name);
    const struct tls_loading loading = {listener, strbuf_string(&section), report};
    tls->listener = listener;
    if (listener->ticket_lifetime > 0)
        tls->tickets = tls_tickets_new(listener->ticket_lifetime);
    const int trust_result = tls_trust_load(&trust, &loading);
    int r = load_certificates(tls, &trust, &loading);
    if (trust_result < 0)
        r = trust_result;
    identify(tls, &trust);
    tls_trust_deinit(&trust);
    if (r < 0)
        tls_config_free(tls);
    else
        *ret = tls;
    return r;
}

struct tls_config *tls_config_free(struct tls_config *tls)
{
    if (!tls)
        return NULL;
    for (size_t i = 0; i < tls->n_certificates; i++)
        tls_certificate_deinit(&tls->certificates[i]);
    free(tls->certificates);
    tls_tickets_free(tls->tickets);
    free(tls);
    return NULL;
}

SSL_CTX *tls_config_ssl(struct tls_config *tls)
{
    return tls->certificates[0].context;
}

usec_t tls_config_expires(const struct tls_config *tls, size_t certificate)
{
    assert(certificate < tls->n_certificates);
    return tls->certificates[certificate].expires;
}

void tls_config_export_keys(struct tls_config *tls, json_t *document)
{
    _cleanup_strbuf_ struct strbuf name = STRBUF_INIT;
    if (!tls->tickets)
        return;
    strbuf_add_hex(&name, tls->identity, sizeof(tls->identity));
    json_object_set_new(document, strbuf_string(&name), tls_tickets_export(tls->tickets));
}

void tls_config_import_keys(struct tls_config *tls, const json_t *document)
{
    _cleanup_strbuf_ struct strbuf name = STRBUF_INIT;
    if (!tls->tickets)
        return;
    strbuf_add_hex(&name, tls->identity, sizeof(tls->identity));
    tls_tickets_import(tls->tickets, json_object_get(document, strbuf_string(&name)));
}
