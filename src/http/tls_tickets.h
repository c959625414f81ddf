#pragma once
/* Session tickets by keys of our own (ticket_keys.h), which all threads of the process share: OpenSSL's would
 * last as long as the process, and with hand-overs from one generation to the next for ever. */

#include <jansson.h>

#include "util/clock.h"

struct ssl_ctx_st;
struct tls_tickets;

/* A new key is made each `lifetime`, when the first ticket after that is; a session can be resumed for as
 * long after it was made. */
struct tls_tickets *tls_tickets_new(usec_t lifetime);
struct tls_tickets *tls_tickets_free(struct tls_tickets *tickets);
/* Makes the context use them; NULL: it gives and takes no tickets. `tickets` must live longer. */
void tls_tickets_attach(struct tls_tickets *tickets, struct ssl_ctx_st *context);

/* {"keys": ["…", …]}, see ticket_key_format(). The reference is the caller's. */
json_t *tls_tickets_export(struct tls_tickets *tickets);
/* Takes up what it understands; anything else is passed over. */
void tls_tickets_import(struct tls_tickets *tickets, const json_t *document);
