#pragma once
/* The insides of h2o's HTTP/2 connections, for http2.c alone. */

#include "http/h2o.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wpointer-arith"
#pragma GCC diagnostic ignored "-Wcast-align"
#pragma GCC diagnostic ignored "-Wunused-value"
#include <h2o/http2_internal.h>
#pragma GCC diagnostic pop
