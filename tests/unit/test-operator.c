/* What the operator may change by the admin API, with a real roster behind it. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>

#include "admin/admin.h"
#include "config/address.h"

struct fixture {
    struct target_config targets[3];
    struct upstream_config orders, users, *upstreams[2];
    struct config config;
    struct metrics *metrics;
    struct roster *roster;
    struct admin *admin;
    struct handler_reply reply;
    json_t *json;
    json_t *kept; /* what was made to last */
    unsigned n_changes;
    int fail; /* with which it does not last */
    const char *busy;
    struct credentials peer;
};

static void snapshot(void *userdata, struct admin_snapshot *ret)
{
}

static const char *busy(void *userdata)
{
    return ((struct fixture *)userdata)->busy;
}

static int change(void *userdata, struct strbuf *error)
{
    struct fixture *f = userdata;
    f->n_changes++;
    if (f->fail < 0) {
        strbuf_addf(error, "the disk is full");
        return f->fail;
    }
    json_decref(f->kept);
    f->kept = roster_export_wanted(f->roster);
    return 0;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    static const char *const addresses[] = {"127.0.0.1:9001", "unix:/run/orders/blue.sock",
                                            "app.example.com:80"};
    for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
        f->targets[i] = (struct target_config){.index = i, .weight = i + 1};
        assert_null(address_parse(addresses[i], true, &f->targets[i].address));
    }
    f->orders = (struct upstream_config){
        .name = (char *)"orders",
        .index = 0,
        .targets = f->targets,
        .n_targets = 3,
        .n_slots = 6,
        .balance = {.how = BALANCE_HASH, .hash_by = HASH_BY_HEADER, .hash_name = (char *)"X-User"},
        .hold = 3 * USEC_PER_SEC,
        .hold_max = 4,
        .hold_max_size = 5,
        .hold_rate = 6};
    f->users = (struct upstream_config){.name = (char *)"users", .index = 1, .n_slots = 4};
    f->upstreams[0] = &f->orders;
    f->upstreams[1] = &f->users;
    f->config = (struct config){.gateway.threads = 1, .upstreams = f->upstreams, .n_upstreams = 2};
    f->metrics = metrics_new(&f->config, 1);
    f->roster =
        roster_new(&(struct roster_options){.config = &f->config, .metrics = f->metrics}, now_monotonic());
    f->admin = admin_new(&(struct admin_options){.config = &f->config,
                                                 .metrics = f->metrics,
                                                 .roster = f->roster,
                                                 .snapshot = snapshot,
                                                 .busy = busy,
                                                 .change = change,
                                                 .userdata = f});
    f->peer.pid = 1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    json_decref(f->json);
    json_decref(f->kept);
    strbuf_deinit(&f->reply.body);
    admin_free(f->admin);
    roster_free(f->roster);
    metrics_free(f->metrics);
    for (size_t i = 0; i < ARRAY_SIZE(f->targets); i++)
        free(f->targets[i].address.text);
    free(f);
    return 0;
}

