#pragma once
/* What the files about TLS share, and conn.c and forward.c need. */

#include <openssl/ssl.h>

#include "http/tls.h"
#include "util/slice.h"

/* The context for new connections of the listener. Owned by tls. */
SSL_CTX *tls_config_ssl(struct tls_config *tls);

/* Where problems go that are found while a listener's files are loaded. */
struct tls_loading {
    const struct listener_config *listener;
    const char *section; /* "Listener https" */
    struct config_report *report;
};

/* Reads a whole file into memory; NULL, with errno set, when that cannot be. The caller frees. */
BIO *tls_read_file(const char *path);
/* Adds what is still to be read of it to a digest. */
void tls_digest_file(EVP_MD_CTX *digest, BIO *file);
/* Why OpenSSL failed last, or what errno says of a file; for messages. */
const char *tls_reason(void);
