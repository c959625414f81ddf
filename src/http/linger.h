#pragma once
/* The lingering close: when we end a connection, what the client still sends must be read, or the kernel
 * answers it with a reset that can destroy the response the client is reading (RFC 9112 9.6). */

#include "http/limits.h"
#include "http/server.h"

/* Half-closes fd and reads it to its end, for a bounded time and amount, then closes it. Consumes fd, and
 * gives the place back in the end. */
void linger_start(struct server *server, int fd, struct place place);
/* Ends all at once. */
void linger_end_all(struct server *server);
