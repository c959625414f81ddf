/* Which route takes a request. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "router-fixture.h"
#include "router/host.h"
#include "router/path.h"

#define GET METHOD_BIT(METHOD_GET)
#define HEAD METHOD_BIT(METHOD_HEAD)
#define POST METHOD_BIT(METHOD_POST)
#define PUT METHOD_BIT(METHOD_PUT)

struct fixture {
    struct config *config;
    struct router *router;
    struct config_report report;
};

static int fixture_init(struct fixture *fixture, const struct fixture_route *routes, size_t n)
{
    *fixture = (struct fixture){.config = fixture_config(routes, n)};
    return router_new(&fixture->router, fixture->config, &fixture->report);
}

static void fixture_deinit(struct fixture *fixture)
{
    router_free(fixture->router);
    config_report_deinit(&fixture->report);
    fixture_config_free(fixture->config);
}

static void print_problems(const struct config_report *report)
{
    for (size_t i = 0; i < report->n_problems; i++)
        print_error("%s:%u: %s\n", report->problems[i].file, report->problems[i].line,
                    report->problems[i].message);
}

struct probe {
    const char *path;
    const char *route;  /* the pattern that takes it; NULL: not found; "405" */
    const char *params; /* "name=value name=value" */
};

static void format_params(const struct router_match *match, struct strbuf *out)
{
    for (size_t i = 0; i < match->n_params; i++)
        strbuf_addf(out, "%s%.*s=%.*s", i ? " " : "", (int)match->params[i].name.size,
                    match->params[i].name.data, (int)match->params[i].value.size,
                    match->params[i].value.data);
}

static void check_probe(const struct router *router, const char *host, enum method method,
                        const struct probe *probe)
{
    struct router_match match;
    memset(&match, 0xa5, sizeof(match));
    enum router_result result = router_lookup(router, slice_of(host), slice_of(probe->path), method, &match);
    const char *got = result == ROUTER_FOUND       ? match.route->pattern
                      : result == ROUTER_NOT_FOUND ? NULL
                                                   : "405";
    if (!got || !probe->route ? got != probe->route : !streq(got, probe->route))
        fail_msg("%s %s%s: got %s, expected %s", method_to_string(method), host, probe->path,
                 got ? got : "404", probe->route ? probe->route : "404");
    if (result == ROUTER_FOUND) {
        _cleanup_strbuf_ struct strbuf params = STRBUF_INIT;
        format_params(&match, &params);
        assert_string_equal(strbuf_string(&params), probe->params ? probe->params : "");
    }
}

static void check_table(const struct fixture_route *routes, size_t n_routes, const struct probe *probes,
                        size_t n_probes)
{
    /* In whatever order the routes are declared: as they stand, and backwards. */
    for (int backwards = 0; backwards < 2; backwards++) {
        struct fixture_route *ordered = xcalloc(n_routes, sizeof(*ordered));
        for (size_t i = 0; i < n_routes; i++)
            ordered[i] = routes[backwards ? n_routes - 1 - i : i];
        _cleanup_(fixture_deinit)
        struct fixture fixture;
        int r = fixture_init(&fixture, ordered, n_routes);
        free(ordered);
        print_problems(&fixture.report);
        assert_int_equal(r, 0);
        for (size_t i = 0; i < n_probes; i++)
            check_probe(fixture.router, "any.example", METHOD_GET, &probes[i]);
    }
}
#define CHECK_TABLE(routes, probes) check_table(routes, ARRAY_SIZE(routes), probes, ARRAY_SIZE(probes))

static void test_static(void **state)
{
    static const struct fixture_route routes[] = {
        {"/hi"},   {"/contact"},         {"/co"},           {"/c"},        {"/a"},        {"/ab"},
        {"/doc/"}, {"/doc/go_faq.html"}, {"/doc/go1.html"}, {"/\xce\xb1"}, {"/\xce\xb2"},
    };
    static const struct probe probes[] = {
        {"/a", "/a"},
        {"/", NULL},
        {"/hi", "/hi"},
        {"/hi/", NULL},
        {"/contact", "/contact"},
        {"/co", "/co"},
        {"/con", NULL},
        {"/cona", NULL},
        {"/no", NULL},
        {"/ab", "/ab"},
        {"/abc", NULL},
        {"/doc", NULL},
        {"/doc/", "/doc/"},
        {"/doc/go_faq.html", "/doc/go_faq.html"},
        {"/doc/go1.html", "/doc/go1.html"},
        {"/doc/go", NULL},
        {"/%CE%B1", "/\xce\xb1"},
        {"/%CE%B2", "/\xce\xb2"},
        {"/%CE", NULL},
    };
    CHECK_TABLE(routes, probes);
}