static json_t *ask(struct fixture *f, const char *method, const char *path, const char *query)
{
    strbuf_deinit(&f->reply.body);
    f->reply = (struct handler_reply){0};
    const struct handler_request request = {
        .method = method_from_slice(slice_of(method)),
        .method_name = slice_of(method),
        .path = slice_of(path),
        .query = slice_of(query),
        .accept = SLICE_LITERAL("application/json"),
        .peer = &f->peer,
    };
    admin_handle(f->admin, &request, &f->reply);
    json_decref(f->json);
    f->json = json_loadb(f->reply.body.data, f->reply.body.size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(f->json);
    return f->json;
}

static json_t *target(struct fixture *f, const char *query)
{
    return ask(f, "POST", "/v1/upstreams/target", query);
}

#define assert_string(value, key, expected) \
    assert_string_equal(json_string_value(json_object_get(value, key)) ?: "(none)", expected)
#define assert_integer(value, key, expected) \
    assert_int_equal(json_integer_value(json_object_get(value, key)), expected)
#define assert_true_at(value, key) assert_true(json_is_true(json_object_get(value, key)))
#define assert_false_at(value, key) assert_true(json_is_false(json_object_get(value, key)))

static void assert_refused(struct fixture *f, int status, const char *detail)
{
    assert_int_equal(f->reply.status, status);
    assert_string_equal(f->reply.content_type, "application/problem+json");
    const char *found = json_string_value(json_object_get(f->json, "detail"));
    if (!strstr(found, detail))
        fail_msg("\"%s\" lacks \"%s\"", found, detail);
}

static void assert_kept(struct fixture *f, const char *expected)
{
    json_t *value = json_loads(expected, 0, NULL);
    assert_non_null(value);
    if (!json_equal(value, f->kept))
        fail_msg("kept is %s", json_dumps(f->kept, JSON_ENCODE_ANY));
    json_decref(value);
}

/* What the roster says is wanted must be what was kept last. */
static void assert_nothing_more(struct fixture *f)
{
    json_t *now = roster_export_wanted(f->roster);
    assert_true(f->kept ? json_equal(now, f->kept) : json_object_size(now) == 0);
    json_decref(now);
}

static void test_list(void **state)
{
    struct fixture *f = *state;
    json_t *list = json_object_get(ask(f, "GET", "/v1/upstreams", NULL), "upstreams");
    assert_int_equal(f->reply.status, 200);
    assert_int_equal(json_array_size(list), 2);
    json_t *orders = json_array_get(list, 0);
    assert_string(orders, "name", "orders");
    assert_string(orders, "balance", "hash header:X-User");
    assert_false_at(orders, "paused");
    assert_integer(orders, "held", 0);
    assert_integer(orders, "held_bytes", 0);
    assert_integer(json_object_get(orders, "hold"), "timeout_usec", 3000000);
    assert_integer(json_object_get(orders, "hold"), "max", 4);
    assert_integer(json_object_get(orders, "hold"), "max_bytes", 5);
    assert_integer(json_object_get(orders, "hold"), "rate", 6);
    json_t *first = json_array_get(json_object_get(orders, "targets"), 0);
    assert_string(first, "address", "127.0.0.1:9001");
    assert_string(first, "origin", "configured");
    assert_string(first, "wanted", "ready");
    assert_integer(first, "weight", 1);
    assert_integer(first, "active", 0);
    assert_integer(first, "tries", 0);
    assert_integer(json_object_get(first, "by_outcome"), "ok", 0);
    assert_true(json_is_null(json_object_get(first, "breaker")));
    assert_true(json_is_null(json_object_get(first, "unit")));
    assert_int_equal(json_array_size(json_object_get(json_array_get(list, 1), "targets")), 0);
}

static void test_pause_and_resume(void **state)
{
    struct fixture *f = *state;
    assert_true_at(ask(f, "POST", "/v1/upstreams/pause", "upstream=orders"), "paused");
    assert_int_equal(f->reply.status, 200);
    assert_true(roster_is_paused(f->roster, &f->orders));
    assert_kept(f, "{\"orders\": {\"paused\": true}}");

    /* Once more changes nothing, and costs nothing. */
    assert_true_at(ask(f, "POST", "/v1/upstreams/pause", "upstream=orders"), "paused");
    assert_int_equal(f->n_changes, 1);

    assert_false_at(ask(f, "POST", "/v1/upstreams/resume", "upstream=orders"), "paused");
    assert_kept(f, "{}");
    assert_int_equal(f->n_changes, 2);
}

static void test_wanted_and_weight(void **state)
{
    struct fixture *f = *state;
    json_t *value = target(f, "upstream=orders&address=127.0.0.1:9001&verb=drain");
    assert_int_equal(f->reply.status, 200);
    assert_string(value, "upstream", "orders");
    assert_string(value, "wanted", "drain");
    assert_false_at(value, "ready");
    value = target(f, "upstream=orders&address=unix%3A%2Frun%2Forders%2Fblue.sock&verb=down&weight=256");
    assert_string(value, "wanted", "down");
    assert_integer(value, "weight", 256);
    assert_kept(f, "{\"orders\": {\"targets\": {\"127.0.0.1:9001\": {\"wanted\": \"drain\"},"
                   "\"unix:/run/orders/blue.sock\": {\"wanted\": \"down\", \"weight\": 256}}}}");

    assert_integer(target(f, "upstream=orders&address=127.0.0.1:9001&weight=0"), "weight", 0);
    assert_string(target(f, "upstream=orders&address=127.0.0.1:9001&verb=ready&weight=1"), "wanted", "ready");
    assert_kept(f, "{\"orders\": {\"targets\": {\"unix:/run/orders/blue.sock\": {\"wanted\": \"down\", "
                   "\"weight\": 256}}}}");
}

static void test_add_and_remove(void **state)
{
    struct fixture *f = *state;
    json_t *value = target(f, "upstream=users&address=[::1]:80&verb=add&weight=7");
    assert_int_equal(f->reply.status, 200);
    assert_string(value, "address", "[::1]:80");
    assert_string(value, "origin", "added");
    assert_integer(value, "weight", 7);
    assert_kept(f, "{\"users\": {\"targets\": {\"[::1]:80\": {\"added\": true, \"weight\": 7}}}}");

    /* By another spelling it is the same. */
    target(f, "upstream=users&address=[0:0::1]:80&verb=add");
    assert_refused(f, 400, "[::1]:80 is a target of users already");
    assert_string(target(f, "upstream=users&address=[0:0::1]:80&verb=drain"), "address", "[::1]:80");

    value = target(f, "upstream=users&address=[::1]:80&verb=remove");
    assert_int_equal(f->reply.status, 200);
    assert_true_at(value, "removed");
    assert_string(value, "address", "[::1]:80");
    assert_kept(f, "{}");
    target(f, "upstream=users&address=[::1]:80&verb=remove");
    assert_refused(f, 404, "is no target of users: GET /v1/upstreams lists them");

    /* It may come back, as new. */
    value = target(f, "upstream=users&address=[::1]:80&verb=add");
    assert_string(value, "wanted", "ready");
    assert_integer(value, "weight", 1);
}

static void test_no_room(void **state)
{
    struct fixture *f = *state;
    char query[80];
    for (int i = 0; i < 4; i++) {
        snprintf(query, sizeof(query), "upstream=users&address=127.0.0.1:%d&verb=add", 8000 + i);
        target(f, query);
        assert_int_equal(f->reply.status, 200);
    }
    target(f, "upstream=users&address=127.0.0.1:9000&verb=add");
    assert_refused(f, 400, "no room");
    assert_nothing_more(f);
}

static void test_what_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *query;
        int status;
        const char *detail;
    } cases[] = {
        {NULL, 400, "upstream= is missing; accepted: upstream=, address=, verb=, weight="},
        {"upstream=orders&verb=add", 400, "address= is missing"},
        {"upstream=orders&adress=x", 400, "did you mean 'address'?"},
        {"upstream=orders&address=127.0.0.1:9001", 400, "what is to be done is missing; accepted: verb=add"},
        {"upstream=ordres&address=127.0.0.1:9001&verb=down", 404, "did you mean 'orders'?"},
        {"upstream=x&address=127.0.0.1:9001&verb=down", 404, "there is no upstream 'x': GET /v1/upstreams"},
        {"upstream=orders&address=127.0.0.1:9002&verb=down", 404, "did you mean '127.0.0.1:9001'?"},
        {"upstream=orders&address=x&verb=down", 404, "'x' is no target of orders: GET /v1/upstreams"},
        {"upstream=orders&address=app.example.com:80&verb=down", 400, "is a name: each address"},
        {"upstream=orders&address=127.0.0.1:9001&verb=drian", 400, "did you mean 'drain'?"},
        {"upstream=orders&address=127.0.0.1:9001&verb=explode", 400, "accepted: verb=add, remove,"},
        {"upstream=orders&address=127.0.0.1:9001&verb=", 400, "accepted: verb=add, remove,"},
        {"upstream=orders&address=127.0.0.1:9001&weight=257", 400,
         "weight=257 is not a number from 0 to 256"},
        {"upstream=orders&address=127.0.0.1:9001&weight=-1", 400, "weight=-1 is not a number"},
        {"upstream=orders&address=127.0.0.1:9001&weight=", 400, "weight= is not a number"},
        {"upstream=orders&address=127.0.0.1:9001&verb=add", 400,
         "127.0.0.1:9001 is a target of orders already"},
        {"upstream=orders&address=127.0.0.1:9001&verb=remove", 400, "is in the configuration: take it out"},
        {"upstream=orders&address=127.0.0.1&verb=add", 400, "the port is missing; accepted: unix:/path"},
        {"upstream=orders&address=localhost:80&verb=add", 400, "an address is needed; accepted: unix:/path"},
        {"upstream=orders&address=/run/x&verb=add", 400, "\"unix:\" is missing"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        target(f, cases[i].query);
        assert_refused(f, cases[i].status, cases[i].detail);
    }
    static const char *const paths[] = {"/v1/upstreams/pause", "/v1/upstreams/resume"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        ask(f, "POST", paths[i], NULL);
        assert_refused(f, 400, "upstream= is missing; accepted: upstream=");
        ask(f, "POST", paths[i], "upstream=orders&address=x");
        assert_refused(f, 400, "'address' is no parameter here");
        ask(f, "POST", paths[i], "upstream=user");
        assert_refused(f, 404, "did you mean 'users'?");
        ask(f, "GET", paths[i], "upstream=users");
        assert_refused(f, 405, "takes POST");
    }
    assert_int_equal(f->n_changes, 0);
    assert_nothing_more(f);
}

