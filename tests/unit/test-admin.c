#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>

#include "admin/admin.h"
#include "sample-config.h"

struct fixture {
    struct metrics *metrics;
    struct roster *roster;
    struct admin *admin;
    struct admin_snapshot snapshot;
    struct handler_reply reply;
    json_t *json;
    unsigned wedged;
};

static void take_snapshot(void *userdata, struct admin_snapshot *ret)
{
    *ret = ((struct fixture *)userdata)->snapshot;
}

static void wedge(void *userdata, unsigned worker)
{
    ((struct fixture *)userdata)->wedged = worker;
}

static int setup(void **state)
{
    static const struct descriptor_info descriptors[] = {
        {"http", "0.0.0.0:80"}, {"http", "[::]:80"}, {"https", "0.0.0.0:443"}, {"admin", "/run/x"}};
    static __typeof__(*((struct admin_snapshot *)NULL)->workers) workers[] = {
        {.connections = 3, .idle = 2, .requests = 1, .turns = 1000, .accepting = true},
        {.connections = 0, .idle = 0, .requests = 0, .turns = 2000, .accepting = false},
    };
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->snapshot = (struct admin_snapshot){
        .state = ADMIN_RUNNING,
        .generation = 7,
        .version = "1.2.3",
        .status_text = "Running",
        .started_realtime = UINT64_C(1700000000000000),
        .uptime = 90 * USEC_PER_SEC,
        .drain_deadline = USEC_INFINITY,
        .journal_dropped = 5,
        .workers = workers,
        .n_workers = ARRAY_SIZE(workers),
        .descriptors = descriptors,
        .n_descriptors = ARRAY_SIZE(descriptors),
    };
    f->wedged = UINT32_MAX;
    f->metrics = metrics_new(&sample_config, 2);
    f->roster = roster_new(&(struct roster_options){.config = &sample_config, .metrics = f->metrics}, 0);
    f->admin = admin_new(&(struct admin_options){.config = &sample_config,
                                                 .metrics = f->metrics,
                                                 .roster = f->roster,
                                                 .snapshot = take_snapshot,
                                                 .wedge = wedge,
                                                 .userdata = f});
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    json_decref(f->json);
    strbuf_deinit(&f->reply.body);
    admin_free(f->admin);
    roster_free(f->roster);
    metrics_free(f->metrics);
    free(f);
    return 0;
}

static const struct credentials root = {.pid = 1};

static void ask_slice(struct fixture *f, const char *method, struct slice path, const char *query,
                      const char *accept)
{
    strbuf_deinit(&f->reply.body);
    f->reply = (struct handler_reply){0};
    const struct handler_request request = {
        .method = method_from_slice(slice_of(method)),
        .method_name = slice_of(method),
        .path = path,
        .query = slice_of(query),
        .accept = slice_of(accept),
        .host = SLICE_LITERAL("holdfast"),
        .peer = &root,
    };
    admin_handle(f->admin, &request, &f->reply);
    assert_non_null(f->reply.content_type);
    assert_true(f->reply.body.size > 0);
    assert_int_equal(f->reply.body.data[f->reply.body.size - 1], '\n');
}

static void ask(struct fixture *f, const char *method, const char *path)
{
    ask_slice(f, method, slice_of(path), NULL, NULL);
}

/* Asks and takes the answer as JSON. */
static json_t *ask_json(struct fixture *f, const char *path)
{
    json_error_t error;
    ask_slice(f, "GET", slice_of(path), NULL, "application/json");
    json_decref(f->json);
    f->json = json_loadb(f->reply.body.data, f->reply.body.size, JSON_REJECT_DUPLICATES, &error);
    if (!f->json)
        fail_msg("%s: %s", path, error.text);
    return f->json;
}

/* The value at a path such as "workers.0.turns". */
static json_t *at(json_t *value, const char *path)
{
    char key[64];
    while (*path) {
        size_t n = strcspn(path, ".");
        snprintf(key, sizeof(key), "%.*s", (int)n, path);
        value = json_is_array(value) ? json_array_get(value, strtoul(key, NULL, 10))
                                     : json_object_get(value, key);
        path += n + (path[n] == '.');
    }
    return value;
}

#define assert_json_string(value, path, expected) \
    assert_string_equal(json_string_value(at(value, path)) ?: "(none)", expected)
