#include "http/tls_profile.h"

#include <openssl/ssl.h>

#define SUITES_1_2                                                                             \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define SUITES_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
/* OpenSSL knows the first of these from 3.5 on, and refuses a list with what it does not know. */
#define GROUPS "X25519MLKEM768:X25519:P-256:P-384"
#define GROUPS_BEFORE_3_5 "X25519:P-256:P-384"

bool tls_cipher_allows_http2(const SSL_CIPHER *cipher)
{
    const int exchange = cipher ? SSL_CIPHER_get_kx_nid(cipher) : NID_undef;
    return (exchange == NID_kx_any || exchange == NID_kx_ecdhe || exchange == NID_kx_dhe) &&
           SSL_CIPHER_get_auth_nid(cipher) != NID_auth_null && SSL_CIPHER_is_aead(cipher);
}

/* The entry of the list that is `protocol`; empty when it is not there, or the list is malformed before it.
 */
static struct slice find_protocol(struct slice offered, struct slice protocol)
{
    while (offered.size > 0) {
        const size_t size = (uint8_t)offered.data[0];
        offered = slice_skip(offered, 1);
        if (size == 0 || size > offered.size)
            break;
        if (slice_eq(slice_make(offered.data, size), protocol))
            return slice_make(offered.data, size);
        offered = slice_skip(offered, size);
    }
    return slice_make(NULL, 0);
}

struct slice tls_choose_protocol(struct slice offered, bool http2)
{
    static const struct slice ours[] = {SLICE_LITERAL("h2"), SLICE_LITERAL("http/1.1"),
                                        SLICE_LITERAL("http/1.0")};
    for (size_t i = http2 ? 0 : 1; i < ARRAY_SIZE(ours); i++) {
        const struct slice found = find_protocol(offered, ours[i]);
        if (found.size > 0)
            return found;
    }
    return slice_make(NULL, 0);
}

static size_t read_u16(struct slice s)
{
    return (size_t)(uint8_t)s.data[0] << 8 | (uint8_t)s.data[1];
}

struct slice tls_parse_server_name(struct slice extension)
{
    const struct slice none = {NULL, 0};
    /* struct { NameType name_type; opaque HostName<1..2^16-1>; } ServerName; ServerName list<1..2^16-1>: one
     * of them, since there is one type, and one name of each. */
    enum { LIST_LENGTH = 2, TYPE = 1, NAME_LENGTH = 2, HOST_NAME = 0, NAME_MAX_SIZE = 255 };
    if (extension.size < LIST_LENGTH + TYPE + NAME_LENGTH ||
        read_u16(extension) != extension.size - LIST_LENGTH || extension.data[LIST_LENGTH] != HOST_NAME)
        return none;
    struct slice name = slice_skip(extension, LIST_LENGTH + TYPE);
    if (read_u16(name) != name.size - NAME_LENGTH)
        return none;
    name = slice_skip(name, NAME_LENGTH);
    if (name.size > NAME_MAX_SIZE || memchr(name.data, '\0', name.size))
        return none;
    return name;
}

/* A client that names protocols, none of which is ours, believes to speak to another service: it is refused,
 * so that nobody can pass one's traffic off as the other's (RFC 7301 3.2). One that names none gets HTTP/1.1.
 */
static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_size,
                           const unsigned char *offered, unsigned int size, void *userdata)
{
    const struct listener_config *listener = userdata;
    const bool http2 = listener->http2 && tls_cipher_allows_http2(SSL_get_pending_cipher(ssl));
    const struct slice chosen = tls_choose_protocol(slice_make((const char *)offered, size), http2);
    if (chosen.size == 0)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = (const unsigned char *)chosen.data;
    *ret_size = (unsigned char)chosen.size;
    return SSL_TLSEXT_ERR_OK;
}

void tls_profile_apply(SSL_CTX *context, const struct listener_config *listener)
{
    SSL_CTX_set_options(context,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_min_proto_version(context,
                                  listener->tls_minimum == TLS_VERSION_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    /* What came early could have been recorded, and be sent again by anybody: a POST, too. */
    SSL_CTX_set_max_early_data(context, 0);
    if (SSL_CTX_set_cipher_list(context, SUITES_1_2) != 1 ||
        SSL_CTX_set_ciphersuites(context, SUITES_1_3) != 1 ||
        (SSL_CTX_set1_groups_list(context, GROUPS) != 1 &&
         SSL_CTX_set1_groups_list(context, GROUPS_BEFORE_3_5) != 1))
        abort(); /* not a library that this was built for */
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, (void *)(uintptr_t)listener);
}
