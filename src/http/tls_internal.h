#pragma once
#include "http/tls.h"

struct ssl_ctx_st;
/* The context for new connections of the listener. Owned by tls. */
struct ssl_ctx_st *tls_config_ssl(struct tls_config *tls);