static void test_wildcards(void **state)
{
    static const struct fixture_route routes[] = {
        {"/"},
        {"/cmd/:tool/"},
        {"/cmd/:tool/:sub"},
        {"/cmd/whoami"},
        {"/cmd/whoami/root"},
        {"/cmd/whoami/root/"},
        {"/src/*filepath"},
        {"/search/"},
        {"/search/:query"},
        {"/search/gin-gonic"},
        {"/search/google"},
        {"/user_:name"},
        {"/user_:name/about"},
        {"/files/:dir/*filepath"},
        {"/doc/"},
        {"/doc/go1.html"},
        {"/info/:user/public"},
        {"/info/:user/project/:project"},
        {"/info/:user/project/golang"},
        {"/aa/*xx"},
        {"/ab/*xx"},
        {"/:cc"},
        {"/:cc/cc"},
        {"/:cc/:dd/ee"},
        {"/:cc/:dd/:ee/ff"},
        {"/get/test/abc/"},
        {"/get/:param/abc/"},
        {"/something/:paramname/thirdthing"},
        {"/something/secondthing/test"},
        {"/get/abc"},
        {"/get/:param"},
        {"/get/abc/123abc"},
        {"/get/abc/:param"},
        {"/get/abc/123abc/xxx8"},
        {"/get/abc/123abc/:param"},
    };
    static const struct probe probes[] = {
        {"/", "/"},
        {"/cmd/test", NULL},
        {"/cmd/test/", "/cmd/:tool/", "tool=test"},
        {"/cmd/test/3", "/cmd/:tool/:sub", "tool=test sub=3"},
        {"/cmd/who", NULL},
        {"/cmd/who/", "/cmd/:tool/", "tool=who"},
        {"/cmd/whoami", "/cmd/whoami"},
        {"/cmd/whoami/", "/cmd/:tool/", "tool=whoami"},
        {"/cmd/whoami/r", "/cmd/:tool/:sub", "tool=whoami sub=r"},
        {"/cmd/whoami/root", "/cmd/whoami/root"},
        {"/cmd/whoami/root/", "/cmd/whoami/root/"},
        {"/src", "/:cc", "cc=src"},
        {"/src/", "/src/*filepath", "filepath=/"},
        {"/src/some/file.png", "/src/*filepath", "filepath=/some/file.png"},
        {"/src//x", "/src/*filepath", "filepath=//x"},
        {"/search/", "/search/"},
        {"/search/gin", "/search/:query", "query=gin"},
        {"/search/gin-gonic", "/search/gin-gonic"},
        {"/search/gin-gonics", "/search/:query", "query=gin-gonics"},
        {"/search/google/", NULL},
        {"/user_gopher", "/user_:name", "name=gopher"},
        {"/user_gopher/about", "/user_:name/about", "name=gopher"},
        {"/user_", "/:cc", "cc=user_"},
        {"/use", "/:cc", "cc=use"},
        {"/users", "/:cc", "cc=users"},
        {"/user_a/cc", "/:cc/cc", "cc=user_a"},
        {"/files/js/inc/framework.js", "/files/:dir/*filepath", "dir=js filepath=/inc/framework.js"},
        {"/files/js/", "/files/:dir/*filepath", "dir=js filepath=/"},
        {"/files/js", NULL},
        {"/files//x", NULL},
        {"/info/gordon/public", "/info/:user/public", "user=gordon"},
        {"/info/gordon/project/go", "/info/:user/project/:project", "user=gordon project=go"},
        {"/info/gordon/project/golang", "/info/:user/project/golang", "user=gordon"},
        {"/aa/aa", "/aa/*xx", "xx=/aa"},
        {"/ab/ab", "/ab/*xx", "xx=/ab"},
        {"/a", "/:cc", "cc=a"},
        {"/all", "/:cc", "cc=all"},
        {"/a/cc", "/:cc/cc", "cc=a"},
        {"/a/dd/ee", "/:cc/:dd/ee", "cc=a dd=dd"},
        {"/a/dd/ee/ff", "/:cc/:dd/:ee/ff", "cc=a dd=dd ee=ee"},
        {"/doc/go1.html/ee", "/:cc/:dd/ee", "cc=doc dd=go1.html"},
        {"/get/test/abc/", "/get/test/abc/"},
        {"/get/te/abc/", "/get/:param/abc/", "param=te"},
        {"/get/testaa/abc/", "/get/:param/abc/", "param=testaa"},
        {"/get/xx/abc/", "/get/:param/abc/", "param=xx"},
        {"/get/abc", "/get/abc"},
        {"/get/a", "/get/:param", "param=a"},
        {"/get/abz", "/get/:param", "param=abz"},
        {"/get/abc/123", "/get/abc/:param", "param=123"},
        {"/get/abc/123abc", "/get/abc/123abc"},
        {"/get/abc/123abcd", "/get/abc/:param", "param=123abcd"},
        {"/get/abc/123abc/xxx8", "/get/abc/123abc/xxx8"},
        {"/get/abc/123abc/xxx", "/get/abc/123abc/:param", "param=xxx"},
        {"/get/abc/123abc/xxx8/", NULL},
        {"/something/secondthing/test", "/something/secondthing/test"},
        {"/something/secondthing/thirdthing", "/something/:paramname/thirdthing", "paramname=secondthing"},
        {"/something/else/thirdthing", "/something/:paramname/thirdthing", "paramname=else"},
        {"/something/secondthing/ee", "/:cc/:dd/ee", "cc=something dd=secondthing"},
        {"//cc", NULL},
        {"//", NULL},
    };
    CHECK_TABLE(routes, probes);
}

