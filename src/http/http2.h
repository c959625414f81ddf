#pragma once
/* HTTP/2 towards clients: h2o's implementation, with our guard, our timers and our drain. */

#include "http/conn.h"

/* Once in the process, before any connection; again is harmless. */
void http2_init(void);
/* The connection speaks HTTP/2; its preface may already be in the input buffer. */
void http2_start(struct conn *conn);
/* It is closed. */
void http2_closed(struct conn *conn);

/* One step of draining every HTTP/2 connection of a server; to be called again every 100 ms. GOAWAY for
 * everything to come; a second later GOAWAY that names the last stream; then each connection is closed when
 * its last stream has ended. h2o's own graceful shutdown half-closes the connection at its second step, which
 * drops the rest of uploads in progress and can spin its loop, so it is not used. */
void http2_drain_step(struct server *server, usec_t now);
/* A request has ended whose body the client still sends: tells it to stop (RFC 9113 8.1). */
void http2_stop_upload(h2o_req_t *req);
/* Sends an interim response (1xx). */
void http2_send_interim(h2o_req_t *req, int status, const h2o_header_t *headers, size_t n_headers);
/* Calls `callback` for each request whose head is still arriving: those have no exchange yet. */
void http2_each_head(struct server *server,
                     void (*callback)(void *userdata, struct conn *conn, h2o_req_t *req), void *userdata);
