#pragma once
/* Requests that a handler answers (http/handler.h): those to the admin API, on the control thread.
 *
 * That thread has more to do: the watchdog, health checks, talk with systemd. However many ask, and however
 * fast, it gets to that:
 *  - Requests wait in a queue, one of each connection at most. In one turn of the loop they are answered,
 * first come, first served, until TURN_TIME is over; then the loop turns, and everybody else has theirs.
 *  - Connections are limited in number, and the last places are left to those who are privileged.
 *  - Answers that are not read yet are limited in size, all together. */

#include "http/exchange.h"

/* Puts the request into the queue. */
void handled_run(struct exchange *exchange);
/* The request goes away, answered or not. */
void handled_dispose(struct exchange *exchange);
/* Whether a connection that was just accepted may stay; asked once. */
bool handled_admits(struct conn *conn);
/* The connection goes away. */
void handled_forget(struct conn *conn);
/* The queue's timer; nothing may be in it any more at the end. */
void handled_init(struct server *server);
void handled_deinit(struct server *server);
