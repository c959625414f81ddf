#pragma once
/* What a target is told: the request as we send it on. */

#include "http/exchange.h"

/* The serialised head, in the request's pool. Fields that are for one connection only are removed (RFC 9110
 * 7.6.1), the body is framed anew, and the forwarding fields are ours: what a client sends of
 * X-Forwarded-*, Forwarded and X-Real-IP, and of its certificate, under whatever spelling an app takes for
 * that, is dropped, since nobody has vouched for it. Of what a trusted proxy sends, what is believed goes on
 * (http/forwarding.h). */
struct slice forward_head(struct exchange *exchange);

/* Copies a response's fields into the client's response, without those of the connection. */
struct client_response;
void forward_response_headers(struct exchange *exchange, const struct client_response *response);
/* Whether a field is for one connection only; `connection` is the Connection field's value, or empty. */
bool forward_is_hop_by_hop(struct slice name, struct slice connection);
