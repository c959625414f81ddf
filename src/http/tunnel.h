#pragma once
/* An upgraded connection: bytes both ways between a client and a target, until either ends. */

#include "http/conn.h"

struct tunnel;

/* The request that became the tunnel, for the records; the strings are the tunnel's. */
struct tunnel_origin {
    char *request_id, *method, *path;
    const struct route_config *route;
    const struct upstream_config *upstream;
    const struct target_config *target;
    usec_t began;
};

/* Takes the conn (kind becomes CONN_TUNNEL), the target's socket, each with what is already in its input
 * buffer, and the origin's strings. Both sides without traffic for `idle` end it. */
void tunnel_start(struct conn *conn, h2o_socket_t *upstream, usec_t idle, const struct tunnel_origin *origin);
/* Frees the strings of an origin that became no tunnel. */
void tunnel_origin_deinit(struct tunnel_origin *origin);
const struct tunnel_origin *tunnel_origin_of(const struct conn *conn);
void tunnel_abort(struct conn *conn);
