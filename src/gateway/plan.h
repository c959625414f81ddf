#pragma once
/* What can be built of a gateway without a descriptor: the configuration, the router, TLS. Starting and
 * --check both begin with it, so that a configuration that passes the one passes the other. */

#include "config/config.h"
#include "http/tls.h"
#include "router/router.h"

struct plan {
    struct config *config;
    struct router *router;
    struct tls_config **tls; /* by the listener's index; NULL for plaintext */
};

/* All problems go to `report`. Returns 0 when none is an error, else -EBADMSG and an empty plan. */
int plan_load(struct plan *plan, const char *config_file, struct config_report *report) _warn_unused_;
void plan_deinit(struct plan *plan);

/* "2 listeners, 5 routes, 3 upstreams, 1 check" */
void plan_describe(const struct plan *plan, struct strbuf *out);
