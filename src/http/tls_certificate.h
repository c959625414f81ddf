#pragma once
/* One certificate of a listener, with its key and what is stapled to it. */

#include "http/tls_internal.h"

struct tls_certificate {
    SSL_CTX *context;         /* owned */
    X509 *leaf;               /* the context's */
    usec_t expires;           /* CLOCK_REALTIME */
    unsigned char digest[32]; /* of it, and of the chain that is sent with it */
    struct {
        unsigned char *response; /* DER (RFC 6960), NULL: nothing is stapled */
        size_t size;
    } staple;
};

/* Loads certificate, key and OCSP response into `context`, which it takes over in any case. Errors and
 * warnings go to the report; -EBADMSG after an error, and there is nothing to free. */
int tls_certificate_load(struct tls_certificate *ret, SSL_CTX *context,
                         const struct certificate_config *config, const struct tls_loading *loading)
    _warn_unused_;
/* Its address must stay the same from here on: the context refers to it. */
void tls_certificate_attach(struct tls_certificate *certificate);
void tls_certificate_deinit(struct tls_certificate *certificate);

/* Whether it speaks for the name (RFC 6125, wildcards for one whole label). */
bool tls_certificate_is_for(const struct tls_certificate *certificate, struct slice name);