#define assert_json_integer(value, path, expected)                       \
    do {                                                                 \
        assert_true(json_is_integer(at(value, path)));                   \
        assert_int_equal(json_integer_value(at(value, path)), expected); \
    } while (0)

static void test_status_of_an_idle_gateway(void **state)
{
    struct fixture *f = *state;
    json_t *status = ask_json(f, "/v1/status");
    assert_int_equal(f->reply.status, 200);
    assert_string_equal(f->reply.content_type, "application/json");
    assert_json_string(status, "state", "running");
    assert_json_string(status, "status", "Running");
    assert_json_string(status, "version", "1.2.3");
    assert_json_integer(status, "generation", 7);
    assert_json_integer(status, "pid", getpid());
    assert_json_integer(status, "uptime_usec", 90000000);
    assert_true(json_is_null(at(status, "drain_left_usec")));
    assert_json_integer(status, "totals.requests", 0);
    assert_json_integer(status, "totals.journal_dropped", 5);
    assert_int_equal(json_array_size(at(status, "workers")), 2);
    assert_json_integer(status, "workers.0.idle", 2);
    assert_true(json_is_true(at(status, "workers.0.accepting")));
    assert_true(json_is_false(at(status, "workers.1.accepting")));
    assert_int_equal(json_array_size(at(status, "listeners")), 2);
    assert_int_equal(json_array_size(at(status, "listeners.0.addresses")), 2);
    assert_json_string(status, "listeners.0.addresses.1", "[::]:80");
    assert_json_string(status, "listeners.1.protocol", "https");
    assert_json_string(status, "routes.0.route", "/api/orders/:id");
    assert_json_string(status, "routes.0.upstream", "orders");
    assert_json_string(status, "routes.0.methods.0", "GET");
    assert_json_string(status, "routes.1.route", "/odd/\"quoted\"\\back\nline");
    assert_json_string(status, "routes.1.static", "/srv/www");
    assert_json_string(status, "routes.1.methods.0", "*");
    assert_json_string(status, "routes.3.redirect", "https://example.com/");
    assert_true(json_is_null(at(status, "routes.4.route")));
    assert_json_string(status, "upstreams.0.targets.0.address", "unix:/run/orders/blue.sock");
    assert_json_integer(status, "upstreams.0.targets.1.weight", 2);
}

static void test_status_counts(void **state)
{
    struct fixture *f = *state;
    struct metrics_shard *shard = metrics_shard(f->metrics, 1);
    metrics_request_begin(shard);
    metrics_request_begin(shard);
    metrics_request_end(shard, &sample_old, METHOD_GET, 301, 1000, 11, 22);
    metrics_connection_open(shard, &sample_config.listeners[1], METRICS_HTTP2);
    metrics_try_end(shard, &sample_users, &sample_users_targets[0], TRY_TRUNCATED, true, 100);
    metrics_request_cut(shard);

    json_t *status = ask_json(f, "/v1/status");
    assert_json_integer(status, "totals.requests", 1);
    assert_json_integer(status, "totals.in_flight", 1);
    assert_json_integer(status, "totals.cut", 1);
    assert_json_integer(status, "totals.by_class.3xx", 1);
    assert_json_integer(status, "totals.by_class.5xx", 0);
    assert_json_integer(status, "routes.3.requests", 1);
    assert_json_integer(status, "routes.3.bytes_in", 11);
    assert_json_integer(status, "routes.3.bytes_out", 22);
    assert_json_integer(status, "routes.3.mean_usec", 1000);
    assert_json_integer(status, "listeners.1.connections.http2", 1);
    assert_json_integer(status, "listeners.1.accepted.http2", 1);
    assert_json_integer(status, "upstreams.1.targets.0.tries", 1);
    assert_json_integer(status, "upstreams.1.targets.0.by_outcome.truncated", 1);
    assert_json_integer(status, "upstreams.1.targets.0.reused", 1);
}

static void test_status_of_a_target_that_is_down(void **state)
{
    struct fixture *f = *state;
    struct roster_slot slot;
    struct roster_permit permit;
    assert_true(roster_look(f->roster, &sample_orders, 1, &slot));
    assert_true(roster_begin(f->roster, &sample_orders, slot.target, 0, &permit));
    roster_end(f->roster, &sample_orders, slot.target, &permit,
               &(struct try_report){.verdict = VERDICT_REFUSED}, 0);
    json_t *status = ask_json(f, "/v1/status");
    assert_true(json_is_true(at(status, "upstreams.0.targets.0.up")));
    assert_true(json_is_false(at(status, "upstreams.0.targets.1.up")));
    assert_json_string(status, "upstreams.0.targets.0.observed", "unknown");
    assert_json_string(status, "upstreams.0.targets.1.observed", "down");
}

