#pragma once
/* Answers that need no upstream. Each sends the whole response, or begins to. */

#include "http/exchange.h"

void answer_respond(struct exchange *exchange);
/* OPTIONS * (RFC 9110 9.3.7): what there is in general. Which route takes which method is not told. */
void answer_options(struct exchange *exchange);
void answer_redirect(struct exchange *exchange);
void answer_static(struct exchange *exchange);
/* Sends a body that outlives the request, behind the head that was made. */
void answer_send_body(struct exchange *exchange, const char *body, size_t size);
