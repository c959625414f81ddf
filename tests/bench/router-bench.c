/* Nanoseconds per router_lookup(): reads "METHOD /path" lines, makes one request path of every route by
 * putting the names of the parameters in their places, and looks them up in a random order.
 *
 * Usage: router-bench FILE. Prints "ROUTES MEDIAN MINIMUM", over batches. */

#include "../unit/router-fixture.h"
#include "util/clock.h"

enum {
    N_DRAWS = 8192, /* lookups of one pass, each of a random route */
    BATCHES = 41,
    LOOKUPS_PER_BATCH = 20 * N_DRAWS,
};

struct probe {
    struct slice path;
    enum method method;
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* "/a/:name/b" becomes "/a/name/b", a catch-all likewise. */
static char *make_path(const char *pattern)
{
    struct strbuf path = STRBUF_INIT;
    for (; *pattern; pattern++)
        if (*pattern != ':' && *pattern != '*')
            strbuf_add_char(&path, *pattern);
    return strbuf_steal(&path);
}

static size_t read_routes(const char *file, struct fixture_route **ret)
{
    _cleanup_fclose_ FILE *in = fopen(file, "re");
    if (!in) {
        fprintf(stderr, "router-bench: cannot read %s: %s\n", file, strerror(errno));
        exit(EXIT_FAILURE);
    }
    struct fixture_route *routes = NULL;
    size_t n = 0;
    char method[16], pattern[512];
    _cleanup_free_ char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, in) >= 0) {
        if (*line == '#' || sscanf(line, "%15s %511s", method, pattern) != 2)
            continue;
        routes = xrealloc(routes, n + 1, sizeof(*routes));
        routes[n++] =
            (struct fixture_route){xstrdup(pattern), METHOD_BIT(method_from_slice(slice_of(method)))};
    }
    *ret = routes;
    return n;
}

static uint32_t random_next(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static double time_batch(const struct router *router, const struct probe *draws)
{
    uint64_t found = 0;
    struct router_match match;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < LOOKUPS_PER_BATCH; i++) {
        const struct probe *probe = &draws[i % N_DRAWS];
        found += router_lookup(router, SLICE_LITERAL("bench.example"), probe->path, probe->method, &match) ==
                 ROUTER_FOUND;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (found != LOOKUPS_PER_BATCH) {
        fprintf(stderr, "router-bench: a path of a route was not found\n");
        exit(EXIT_FAILURE);
    }
    return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
           LOOKUPS_PER_BATCH;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: router-bench FILE\n");
        return 2;
    }
    struct fixture_route *routes;
    size_t n_routes = read_routes(argv[1], &routes);
    struct config *config = fixture_config(routes, n_routes);
    struct config_report report = CONFIG_REPORT_INIT;
    struct router *router = NULL;
    int r = router_new(&router, config, &report);
    for (size_t i = 0; i < report.n_problems; i++)
        fprintf(stderr, "%s:%u: %s\n", argv[1], report.problems[i].line, report.problems[i].message);
    if (r < 0 || n_routes == 0)
        return EXIT_FAILURE;

    struct probe *probes = xcalloc(n_routes, sizeof(*probes)), *draws = xcalloc(N_DRAWS, sizeof(*draws));
    for (size_t i = 0; i < n_routes; i++)
        probes[i] = (struct probe){slice_of(make_path(routes[i].pattern)),
                                   (enum method)__builtin_ctz(routes[i].methods)};
    uint32_t seed = 1;
    for (size_t i = 0; i < N_DRAWS; i++)
        draws[i] = probes[random_next(&seed) % n_routes];

    double batches[BATCHES];
    time_batch(router, draws);
    for (int i = 0; i < BATCHES; i++)
        batches[i] = time_batch(router, draws);
    qsort(batches, BATCHES, sizeof(*batches), compare_doubles);
    printf("%zu %.1f %.1f\n", n_routes, batches[BATCHES / 2], batches[0]);

    for (size_t i = 0; i < n_routes; i++) {
        free((char *)probes[i].path.data);
        free((char *)routes[i].pattern);
    }
    free(probes);
    free(draws);
    free(routes);
    router_free(router);
    config_report_deinit(&report);
    fixture_config_free(config);
    return 0;
}