static void test_status_while_draining(void **state)
{
    struct fixture *f = *state;
    f->snapshot.state = ADMIN_DRAINING;
    f->snapshot.drain_deadline = 2500000;
    json_t *status = ask_json(f, "/v1/status");
    assert_json_string(status, "state", "draining");
    assert_json_integer(status, "drain_left_usec", 2500000);

    f->snapshot.drain_deadline = USEC_INFINITY;
    assert_true(json_is_null(at(ask_json(f, "/v1/status"), "drain_left_usec")));
}

static void test_status_before_anything_is_known(void **state)
{
    struct fixture *f = *state;
    f->snapshot = (struct admin_snapshot){.state = ADMIN_STARTING};
    json_t *status = ask_json(f, "/v1/status");
    assert_json_string(status, "state", "starting");
    assert_true(json_is_null(at(status, "status")));
    assert_int_equal(json_array_size(at(status, "listeners.0.addresses")), 0);
}

static void test_text_that_is_not_utf8(void **state)
{
    struct fixture *f = *state;
    f->snapshot.status_text = "bad \xff\xfe byte";
    assert_json_string(ask_json(f, "/v1/status"), "status", "bad \xef\xbf\xbd\xef\xbf\xbd byte");
}

static void test_ready_only_while_running(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum admin_state state;
        int status;
        const char *text;
    } cases[] = {
        {ADMIN_STARTING, 503, "starting\n"},
        {ADMIN_RUNNING, 200, "ok\n"},
        {ADMIN_DRAINING, 503, "draining\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        f->snapshot.state = cases[i].state;
        ask(f, "GET", "/readyz");
        assert_int_equal(f->reply.status, cases[i].status);
        assert_string_equal(f->reply.body.data, cases[i].text);

        ask(f, "GET", "/livez");
        assert_int_equal(f->reply.status, 200);

        json_t *health = ask_json(f, "/v1/health");
        assert_int_equal(f->reply.status, cases[i].status);
        assert_true(json_is_true(at(health, "live")));
        assert_int_equal(json_is_true(at(health, "ready")), cases[i].status == 200);
        assert_json_string(health, "state", admin_state_to_string(cases[i].state));
    }
}

static void test_metrics(void **state)
{
    struct fixture *f = *state;
    ask(f, "GET", "/metrics");
    assert_int_equal(f->reply.status, 200);
    assert_string_equal(f->reply.content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert_non_null(strstr(f->reply.body.data, "\nholdfast_build_info{version=\"1.2.3\"} 1\n"));
    assert_non_null(strstr(f->reply.body.data, "\nholdfast_state{state=\"running\"} 1\n"));
    assert_non_null(strstr(f->reply.body.data, "\nholdfast_generation 7\n"));
    assert_non_null(strstr(f->reply.body.data, "\nholdfast_journal_dropped_total 5\n"));
}

static void test_index_lists_the_verbs(void **state)
{
    struct fixture *f = *state;
    ask(f, "GET", "/");
    assert_int_equal(f->reply.status, 200);
    assert_non_null(strstr(f->reply.body.data, "/v1/status"));

    /* Every path that is listed is answered. */
    json_t *list = json_incref(ask_json(f, "/"));
    assert_true(json_array_size(list) >= 6);
    for (size_t i = 0; i < json_array_size(list); i++) {
        ask(f, "HEAD", json_string_value(at(json_array_get(list, i), "path")));
        bool is_get = streq(json_string_value(at(json_array_get(list, i), "method")), "GET");
        assert_int_equal(f->reply.status, is_get ? 200 : 405);
    }
    json_decref(list);
}

static void test_unknown_path(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"/nothing",     "",       "/v1", "/v1/status/", "/V1/status",
                                        "/v1/status/x", "/livez2"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        json_t *problem = ask_json(f, paths[i]);
        assert_int_equal(f->reply.status, 404);
        assert_string_equal(f->reply.content_type, "application/problem+json");
        assert_json_integer(problem, "status", 404);
        assert_json_string(problem, "title", "Not Found");
        assert_null(f->reply.allow);
    }
}

