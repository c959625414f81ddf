#pragma once
/* Who vouches for clients, and whom they have disowned. */

#include "http/tls_internal.h"

/* What TLSClientCA= and TLSClientCRL= hold: read once, so that what contexts trust is what the digest says.
 */
struct tls_trust {
    X509_STORE *store; /* NULL: clients are not asked for a certificate */
    STACK_OF(X509_NAME) * names;
    unsigned char digest[32]; /* of the files' contents and what is asked of clients */
};

/* Errors and warnings go to the report; -EBADMSG after an error, and there is nothing to free. */
int tls_trust_load(struct tls_trust *ret, const struct tls_loading *loading) _warn_unused_;
/* Makes a context ask clients for what the listener wants. */
void tls_trust_apply(const struct tls_trust *trust, SSL_CTX *context, enum client_verify verify);
void tls_trust_deinit(struct tls_trust *trust);
