#pragma once
/* TLS for one listener: its certificates, by SNI, and everything OpenSSL needs to know. */

#include "config/config.h"
#include "config/report.h"

struct tls_config;

/* Loads certificates and keys; what is wrong (unreadable, not PEM, key does not match, expired is a warning)
 * goes to `report`, then -EBADMSG. Runs without descriptors, so --check does it too. */
int tls_config_new(struct tls_config **ret, const struct listener_config *listener,
                   struct config_report *report) _warn_unused_;
struct tls_config *tls_config_free(struct tls_config *tls);
