#pragma once

#include "connection.h"

/* RFC 6455: the handshake, and from then on every message comes back as it was. */
void serve_websocket(struct connection *c);
