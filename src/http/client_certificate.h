#pragma once
/* What a client has shown of itself in the TLS handshake, as fields for the apps behind.
 *
 * OpenSSL has verified it: with TLSClientVerify= a certificate that is not good ends the handshake. The chain
 * is not passed on (Client-Cert-Chain of RFC 9440): a resumed session does not hold it, and an app could not
 * tell. */

#include "config/config.h"
#include "util/slice.h"

struct x509_st;
struct client_certificate;

/* What is longer is left out: a subject of some hundred bytes is long. */
#define CLIENT_CERTIFICATE_NAME_MAX 2048
#define CLIENT_CERTIFICATE_DER_MAX (16 * 1024)

/* Of a verified certificate. */
struct client_certificate *client_certificate_new(const struct x509_st *certificate);
/* Accepts NULL. Returns NULL. */
struct client_certificate *client_certificate_free(struct client_certificate *certificate);

/* The fields that a route is told of a client, as whole lines. On a listener that asks for certificates NULL
 * is a client without one. The slice is the certificate's, or static. */
struct slice client_certificate_fields(const struct client_certificate *certificate,
                                       enum client_certificate_fields which);

/* Whether a name is one that only we may use: any of these fields, in any case, also as an app may see it
 * that makes other signs of '-' (CGI and WSGI know '_' only). */
bool client_certificate_owns_field(struct slice name);
