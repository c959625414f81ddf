#pragma once
/* One TLS connection, where libh2o leaves something to be done. It keeps the SSL object to itself, but that
 * object's BIO knows h2o's socket, and that the connection: so OpenSSL's callbacks find it. */

#include <openssl/ssl.h>

#include "util/clock.h"

struct conn;

/* Part of a struct conn. */
struct tls_conn {
    SSL *ssl;         /* h2o's, from the client's hello on; NULL when the handshake has failed */
    char written[64]; /* what was written in this turn of the handshake, while it fits: an alert does */
    size_t n_written; /* more than that: it did not */
    unsigned n_key_updates;
    usec_t key_updates_since;
};

/* Makes the context watch its connections. */
void tls_conn_watch(SSL_CTX *context);
/* To be called when the client's hello is there. */
void tls_conn_begin(SSL *ssl);
/* The handshake is over: `error` is NULL, or what h2o says of it. Tells the client by the alert that OpenSSL
 * has written and h2o would throw away, and the journal. The connection is to be closed then. */
void tls_conn_end(struct conn *conn, const char *error);
/* What was to be said is not said: closing it must not tell the client that it was, by a close_notify.
 * Harmless without TLS. */
void tls_conn_break_off(struct conn *conn);

/* How many keys a client may want in a burst, and over time one a second: more than anybody does, who renews
 * them after many gigabytes or at most each minute. Each costs us a derivation for a record of 27 bytes. */
#define TLS_KEY_UPDATES_MAX 32
/* Whether one more is to be had at this time. */
bool tls_conn_take_key_update(struct tls_conn *tls, usec_t now);
