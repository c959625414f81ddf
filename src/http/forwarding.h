#pragma once
/* What a trusted proxy says of the client of a request, as it comes and as it goes on. */

#include "http/exchange.h"
#include "http/forwarded.h"

struct forwarding {
    struct forwarded claims;
    struct forwarded_hop client; /* what follows from them */
    char client_text[IP_ADDRESS_TEXT_MAX];
};

/* Finds out who asks, if the connection is one of a trusted proxy: sets exchange->forwarding. False when that
 * cannot be told, and the request is to be refused. */
bool forwarding_read(struct exchange *exchange);
/* What comes before our own elements in X-Forwarded-For and Forwarded, with a comma at its end, in the
 * request's pool: what was believed of what came. Each is made of the other when it did not come. */
struct slice forwarding_list(struct exchange *exchange, enum forwarded_field field);
/* Adds an element of Forwarded to `text`; `proto` and `host` may be empty. */
void forwarding_add_element(struct strbuf *text, const struct ip_address *address, struct slice proto,
                            struct slice host);
