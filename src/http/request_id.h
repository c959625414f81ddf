#pragma once
/* X-Request-ID: one name for a request across the gateway, the app and the journal. */

#include "util/slice.h"

#define REQUEST_ID_SIZE 32

/* Whether a client's id is fit to be passed on: 1 to 128 bytes of letters, digits and -_.~+/=:@ */
bool request_id_is_valid(struct slice id);
/* Writes REQUEST_ID_SIZE hex digits: `prefix` (random, one per worker and process) and `counter`. */
void request_id_format(char *to, uint64_t prefix, uint64_t counter);