static void test_catch_all_is_last(void **state)
{
    static const struct fixture_route routes[] = {
        {"/*any"},
        {"/api/*rest"},
        {"/api/v1/*rest"},
        {"/api/v1/users/:id"},
        {"/api/v1/users/me"},
        {"/api/:version/ping"},
    };
    static const struct probe probes[] = {
        {"/", "/*any", "any=/"},
        {"/x", "/*any", "any=/x"},
        {"/api", "/*any", "any=/api"},
        {"/api/", "/api/*rest", "rest=/"},
        {"/api/x/y", "/api/*rest", "rest=/x/y"},
        {"/api/v1", "/api/*rest", "rest=/v1"},
        {"/api/v1/", "/api/v1/*rest", "rest=/"},
        {"/api/v1/users", "/api/v1/*rest", "rest=/users"},
        {"/api/v1/users/", "/api/v1/*rest", "rest=/users/"},
        {"/api/v1/users/7", "/api/v1/users/:id", "id=7"},
        {"/api/v1/users/me", "/api/v1/users/me"},
        {"/api/v1/users/me/x", "/api/v1/*rest", "rest=/users/me/x"},
        {"/api/v2/ping", "/api/:version/ping", "version=v2"},
        {"/api/v1/ping", "/api/v1/*rest", "rest=/ping"},
        {"/api/v2/pong", "/api/*rest", "rest=/v2/pong"},
        {"/api//ping", "/api/*rest", "rest=//ping"},
        {"//", "/*any", "any=//"},
    };
    CHECK_TABLE(routes, probes);
}

