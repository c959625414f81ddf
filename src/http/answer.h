#pragma once
/* Answers that need no upstream. Each sends the whole response, or begins to. */

#include "http/exchange.h"

void answer_respond(struct exchange *exchange);
void answer_redirect(struct exchange *exchange);
void answer_static(struct exchange *exchange);
/* By the server's handler (the admin API). */
void answer_handler(struct exchange *exchange);
/* The request of a deferred answer is going away. Accepts NULL. */
void answer_forget(struct handler_ticket *ticket);
