#include "router/router.h"

#include "router/host.h"
#include "router/tree_builder.h"

struct router {
    struct host_table hosts; /* value: struct tree */
    struct tree *any;        /* the routes without a host */
};

/* While it is being built, the host table's values are builders. */
struct assembly {
    struct host_table hosts;
    struct tree_builder *any;
};

static void assembly_deinit(struct assembly *assembly)
{
    for (size_t i = 0; i < assembly->hosts.n_entries; i++)
        tree_builder_free(assembly->hosts.entries[i].value);
    host_table_deinit(&assembly->hosts);
    tree_builder_free(assembly->any);
}

static void report_route(struct config_report *report, const struct route_config *route,
                         const struct strbuf *problem)
{
    _cleanup_strbuf_ struct strbuf section = STRBUF_INIT;
    strbuf_addf(&section, "Route %s", route->pattern);
    config_report_add(report, true, route->place, strbuf_string(&section), NULL, NULL, NULL, "%s",
                      strbuf_string(problem));
}

static int add_route(struct assembly *assembly, const struct route_config *route,
                     struct config_report *report)
{
    _cleanup_strbuf_ struct strbuf problem = STRBUF_INIT;
    int r = pattern_check_host(route->host, &problem);
    if (r < 0) {
        report_route(report, route, &problem);
        return r;
    }

    uint32_t methods = route->methods;
    if (route->kind == ROUTE_STATIC) {
        methods &= METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_HEAD);
        if (!methods) {
            strbuf_add_string(&problem, "files are only for GET and HEAD, and Methods= leaves out both");
            report_route(report, route, &problem);
            return -EINVAL;
        }
    }

    _cleanup_(pattern_deinit)
    struct pattern pattern = {0};
    r = pattern_parse(&pattern, route->path, route->kind == ROUTE_STATIC, &problem);
    if (r < 0) {
        report_route(report, route, &problem);
        return r;
    }

    struct tree_builder *builder = assembly->any;
    if (*route->host) {
        void **value = host_table_add(&assembly->hosts, route->host);
        if (!*value)
            *value = tree_builder_new();
        builder = *value;
    }
    return tree_builder_add(builder, &pattern, route, methods, report);
}

int router_new(struct router **ret, const struct config *config, struct config_report *report)
{
    _cleanup_(assembly_deinit)
    struct assembly assembly = {.any = tree_builder_new()};
    bool failed = false;
    for (size_t i = 0; i < config->n_routes; i++)
        if (add_route(&assembly, config->routes[i], report) < 0)
            failed = true;
    if (failed)
        return -EBADMSG;

    struct router *router = xcalloc(1, sizeof(*router));
    router->any = tree_builder_finish(assembly.any);
    router->hosts = assembly.hosts;
    assembly.hosts = (struct host_table)HOST_TABLE_INIT;
    for (size_t i = 0; i < router->hosts.n_entries; i++) {
        struct host_entry *entry = &router->hosts.entries[i];
        struct tree_builder *builder = entry->value;
        entry->value = tree_builder_finish(builder);
        tree_builder_free(builder);
    }
    host_table_seal(&router->hosts);
    *ret = router;
    return 0;
}

struct router *router_free(struct router *router)
{
    if (!router)
        return NULL;
    for (size_t i = 0; i < router->hosts.n_entries; i++)
        tree_free(router->hosts.entries[i].value);
    host_table_deinit(&router->hosts);
    tree_free(router->any);
    free(router);
    return NULL;
}

enum router_result router_lookup(const struct router *router, struct slice host, struct slice path,
                                 enum method method, struct router_match *match)
{
    match->allowed = 0;
    for (const struct host_entry *entry = host_table_find(&router->hosts, host); entry; entry = entry->wider)
        if (tree_lookup(entry->value, path, method, match) == ROUTER_FOUND)
            return ROUTER_FOUND;
    return tree_lookup(router->any, path, method, match);
}
