#pragma once
/* How TLS is spoken: versions, suites, groups, and what is left out. It is the "intermediate" profile of
 * Mozilla's Server Side TLS 6.0, and with TLSMinimumVersion=1.3 the "modern" one: there is nothing to choose
 * between. Version 6.0 has the suites of 5.7 without those of finite-field Diffie-Hellman, which let a client
 * have the server compute at small cost of its own (CVE-2002-20001). The client's order decides, as there: it
 * knows what it computes fast. */

#include "config/config.h"
#include "util/slice.h"

struct ssl_st;
struct ssl_ctx_st;
struct ssl_cipher_st;

/* Everything about a context but certificates, names and tickets. */
void tls_profile_apply(struct ssl_ctx_st *context, const struct listener_config *listener);

/* Whether HTTP/2 may be spoken with the suite: TLS 1.3's, and of TLS 1.2 those with ephemeral keys and an
 * AEAD, which are the ones that RFC 9113 appendix A does not prohibit. */
bool tls_cipher_allows_http2(const struct ssl_cipher_st *cipher);

/* The protocol to speak, of those in the client's list (as it stands in the ALPN extension of RFC 7301);
 * empty when there is none. Ours go by our preference: h2 where `http2`, then http/1.1 and http/1.0. The
 * result is part of `offered`. */
struct slice tls_choose_protocol(struct slice offered, bool http2);

/* The host name in the body of a server_name extension (RFC 6066 3), or empty when it is malformed: OpenSSL
 * ends such a handshake a moment later. */
struct slice tls_parse_server_name(struct slice extension);
