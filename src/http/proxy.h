#pragma once
/* Answering a request by asking an upstream. */

#include "http/exchange.h"

void proxy_run(struct exchange *exchange);
/* The request is going away: whatever is under way is cancelled. Accepts NULL. */
void proxy_dispose(struct proxy *proxy);
