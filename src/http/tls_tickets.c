#include "http/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/tls1.h>
#include <pthread.h>

#include "http/ticket_keys.h"

struct tls_tickets {
    pthread_mutex_t lock;
    struct ticket_keys keys;
    EVP_CIPHER *cipher;
};

struct tls_tickets *tls_tickets_new(usec_t lifetime)
{
    struct tls_tickets *tickets = xcalloc(1, sizeof(*tickets));
    pthread_mutex_init(&tickets->lock, NULL);
    tickets->keys.lifetime = lifetime;
    tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (!tickets->cipher)
        abort();
    return tickets;
}

struct tls_tickets *tls_tickets_free(struct tls_tickets *tickets)
{
    if (!tickets)
        return NULL;
    ticket_keys_deinit(&tickets->keys);
    EVP_CIPHER_free(tickets->cipher);
    pthread_mutex_destroy(&tickets->lock);
    free(tickets);
    return NULL;
}

static bool make_key(struct ticket_keys *keys, usec_t now)
{
    struct ticket_key key = {.made = now};
    const bool ok = RAND_bytes(key.name, sizeof(key.name)) == 1 &&
                    RAND_priv_bytes(key.cipher, sizeof(key.cipher)) == 1 &&
                    RAND_priv_bytes(key.mac, sizeof(key.mac)) == 1 && ticket_keys_add(keys, &key, now);
    explicit_bzero(&key, sizeof(key));
    return ok;
}

/* A copy of the key to seal with. */
static bool take_current(struct tls_tickets *tickets, struct ticket_key *ret)
{
    const usec_t now = now_monotonic();
    pthread_mutex_lock(&tickets->lock);
    ticket_keys_expire(&tickets->keys, now);
    const struct ticket_key *key = ticket_keys_current(&tickets->keys, now);
    if (!key && make_key(&tickets->keys, now))
        key = ticket_keys_current(&tickets->keys, now);
    if (key)
        *ret = *key;
    pthread_mutex_unlock(&tickets->lock);
    return key != NULL;
}

/* A copy of the key to open with. */
static bool take_named(struct tls_tickets *tickets, const uint8_t *name, struct ticket_key *ret,
                       bool *ret_is_current)
{
    const usec_t now = now_monotonic();
    pthread_mutex_lock(&tickets->lock);
    ticket_keys_expire(&tickets->keys, now);
    const struct ticket_key *key = ticket_keys_find(&tickets->keys, name, now);
    if (key) {
        *ret = *key;
        *ret_is_current = key == ticket_keys_current(&tickets->keys, now);
    }
    pthread_mutex_unlock(&tickets->lock);
    return key != NULL;
}

static bool set_mac(EVP_MAC_CTX *mac, struct ticket_key *key)
{
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

enum ticket_outcome { /* what OpenSSL understands */
                      TICKET_FAILED = -1,
                      TICKET_NONE = 0,
                      TICKET_OK = 1,
                      TICKET_OK_AND_RENEW = 2,
};

static enum ticket_outcome seal(struct tls_tickets *tickets, uint8_t *name, uint8_t *iv,
                                EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct ticket_key key;
    if (!take_current(tickets, &key))
        return TICKET_NONE; /* the client shakes hands anew next time */
    memcpy(name, key.name, sizeof(key.name));
    const bool ok = RAND_bytes(iv, EVP_CIPHER_get_iv_length(tickets->cipher)) == 1 &&
                    EVP_EncryptInit_ex(cipher, tickets->cipher, NULL, key.cipher, iv) == 1 &&
                    set_mac(mac, &key);
    explicit_bzero(&key, sizeof(key));
    return ok ? TICKET_OK : TICKET_FAILED;
}

static enum ticket_outcome open_ticket(struct tls_tickets *tickets, bool renew, const uint8_t *name,
                                       const uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct ticket_key key;
    bool is_current = false;
    if (!take_named(tickets, name, &key, &is_current))
        return TICKET_NONE;
    const bool ok =
        set_mac(mac, &key) && EVP_DecryptInit_ex(cipher, tickets->cipher, NULL, key.cipher, iv) == 1;
    explicit_bzero(&key, sizeof(key));
    return !ok ? TICKET_FAILED : renew || !is_current ? TICKET_OK_AND_RENEW : TICKET_OK;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_new)
{
    struct tls_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    /* A ticket of TLS 1.3 is for one connection, so that it does not tell an observer who comes back (RFC
     * 8446 C.4): there is a new one each time. */
    return (int)(is_new ? seal(tickets, name, iv, cipher, mac)
                        : open_ticket(tickets, SSL_version(ssl) >= TLS1_3_VERSION, name, iv, cipher, mac));
}

/* A resumed session counts as verified. With TLS 1.3's new tickets it could be resumed for ever: it must not
 * outlive the certificate that the client has shown. */
static SSL_TICKET_RETURN on_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t size,
                                   SSL_TICKET_STATUS status, void *userdata)
{
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    X509 *certificate = SSL_SESSION_get0_peer(session);
    if (certificate && X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS_RENEW ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE;
}

void tls_tickets_attach(struct tls_tickets *tickets, SSL_CTX *context)
{
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* resumption is by ticket alone */
    if (!tickets) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(context, 0);
        return;
    }
    SSL_CTX_set_app_data(context, tickets);
    SSL_CTX_set_timeout(context, (long)MAX(tickets->keys.lifetime / USEC_PER_SEC, UINT64_C(1)));
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
    SSL_CTX_set_session_ticket_cb(context, NULL, on_opened, NULL);
}

json_t *tls_tickets_export(struct tls_tickets *tickets)
{
    json_t *document = json_object(), *list = json_array();
    char text[TICKET_KEY_TEXT_SIZE];
    pthread_mutex_lock(&tickets->lock);
    ticket_keys_expire(&tickets->keys, now_monotonic());
    for (size_t i = 0; i < tickets->keys.n; i++) {
        ticket_key_format(&tickets->keys.keys[i], text);
        json_array_append_new(list, json_string(text));
    }
    pthread_mutex_unlock(&tickets->lock);
    explicit_bzero(text, sizeof(text));
    json_object_set_new(document, "keys", list);
    return document;
}

void tls_tickets_import(struct tls_tickets *tickets, const json_t *document)
{
    const json_t *list = json_object_get(document, "keys");
    struct ticket_key key;
    pthread_mutex_lock(&tickets->lock);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (ticket_key_parse(&key, slice_of(json_string_value(json_array_get(list, i)))))
            (void)ticket_keys_add(&tickets->keys, &key, now_monotonic());
    pthread_mutex_unlock(&tickets->lock);
    explicit_bzero(&key, sizeof(key));
}
