/* A line is a route, "[methods ]host/path", where the methods are a number; after an empty line each line is
 * a request, "host/path", that is tried with every method. What is found must be among what was declared,
 * with its parameters within the path. */

#include "../unit/router-fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_ROUTES = 64, MAX_REQUESTS = 64 };

static void check_match(const struct config *config, const struct router_match *match, struct slice path,
                        enum method method)
{
    const struct route_config *route = match->route;
    assert(route->index < config->n_routes && config->routes[route->index] == route);
    assert(route->methods & (METHOD_BIT(method) | (method == METHOD_HEAD ? METHOD_BIT(METHOD_GET) : 0)));
    assert(match->n_params <= ROUTER_MAX_PARAMS);
    const char *at = path.data, *end = path.data + path.size;
    for (size_t i = 0; i < match->n_params; i++) {
        struct slice value = match->params[i].value;
        assert(match->params[i].name.size > 0);
        assert(value.size > 0 && value.data >= at && value.data + value.size <= end);
        assert(value.data[0] == '/' ? i == match->n_params - 1 && value.data + value.size == end
                                    : !memchr(value.data, '/', value.size));
        at = value.data + value.size;
    }
}

static void look_up(const struct router *router, const struct config *config, struct slice line)
{
    const char *slash = line.size ? memchr(line.data, '/', line.size) : NULL;
    size_t host_size = slash ? (size_t)(slash - line.data) : line.size;
    struct slice host = slice_make(line.data, host_size), path = slice_skip(line, host_size);
    for (enum method m = 0; m < _METHOD_MAX; m++) {
        struct router_match match;
        enum router_result result = router_lookup(router, host, path, m, &match);
        if (result == ROUTER_FOUND)
            check_match(config, &match, path, m);
        else
            assert((match.allowed != 0) == (result == ROUTER_METHOD_NOT_ALLOWED) &&
                   !(match.allowed & METHOD_BIT(m)));
    }
}

/* The next line, without its end; false when there is none. */
static bool next_line(struct slice *rest, struct slice *ret)
{
    if (rest->size == 0)
        return false;
    const char *newline = memchr(rest->data, '\n', rest->size);
    *ret = slice_make(rest->data, newline ? (size_t)(newline - rest->data) : rest->size);
    *rest = slice_skip(*rest, MIN(ret->size + 1, rest->size));
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_make((const char *)data, size), line;
    struct fixture_route routes[MAX_ROUTES];
    char *texts[MAX_ROUTES];
    size_t n = 0;
    while (next_line(&rest, &line) && line.size > 0) {
        if (n == MAX_ROUTES)
            continue;
        texts[n] = xstrndup(line.data, line.size);
        char *pattern = texts[n];
        uint32_t methods = (uint32_t)strtoul(texts[n], &pattern, 10) & METHOD_ALL;
        pattern += pattern != texts[n] && *pattern == ' ';
        routes[n] = (struct fixture_route){pattern, methods, line.size % 7 ? ROUTE_UPSTREAM : ROUTE_STATIC};
        n++;
    }

    /* The first may stand against the second, and so on: only routes that go together make a router. */
    struct config *config = fixture_config(routes, n);
    struct config_report report = CONFIG_REPORT_INIT;
    struct router *router = NULL;
    if (router_new(&router, config, &report) < 0) {
        assert(report.n_errors > 0 && report.n_errors <= n && !router);
    } else {
        assert(report.n_errors == 0);
        for (int i = 0; i < MAX_REQUESTS && next_line(&rest, &line); i++)
            look_up(router, config, line);
    }
    router_free(router);
    config_report_deinit(&report);
    fixture_config_free(config);
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    return 0;
}