static void test_wrong_method(void **state)
{
    struct fixture *f = *state;
    static const char *const methods[] = {"POST", "DELETE", "PUT", "OPTIONS", "BREW", ""};
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        ask(f, methods[i], "/v1/status");
        assert_int_equal(f->reply.status, 405);
        assert_string_equal(f->reply.allow, "GET, HEAD");
        assert_string_equal(f->reply.content_type, "application/problem+json");
    }
}

static void test_problem_as_text(void **state)
{
    struct fixture *f = *state;
    ask_slice(f, "GET", slice_of("/no\033[31m\npe"), NULL,
              "text/html;q=0.1 , text/plain ; q=1, application/json");
    assert_int_equal(f->reply.status, 404);
    assert_string_equal(f->reply.content_type, "text/plain; charset=utf-8");
    assert_non_null(strstr(f->reply.body.data, "/no?[31m?pe"));
}

static void test_hostile_input(void **state)
{
    struct fixture *f = *state;
    static const char *const accepts[] = {"", ",", ",,;;,", ";", "application/json;", "*/*", "\xff", " \t "};
    static const char bytes[] = "/\0\xff\xfe%n%s";
    char *large = xcalloc(1, 1 << 20);
    memset(large, '\xc3', (1 << 20) - 1);

    for (size_t i = 0; i < ARRAY_SIZE(accepts); i++) {
        ask_slice(f, "GET", slice_make(bytes, sizeof(bytes)), "x=\xff", accepts[i]);
        assert_int_equal(f->reply.status, 404);
    }
    ask_slice(f, large, slice_of(large), large, large);
    assert_int_equal(f->reply.status, 404);
    assert_true(f->reply.body.size < 8192);
    ask_slice(f, large, slice_of("/readyz"), large, large);
    assert_int_equal(f->reply.status, 405);
    assert_true(f->reply.body.size < 8192);
    ask_slice(f, "GET", slice_make(NULL, 0), NULL, NULL);
    assert_int_equal(f->reply.status, 404);
    free(large);
}

static void test_wedge(void **state)
{
    struct fixture *f = *state;
    if (!HOLDFAST_HOOKS) {
        ask(f, "POST", "/v1/test/wedge");
        assert_int_equal(f->reply.status, 404);
        skip();
    }
    static const char *const bad[] = {
        NULL,        "",          "worker=",   "worker=2",
        "worker=-1", "worker=1x", "worker= 1", "worker=99999999999999999999999999",
        "other=1",   "worker=1&x"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ask_slice(f, "POST", slice_of("/v1/test/wedge"), bad[i], NULL);
        assert_int_equal(f->reply.status, 400);
        assert_int_equal(f->wedged, UINT32_MAX);
    }
    ask(f, "GET", "/v1/test/wedge");
    assert_int_equal(f->reply.status, 405);
    assert_string_equal(f->reply.allow, "POST");
    ask_slice(f, "POST", slice_of("/v1/test/wedge"), "worker=1", NULL);
    assert_int_equal(f->reply.status, 200);
    assert_int_equal(f->wedged, 1);

    /* Not for somebody unknown. */
    const struct credentials unknown = {0};
    struct handler_request request = {.method = METHOD_POST,
                                      .method_name = SLICE_LITERAL("POST"),
                                      .path = SLICE_LITERAL("/v1/test/wedge"),
                                      .peer = &unknown,
                                      .query = SLICE_LITERAL("worker=0")};
    admin_handle(f->admin, &request, &f->reply);
    assert_int_equal(f->reply.status, 403);
    assert_int_equal(f->wedged, 1);
}

#define admin_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        admin_test(test_status_of_an_idle_gateway),
        admin_test(test_status_counts),
        admin_test(test_status_of_a_target_that_is_down),
        admin_test(test_status_while_draining),
        admin_test(test_status_before_anything_is_known),
        admin_test(test_text_that_is_not_utf8),
        admin_test(test_ready_only_while_running),
        admin_test(test_metrics),
        admin_test(test_index_lists_the_verbs),
        admin_test(test_unknown_path),
        admin_test(test_wrong_method),
        admin_test(test_problem_as_text),
        admin_test(test_hostile_input),
        admin_test(test_wedge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
