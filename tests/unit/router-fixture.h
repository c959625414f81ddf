#pragma once
/* Routers made of a table, for tests and measurements: struct config by hand. */

#include "router/router.h"

struct fixture_route {
    const char *pattern; /* [host]/path */
    uint32_t methods;    /* 0: all */
    enum route_kind kind;
};

/* The configuration of these routes, declared in lines 1, 2, 3 … of "routes.conf". */
static inline struct config *fixture_config(const struct fixture_route *routes, size_t n)
{
    struct config *config = xcalloc(1, sizeof(*config));
    config->routes = xcalloc(n, sizeof(*config->routes));
    config->n_routes = n;
    for (size_t i = 0; i < n; i++) {
        struct route_config *route = config->routes[i] = xcalloc(1, sizeof(*route));
        const char *path = strchr(routes[i].pattern, '/');
        size_t host_size = path ? (size_t)(path - routes[i].pattern) : 0;
        route->pattern = xstrdup(routes[i].pattern);
        route->host = strndup(routes[i].pattern, host_size);
        route->path = xstrdup(routes[i].pattern + host_size);
        route->index = (unsigned)i;
        route->methods = routes[i].methods ? routes[i].methods : METHOD_ALL;
        route->kind = routes[i].kind;
        route->place = (struct config_place){"routes.conf", (unsigned)i + 1};
    }
    return config;
}

static inline struct config *fixture_config_free(struct config *config)
{
    if (!config)
        return NULL;
    for (size_t i = 0; i < config->n_routes; i++) {
        free(config->routes[i]->pattern);
        free(config->routes[i]->host);
        free(config->routes[i]->path);
        free(config->routes[i]);
    }
    free(config->routes);
    free(config);
    return NULL;
}
