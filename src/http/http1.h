#pragma once
/* HTTP/1.0 and HTTP/1.1 towards clients, on h2o's sockets and request objects. */

#include "http/conn.h"

/* The connection speaks HTTP/1 (or HTTP/2 with prior knowledge, which is seen from its first bytes). */
void http1_start(struct conn *conn);
/* Closes it at once. */
void http1_abort(struct conn *conn);
/* Closes a connection that is idle, has been for so long, and has nothing on its way, to make room. False
 * when it is not so. */
bool http1_shed(struct conn *conn, usec_t idle);
/* A drain has begun: the request in progress is the last one, an idle connection gets its quiet period. */
void http1_drain(struct conn *conn);
/* Sends an interim response (1xx) if the client's protocol has them and nothing else is on its way. */
void http1_send_interim(h2o_req_t *req, int status, const h2o_header_t *headers, size_t n_headers);
/* Takes the socket out of the connection after `head` was written: the request is over, the h2o_req_t gone.
 * `on_detached` gets the conn, or NULL when writing failed. */
void http1_upgrade(h2o_req_t *req, struct slice head, void (*on_detached)(void *userdata, struct conn *conn),
                   void *userdata);
