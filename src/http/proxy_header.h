#pragma once
/* Waiting for the header of the PROXY protocol at the beginning of a connection.
 *
 * It is read from the descriptor itself, exactly to its last byte, so that whatever follows (TLS, HTTP) is
 * where its reader looks for it: what has come is peeked at, and taken as far as it belongs to the header. So
 * nothing of a header stays in the kernel's buffer to wake the loop again and again. */

#include "http/conn.h"
#include "http/proxy_protocol.h"

/* Calls back with the header, or ends the connection. Not while anybody else reads from it. The callback may
 * come before this returns. */
void proxy_header_await(struct conn *conn,
                        void (*callback)(struct conn *conn, const struct proxy_header *header));
/* The connection is closed. Accepts NULL, returns NULL. */
struct proxy_reader;
struct proxy_reader *proxy_reader_free(struct proxy_reader *reader);