static void test_while_a_reload_is_under_way(void **state)
{
    struct fixture *f = *state;
    f->busy = "a reload is under way";
    ask(f, "POST", "/v1/upstreams/pause", "upstream=orders");
    assert_refused(f, 409, "a reload is under way: nothing was changed");
    target(f, "upstream=orders&address=127.0.0.1:9001&verb=down");
    assert_refused(f, 409, "a reload is under way: nothing was changed");
    assert_int_equal(f->n_changes, 0);
    assert_nothing_more(f);
    ask(f, "GET", "/v1/upstreams", NULL);
    assert_int_equal(f->reply.status, 200);
}

static void test_what_cannot_be_kept_is_taken_back(void **state)
{
    struct fixture *f = *state;
    target(f, "upstream=users&address=127.0.0.1:1&verb=add&weight=3");
    target(f, "upstream=orders&address=127.0.0.1:9001&verb=drain&weight=9");
    ask(f, "POST", "/v1/upstreams/pause", "upstream=orders");
    f->fail = -ENOSPC;

    static const char *const queries[] = {
        "upstream=users&address=127.0.0.1:2&verb=add",
        "upstream=users&address=127.0.0.1:1&verb=remove",
        "upstream=users&address=127.0.0.1:1&weight=4",
        "upstream=orders&address=127.0.0.1:9001&verb=ready",
        "upstream=orders&address=127.0.0.1:9001&verb=down&weight=1",
    };
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
        target(f, queries[i]);
        assert_refused(f, 500, "nothing was changed: the disk is full");
        assert_string(f->json, "title", "Internal Server Error");
        assert_nothing_more(f);
    }
    ask(f, "POST", "/v1/upstreams/resume", "upstream=orders");
    assert_refused(f, 500, "nothing was changed: the disk is full");
    assert_nothing_more(f);
    assert_true(roster_is_paused(f->roster, &f->orders));

    f->fail = 0;
    assert_integer(target(f, "upstream=users&address=127.0.0.1:1&weight=4"), "weight", 4);
}

static void test_over_tcp_nothing_changes(void **state)
{
    struct fixture *f = *state;
    f->peer.pid = 0;
    ask(f, "POST", "/v1/upstreams/pause", "upstream=orders");
    assert_refused(f, 403, "over a Unix socket only");
    target(f, "upstream=orders&address=127.0.0.1:9001&verb=down");
    assert_refused(f, 403, "over a Unix socket only");
    assert_nothing_more(f);
    ask(f, "GET", "/v1/upstreams", NULL);
    assert_int_equal(f->reply.status, 200);
}

#define operator_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        operator_test(test_list),
        operator_test(test_pause_and_resume),
        operator_test(test_wanted_and_weight),
        operator_test(test_add_and_remove),
        operator_test(test_no_room),
        operator_test(test_what_is_refused),
        operator_test(test_while_a_reload_is_under_way),
        operator_test(test_what_cannot_be_kept_is_taken_back),
        operator_test(test_over_tcp_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
