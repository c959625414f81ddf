#pragma once
/* OCSP responses that are stapled to the handshake (RFC 6066 8): from a file, which whoever fetches them
 * replaces before a reload. Nothing is fetched here: a gateway that asks others at every start is one that
 * waits for them. */

#include "http/tls_certificate.h"

/* Takes the response of the configuration, if there is one, when it is about this certificate and says how
 * things are now. One that is too old is a warning, and nothing is stapled: clients refuse it, and take a
 * handshake without any. -EBADMSG when the file is no response for this certificate. */
int tls_staple_load(struct tls_certificate *certificate, const struct certificate_config *config,
                    const struct tls_loading *loading) _warn_unused_;
