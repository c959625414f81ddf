#pragma once
/* Answering a request by asking an upstream. */

#include "http/exchange.h"

void proxy_run(struct exchange *exchange);
/* The request is going away: whatever is under way is cancelled. Accepts NULL. */
void proxy_dispose(struct proxy *proxy);

/* For the queue: a held request goes to a target (false: none is ready after all), or has waited in vain. */
struct hold_entry;
bool proxy_release(struct hold_entry *entry);
void proxy_expire(struct hold_entry *entry);
