#pragma once
/* An upgraded connection: bytes both ways between a client and a target, until either ends. */

#include "http/conn.h"

struct tunnel;
/* Takes the conn (kind becomes CONN_TUNNEL) and the target's socket, each with what is already in its input
 * buffer. `on_end` is called once, when the tunnel is over. Either side without traffic for `idle` ends it.
 */
void tunnel_start(struct conn *conn, h2o_socket_t *upstream, usec_t idle,
                  void (*on_end)(void *userdata, uint64_t in, uint64_t out), void *userdata);
void tunnel_abort(struct conn *conn);
