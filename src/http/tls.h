#pragma once
/* TLS for one listener: its certificates, by SNI, and everything OpenSSL needs to know. */

#include <jansson.h>

#include "config/config.h"
#include "config/report.h"

struct tls_config;

/* Loads certificates, keys and what belongs to them; what is wrong (unreadable, not PEM, key does not match;
 * expired is a warning) goes to `report`, then -EBADMSG. Runs without descriptors, so --check does it too. */
int tls_config_new(struct tls_config **ret, const struct listener_config *listener,
                   struct config_report *report) _warn_unused_;
struct tls_config *tls_config_free(struct tls_config *tls);

/* When the listener's certificate with this index expires, CLOCK_REALTIME. */
usec_t tls_config_expires(const struct tls_config *tls, size_t certificate);

/* The keys that session tickets are made with, for the next process: without them every client would have to
 * shake hands anew at once. Each listener adds its own under what its sessions are bound to (its name, and
 * the contents of its certificates, client CAs and revocation lists), and takes up only what stands there: a
 * ticket is never good where something else is verified (CVE-2023-41337). To be imported before the first
 * connection. */
void tls_config_export_keys(struct tls_config *tls, json_t *document);
void tls_config_import_keys(struct tls_config *tls, const json_t *document);
