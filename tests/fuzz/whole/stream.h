#pragma once
/* A connection to what is tested, in plaintext or with TLS, that never blocks. */

#include <openssl/ssl.h>

#include "script.h"
#include "util/clock.h"

/* Where each place is; a TCP port of 127.0.0.1, or the path of a Unix socket. */
struct stream_addresses {
    unsigned http_port, https_port;
    const char *http_path, *admin_path;
    SSL_CTX *tls;
};

struct stream {
    int fd;
    SSL *ssl; /* NULL: plaintext */
};

/* `number` spreads the connections over the addresses of the loopback network, whose ports would run out
 * otherwise. Returns a negative errno. */
int stream_open(struct stream *stream, const struct stream_addresses *addresses, enum script_place place,
                bool is_http2, uint64_t number);
/* `reset`: what was sent and not read yet is thrown away at the other end. */
void stream_close(struct stream *stream, bool reset);

/* As many bytes as go at once; -EAGAIN, or another negative errno when the other end will have no more. */
ssize_t stream_write(struct stream *stream, const char *data, size_t size);
/* 0 at the end. */
ssize_t stream_read(struct stream *stream, char *data, size_t size);
void stream_finish(struct stream *stream);
/* Waits until it can be read or, with `write`, be written; false when the time is over. */
bool stream_wait(const struct stream *stream, bool write, usec_t until);
