#pragma once
/* What the client needs of libh2o, its sockets and event loop, and what their headers need to be told. Only
 * the client includes this. */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wpointer-arith"
#pragma GCC diagnostic ignored "-Wcast-align"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <h2o/socket.h>
#include <h2o/timeout.h>
#pragma GCC diagnostic pop