static void test_methods(void **state)
{
    static const struct fixture_route routes[] = {
        {"/a", GET},       {"/a/:id", GET | PUT}, {"/a/fixed", POST}, {"/b", HEAD},
        {"/c/*rest", PUT}, {"/c/d", GET},         {"/all"},
    };
    _cleanup_(fixture_deinit)
    struct fixture fixture;
    assert_int_equal(fixture_init(&fixture, routes, ARRAY_SIZE(routes)), 0);
    static const struct {
        enum method method;
        struct probe probe;
        uint32_t allowed;
    } probes[] = {
        {METHOD_GET, {"/a", "/a"}},
        {METHOD_HEAD, {"/a", "/a"}},
        {METHOD_POST, {"/a", "405"}, GET | HEAD},
        {METHOD_OTHER, {"/a", "405"}, GET | HEAD},
        {METHOD_OPTIONS, {"/nothing", NULL}},
        {METHOD_POST, {"/a/fixed", "/a/fixed"}},
        {METHOD_GET, {"/a/fixed", "/a/:id", "id=fixed"}}, /* the static branch has no GET */
        {METHOD_DELETE, {"/a/fixed", "405"}, GET | HEAD | PUT | POST},
        {METHOD_HEAD, {"/b", "/b"}},
        {METHOD_GET, {"/b", "405"}, HEAD},
        {METHOD_PUT, {"/c/d", "/c/*rest", "rest=/d"}},
        {METHOD_POST, {"/c/d", "405"}, GET | HEAD | PUT},
        {METHOD_OTHER, {"/all", "/all"}},
        {METHOD_CONNECT, {"/all", "/all"}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
        check_probe(fixture.router, "", probes[i].method, &probes[i].probe);
        struct router_match match;
        if (router_lookup(fixture.router, slice_of(""), slice_of(probes[i].probe.path), probes[i].method,
                          &match) == ROUTER_METHOD_NOT_ALLOWED)
            assert_int_equal(match.allowed, probes[i].allowed);
    }
}

static void test_hosts(void **state)
{
    static const struct fixture_route routes[] = {
        {"/shared"},
        {"/default"},
        {"shop.example.com/"},
        {"shop.example.com/get", GET},
        {"*.example.com/"},
        {"*.example.com/wide"},
        {"*.example.com/get", POST},
        {"*.deep.example.com/deep"},
        {"example.com/"},
        {"[::1]/"},
        {"127.0.0.1/"},
        {"localhost/shared"},
    };
    _cleanup_(fixture_deinit)
    struct fixture fixture;
    int r = fixture_init(&fixture, routes, ARRAY_SIZE(routes));
    print_problems(&fixture.report);
    assert_int_equal(r, 0);
    static const struct {
        const char *host;
        struct probe probe;
    } probes[] = {
        {"shop.example.com", {"/", "shop.example.com/"}},
        {"SHOP.Example.COM", {"/", "shop.example.com/"}},
        {"shop.example.com:8443", {"/", "shop.example.com/"}},
        {"shop.example.com.", {"/", "shop.example.com/"}},
        {"shop.example.com.:80", {"/", "shop.example.com/"}},
        {"shop.example.com..", {"/", NULL}},
        {"shop.example.com", {"/wide", "*.example.com/wide"}},
        {"shop.example.com", {"/default", "/default"}},
        {"a.example.com", {"/", "*.example.com/"}},
        {"a.b.example.com", {"/", "*.example.com/"}},
        {"x.deep.example.com", {"/deep", "*.deep.example.com/deep"}},
        {"x.deep.example.com", {"/wide", "*.example.com/wide"}},
        {"x.deep.example.com", {"/shared", "/shared"}},
        {"deep.example.com", {"/deep", NULL}},
        {"deep.example.com", {"/", "*.example.com/"}},
        {"example.com", {"/", "example.com/"}},
        {"example.com", {"/wide", NULL}},
        {".example.com", {"/wide", NULL}},
        {"badexample.com", {"/", NULL}},
        {"com", {"/", NULL}},
        {"", {"/", NULL}},
        {".", {"/", NULL}},
        {":80", {"/", NULL}},
        {"", {"/default", "/default"}},
        {"[::1]", {"/", "[::1]/"}},
        {"[::1]:80", {"/", "[::1]/"}},
        {"[::1", {"/", NULL}},
        {"[::2]:80", {"/", NULL}},
        {"127.0.0.1:8080", {"/", "127.0.0.1/"}},
        {"localhost", {"/shared", "localhost/shared"}},
        {"other", {"/shared", "/shared"}},
        {"shop.example.com", {"/get", "shop.example.com/get"}},
        {"b.example.com", {"/get", "405"}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
        check_probe(fixture.router, probes[i].host, METHOD_GET, &probes[i].probe);

    /* Another method goes on to the wider host, and 405 unites what was passed by. */
    check_probe(fixture.router, "shop.example.com", METHOD_POST,
                &(struct probe){"/get", "*.example.com/get"});
    struct router_match match;
    assert_int_equal(
        router_lookup(fixture.router, slice_of("shop.example.com"), slice_of("/get"), METHOD_PUT, &match),
        ROUTER_METHOD_NOT_ALLOWED);
    assert_int_equal(match.allowed, GET | HEAD | POST);

    char *endless = xcalloc(100000, 1);
    memset(endless, 'a', 99999);
    check_probe(fixture.router, endless, METHOD_GET, &(struct probe){"/shared", "/shared"});
    memset(endless, '.', 99999);
    check_probe(fixture.router, endless, METHOD_GET, &(struct probe){"/shared", "/shared"});
    free(endless);
}

static void test_files_take_what_is_beneath(void **state)
{
    static const struct fixture_route routes[] = {
        {"/", 0, ROUTE_STATIC},     {"/*any", POST, ROUTE_UPSTREAM},        {"/api/*rest", 0, ROUTE_UPSTREAM},
        {"/logo", 0, ROUTE_STATIC}, {"/assets/:version/", 0, ROUTE_STATIC},
    };
    static const struct probe probes[] = {
        {"/", "/", "*=/"},
        {"/a/b.html", "/", "*=/a/b.html"},
        {"/api", "/", "*=/api"},
        {"/api/x", "/api/*rest", "rest=/x"},
        {"/logo", "/logo"},
        {"/logo/", "/", "*=/logo/"},
        {"/assets/7/x.css", "/assets/:version/", "version=7 *=/x.css"},
    };
    CHECK_TABLE(routes, probes);

    _cleanup_(fixture_deinit)
    struct fixture fixture;
    assert_int_equal(fixture_init(&fixture, routes, ARRAY_SIZE(routes)), 0);
    check_probe(fixture.router, "", METHOD_POST, &(struct probe){"/x", "/*any", "any=/x"});
    check_probe(fixture.router, "", METHOD_HEAD, &(struct probe){"/x", "/", "*=/x"});
    check_probe(fixture.router, "", METHOD_PUT, &(struct probe){"/x", "405"});
}

/* What is wrong is said with both places. */
static void test_conflicts(void **state)
{
    static const struct {
        struct fixture_route routes[2];
        const char *message; /* what it must contain; NULL: no conflict */
    } cases[] = {
        {{{"/a"}, {"/a"}}, "takes GET requests that [Route /a] at routes.conf:1 takes already"},
        {{{"/a", POST}, {"/a"}}, "takes POST requests that [Route /a] at routes.conf:1"},
        {{{"/a", POST}, {"/a", GET}}, NULL},
        {{{"/a", HEAD}, {"/a", GET}}, NULL},
        {{{"/a"}, {"/b"}}, NULL},
        {{{"/a"}, {"h/a"}}, NULL},
        {{{"h/a"}, {"h/a"}}, "[Route h/a] at routes.conf:1"},
        {{{"*.h/a"}, {"h/a"}}, NULL},
        {{{"/a/:id"}, {"/a/:id"}}, "takes GET requests that [Route /a/:id] at routes.conf:1"},
        {{{"/a/:id"}, {"/a/:name"}},
         "calls a parameter \":name\" that [Route /a/:id] at routes.conf:1 calls \":id\""},
        {{{"/a/:id/x", GET}, {"/a/:name/y", POST}}, "calls \":id\": give both the same name"},
        {{{"/a/:id/x"}, {"/b/:name/x"}}, NULL},
        {{{"/a/:id/x"}, {"/a/b:name/x"}}, NULL},
        {{{"/a/:id"}, {"/a/*rest"}}, NULL},
        {{{"/a/*rest"}, {"/a/b"}}, NULL},
        {{{"/a/*rest"}, {"/a/"}}, NULL},
        {{{"/a/*rest"}, {"/a/*rest"}}, "takes GET requests that [Route /a/*rest] at routes.conf:1"},
        {{{"/a/*rest", GET}, {"/a/*other", POST}}, "calls a parameter \"*other\""},
        {{{"/", 0, ROUTE_STATIC}, {"/*rest"}}, "everything beneath"},
        {{{"/*rest"}, {"/", 0, ROUTE_STATIC}}, "takes GET requests that [Route /*rest] at routes.conf:1"},
        {{{"/", 0, ROUTE_STATIC}, {"/"}}, "everything beneath"},
        {{{"/"}, {"/", 0, ROUTE_STATIC}}, "takes GET requests that [Route /] at routes.conf:1"},
        {{{"/", 0, ROUTE_STATIC}, {"/", POST}}, NULL},
        {{{"/", 0, ROUTE_STATIC}, {"/", 0, ROUTE_STATIC}}, "routes.conf:1"},
        {{{"/x"}, {"/", POST, ROUTE_STATIC}}, "files are only for GET and HEAD"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(fixture_deinit)
        struct fixture fixture;
        int r = fixture_init(&fixture, cases[i].routes, 2);
        if (!cases[i].message) {
            print_problems(&fixture.report);
            assert_int_equal(r, 0);
            continue;
        }
        assert_int_equal(r, -EBADMSG);
        assert_int_equal(fixture.report.n_errors, 1);
        const struct config_problem *problem = &fixture.report.problems[0];
        assert_string_equal(problem->file, "routes.conf");
        assert_int_equal(problem->line, 2);
        if (!strstr(problem->message, cases[i].message))
            fail_msg("\"%s\" does not contain \"%s\"", problem->message, cases[i].message);
    }
}

static void test_malformed(void **state)
{
    static const struct {
        const char *pattern, *message;
    } cases[] = {
        {"", "begins with '/'"},
        {"a", "begins with '/'"},
        {"/:", "needs a name"},
        {"/a/:/b", "needs a name"},
        {"/*", "needs a name"},
        {"/:a:b", "only one parameter per path segment"},
        {"/:a*b", "only one parameter per path segment"},
        {"/:1", "not a parameter name"},
        {"/:a.html", "not a parameter name"},
        {"/:\xc3\xa9", "not a parameter name"},
        {"/:a/:a", "used twice"},
        {"/:a/*a", "used twice"},
        {"/*a/b", "whole last segment"},
        {"/*a/", "whole last segment"},
        {"/a*b", "whole last segment"},
        {"/a%20b", "'%' escape"},
        {"/a?b=c", "query"},
        {"/a#b", "fragment"},
        {"/a b", "blanks"},
        {"/a\tb", "blanks"},
        {"/a\x7f", "blanks"},
        {"/./a", "dot segments"},
        {"/a/..", "dot segments"},
        {"/\xff", "UTF-8"},
        {"/:a/:b/:c/:d/:e/:f/:g/:h/:i/:j/:k/:l/:m/:n/:o/:p/:q", "more than 16 parameters"},
        {"Shop.example.com/", "lower-case"},
        {"shop..com/", "not a host"},
        {"shop.com./", "not a host"},
        {"shop.com:80/", "port"},
        {"*/", "first label"},
        {"a.*.com/", "first label"},
        {"*example.com/", "first label"},
        {"*./", "not a host"},
        {"[::1/", "IPv6"},
        {"[::1]:80/", "IPv6"},
        {"b\xc3\xbc"
         "cher.de/",
         "xn--"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_(fixture_deinit)
        struct fixture fixture;
        int r = fixture_init(&fixture, &(struct fixture_route){cases[i].pattern}, 1);
        if (r != -EBADMSG)
            fail_msg("\"%s\" was accepted", cases[i].pattern);
        assert_int_equal(fixture.report.n_errors, 1);
        if (!strstr(fixture.report.problems[0].message, cases[i].message))
            fail_msg("\"%s\" does not contain \"%s\"", fixture.report.problems[0].message, cases[i].message);
    }

    char *longest = xcalloc(5000, 1);
    memset(longest, 'a', 4999);
    longest[0] = '/';
    _cleanup_(fixture_deinit)
    struct fixture fixture;
    assert_int_equal(fixture_init(&fixture, &(struct fixture_route){longest}, 1), -EBADMSG);
    assert_non_null(strstr(fixture.report.problems[0].message, "longer than 2048"));
    free(longest);
}

static void test_every_problem_is_reported(void **state)
{
    static const struct fixture_route routes[] = {{"/:"}, {"/a"}, {"/a"}, {"x..y/"}};
    _cleanup_(fixture_deinit)
    struct fixture fixture;
    assert_int_equal(fixture_init(&fixture, routes, ARRAY_SIZE(routes)), -EBADMSG);
    assert_int_equal(fixture.report.n_errors, 3);
}

static void test_no_routes(void **state)
{
    _cleanup_(fixture_deinit)
    struct fixture fixture;
    assert_int_equal(fixture_init(&fixture, NULL, 0), 0);
    check_probe(fixture.router, "x", METHOD_GET, &(struct probe){"/", NULL});
    check_probe(fixture.router, "x", METHOD_GET, &(struct probe){"", NULL});
}

/* A reference that is slow and obvious: each pattern is matched on its own, and of those that match the best
 * is the one that is more specific where two first differ. */
enum piece {
    PIECE_STATIC,
    PIECE_PARAM,
    PIECE_NONE, /* the end; only a catch-all can compete with it */
    PIECE_REST,
};

/* Writes for every byte of the path which kind of piece took it. */
static bool reference_match(const char *pattern, const char *path, enum piece kinds[64])
{
    const char *begin = path;
    while (*pattern) {
        if (*pattern == '*') {
            kinds[path - begin] = PIECE_REST;
            return true;
        }
        if (*pattern == ':') {
            if (!*path || *path == '/')
                return false;
            for (; *path && *path != '/'; path++)
                kinds[path - begin] = PIECE_PARAM;
            pattern += strcspn(pattern, "/");
            continue;
        }
        if (*pattern++ != *path)
            return false;
        kinds[path++ - begin] = PIECE_STATIC;
    }
    kinds[path - begin] = PIECE_NONE;
    return !*path;
}

static const struct route_config *reference_lookup(const struct config *config, const char *path,
                                                   enum method method, uint32_t *allowed)
{
    const struct route_config *best = NULL;
    enum piece best_kinds[64];
    *allowed = 0;
    for (size_t i = 0; i < config->n_routes; i++) {
        const struct route_config *route = config->routes[i];
        enum piece kinds[64];
        if (!reference_match(route->path, path, kinds))
            continue;
        uint32_t methods = route->methods;
        *allowed |= methods;
        if (!(methods & METHOD_BIT(method)))
            continue;
        size_t at = 0;
        bool better = !best;
        if (best) {
            while (kinds[at] == best_kinds[at] && kinds[at] < PIECE_NONE)
                at++;
            better = kinds[at] < best_kinds[at];
        }
        if (better) {
            best = route;
            memcpy(best_kinds, kinds, sizeof(kinds));
        }
    }
    return best;
}

static uint32_t random_next(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* A pattern of few letters, so that patterns share much. A parameter's name tells where it stands, so that
 * there is no conflict of names. */
static void random_pattern(uint32_t *seed, char out[64])
{
    size_t size = 0;
    unsigned n_segments = random_next(seed) % 4 + 1, n_params = 0;
    for (unsigned i = 0; i < n_segments; i++) {
        out[size++] = '/';
        unsigned kind = random_next(seed) % 8;
        if (kind == 0 && i == n_segments - 1) {
            out[size++] = '*';
            out[size++] = 'z';
            break;
        }
        for (unsigned n = random_next(seed) % 4; n > 0; n--)
            out[size++] = "abc"[random_next(seed) % 3];
        if (kind < 4) {
            out[size++] = ':';
            out[size++] = (char)('p' + n_params++);
        }
    }
    out[size] = '\0';
}

static void random_path(uint32_t *seed, char out[64])
{
    size_t size = 0;
    for (unsigned n = random_next(seed) % 5 + 1; n > 0; n--) {
        out[size++] = '/';
        for (unsigned k = random_next(seed) % 5; k > 0; k--)
            out[size++] = "abcd"[random_next(seed) % 4];
    }
    out[size] = '\0';
}

static void test_against_reference(void **state)
{
    enum { SETS = 400, PROBES = 400 };
    uint32_t seed = 0x5eed1234;
    size_t n_found = 0, n_with_params = 0, n_not_allowed = 0, n_sets = 0;
    for (int set = 0; set < SETS; set++) {
        char texts[48][64];
        struct fixture_route routes[48];
        size_t n = 0, want = random_next(&seed) % 47 + 1;
        for (size_t i = 0; i < want; i++) {
            random_pattern(&seed, texts[n]);
            bool is_new = true;
            for (size_t k = 0; k < n; k++)
                is_new = is_new && !streq(texts[k], texts[n]);
            static const uint32_t methods[] = {GET | HEAD, POST, PUT, METHOD_ALL, METHOD_ALL};
            if (is_new) {
                routes[n] =
                    (struct fixture_route){texts[n], methods[random_next(&seed) % ARRAY_SIZE(methods)]};
                n++;
            }
        }
        _cleanup_(fixture_deinit)
        struct fixture fixture;
        int r = fixture_init(&fixture, routes, n);
        print_problems(&fixture.report);
        assert_int_equal(r, 0);
        n_sets++;
        for (int probe = 0; probe < PROBES; probe++) {
            char path[64];
            random_path(&seed, path);
            enum method method = random_next(&seed) % 4;
            uint32_t allowed;
            const struct route_config *expected = reference_lookup(fixture.config, path, method, &allowed);
            struct router_match match;
            enum router_result result =
                router_lookup(fixture.router, slice_of("h"), slice_of(path), method, &match);
            const struct route_config *got = result == ROUTER_FOUND ? match.route : NULL;
            if (got != expected) {
                for (size_t i = 0; i < n; i++)
                    print_error("%s %x\n", routes[i].pattern, routes[i].methods);
                fail_msg("%s %s: got %s, expected %s", method_to_string(method), path,
                         got ? got->path : "nothing", expected ? expected->path : "nothing");
            }
            if (!got) {
                assert_int_equal(result, allowed ? ROUTER_METHOD_NOT_ALLOWED : ROUTER_NOT_FOUND);
                assert_int_equal(match.allowed, allowed);
                n_not_allowed += allowed != 0;
                continue;
            }
            n_found++;
            n_with_params += match.n_params > 1;

            /* Putting the values into the pattern gives the path again. */
            _cleanup_strbuf_ struct strbuf filled = STRBUF_INIT;
            size_t param = 0;
            for (const char *s = got->path; *s;) {
                if (*s != ':' && *s != '*') {
                    strbuf_add_char(&filled, *s++);
                    continue;
                }
                assert_true(slice_eq(match.params[param].name, slice_make(s + 1, strcspn(s + 1, "/"))));
                struct slice value = match.params[param++].value;
                if (*s == '*') {
                    assert_int_equal(value.data[0], '/');
                    value = slice_make(value.data + 1, value.size - 1);
                }
                strbuf_add_slice(&filled, value);
                s += strcspn(s, "/");
            }
            assert_int_equal(param, match.n_params);
            assert_string_equal(strbuf_string(&filled), path);
        }
    }
    /* The random sets were worth the trouble. */
    assert_true(n_sets == SETS && n_found > 10000 && n_with_params > 1000 && n_not_allowed > 1000);
}

/* More children than the small index holds, and all bytes as the first of an edge. */
static void test_wide_node(void **state)
{
    char texts[95][8];
    struct fixture_route routes[95];
    size_t n = 0;
    for (int c = 0x21; c < 0x7f; c++) {
        if (strchr(":*%?#./", c))
            continue;
        snprintf(texts[n], sizeof(texts[n]), "/%c%c", c, c);
        routes[n] = (struct fixture_route){texts[n]};
        n++;
    }
    for (size_t count = 1; count <= n; count++) {
        _cleanup_(fixture_deinit)
        struct fixture fixture;
        assert_int_equal(fixture_init(&fixture, routes, count), 0);
        for (size_t i = 0; i < n; i++)
            check_probe(fixture.router, "", METHOD_GET,
                        &(struct probe){texts[i], i < count ? texts[i] : NULL});
        struct router_match match;
        assert_int_equal(
            router_lookup(fixture.router, slice_of(""), slice_make("/\0", 2), METHOD_GET, &match),
            ROUTER_NOT_FOUND);
    }
}

static void test_method_names(void **state)
{
    for (enum method m = 0; m < METHOD_OTHER; m++)
        assert_int_equal(method_from_slice(slice_of(method_to_string(m))), m);
    assert_int_equal(method_from_slice(slice_of("get")), METHOD_OTHER);
    assert_int_equal(method_from_slice(slice_of("")), METHOD_OTHER);
    assert_int_equal(method_from_slice(slice_of("GETS")), METHOD_OTHER);
    assert_int_equal(method_from_slice(slice_of("OTHER")), METHOD_OTHER);

    char allow[METHOD_ALLOW_MAX];
    method_format_allow(GET | HEAD, allow);
    assert_string_equal(allow, "GET, HEAD");
    method_format_allow(METHOD_ALL, allow);
    assert_string_equal(allow, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, CONNECT");
    method_format_allow(0, allow);
    assert_string_equal(allow, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_static),
        cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_catch_all_is_last),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_files_take_what_is_beneath),
        cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_every_problem_is_reported),
        cmocka_unit_test(test_no_routes),
        cmocka_unit_test(test_against_reference),
        cmocka_unit_test(test_wide_node),
        cmocka_unit_test(test_method_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
