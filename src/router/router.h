#pragma once
/* Host table and radix trees: from (host, path, method) to a route. Pure; built once, then read by every
 * thread without locks.
 *
 * Semantics are gin's: one tree per host, `:name` matches one non-empty segment or the end of one
 * ("/user_:name"),
 * `*name` (only at the end) matches the rest, which may be empty; static text wins over a parameter and a
 * parameter over a catch-all in whatever order they were declared, with backtracking; no redirect for a
 * trailing slash. The value of a catch-all begins with the '/' before it, as in gin: with `*rest` behind
 * "/api/", the path
 * "/api/" matches (value "/") and "/api/x/y" does ("/x/y"), but not "/api". A Static= route whose pattern
 * ends in '/' takes everything beneath it: a catch-all is implied, its value is the last of the parameters,
 * its name is "*"; and it takes GET and HEAD only.
 *
 * Hosts: exact, then the longest `*.suffix` (which stands for one label or more), then the routes without a
 * host. The most specific route that takes the method wins, in a tree and from host to host: where a path or
 * a host has only routes for other methods, the search goes on, and 405 names what was passed by. */

#include "config/config.h"
#include "router/method.h"
#include "util/slice.h"

#define ROUTER_MAX_PARAMS 16

struct router;

struct router_match {
    const struct route_config *route;
    uint32_t allowed; /* METHOD_BITs that the path has routes for (set for NOT_ALLOWED) */
    size_t n_params;
    struct {
        struct slice name;  /* points into the configuration */
        struct slice value; /* points into the looked-up path */
    } params[ROUTER_MAX_PARAMS];
};

enum router_result {
    ROUTER_FOUND,
    ROUTER_NOT_FOUND,
    ROUTER_METHOD_NOT_ALLOWED,
};

/* Compiles every route of the configuration, which must outlive the router. Conflicts (the same pattern with
 * an overlapping method, two parameter names at one place, a malformed pattern) go to `report`, each naming
 * both places; then -EBADMSG. */
int router_new(struct router **ret, const struct config *config, struct config_report *report) _warn_unused_;
struct router *router_free(struct router *router);

/* `host` as in the Host field, with or without port, any case; `path` normalised by path_normalize(), without
 * query. Allocates nothing. A route for GET also takes HEAD. Only match->allowed is valid unless FOUND. */
enum router_result router_lookup(const struct router *router, struct slice host, struct slice path,
                                 enum method method, struct router_match *match);
