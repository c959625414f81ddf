/* Who may do what over the admin API, asked of every verb that it has. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>

#include "admin/admin.h"
#include "sample-config.h"

#define OWN_USER 990
#define OWN_GROUP 991

struct fixture {
    struct metrics *metrics;
    struct roster *roster;
    struct admin *admin;
    struct handler_request request; /* the next */
    struct handler_reply reply;
    unsigned n_changes; /* that verbs made */
};

static void take_snapshot(void *userdata, struct admin_snapshot *ret)
{
    static __typeof__(*((struct admin_snapshot *)NULL)->workers) worker;
    *ret = (struct admin_snapshot){.state = ADMIN_RUNNING,
                                   .version = "1.2.3",
                                   .status_text = "Running",
                                   .workers = &worker,
                                   .n_workers = 1};
}

static int change(void *userdata, struct strbuf *error)
{
    ((struct fixture *)userdata)->n_changes++;
    return 0;
}

static int reload(void *userdata, admin_reload_done done, void *done_userdata, struct strbuf *error)
{
    ((struct fixture *)userdata)->n_changes++;
    strbuf_add_string(error, "not now");
    return -EBUSY;
}

static void wedge(void *userdata, unsigned worker)
{
    ((struct fixture *)userdata)->n_changes++;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->metrics = metrics_new(&sample_config, 1);
    f->roster = roster_new(&(struct roster_options){.config = &sample_config, .metrics = f->metrics}, 0);
    f->admin = admin_new(&(struct admin_options){.owner = {OWN_USER, OWN_GROUP},
                                                 .config = &sample_config,
                                                 .metrics = f->metrics,
                                                 .roster = f->roster,
                                                 .snapshot = take_snapshot,
                                                 .reload = reload,
                                                 .change = change,
                                                 .wedge = wedge,
                                                 .userdata = f});
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    strbuf_deinit(&f->reply.body);
    admin_free(f->admin);
    roster_free(f->roster);
    metrics_free(f->metrics);
    free(f);
    return 0;
}

static int ask(struct fixture *f, const char *method, const char *path, const char *query)
{
    strbuf_deinit(&f->reply.body);
    f->reply = (struct handler_reply){0};
    f->request.method = method_from_slice(slice_of(method));
    f->request.method_name = slice_of(method);
    f->request.path = slice_of(path);
    f->request.query = slice_of(query);
    admin_handle(f->admin, &f->request, &f->reply);
    return f->reply.status;
}

/* What a request that changes something comes to, over all verbs: 0 when they do not agree, or when what is
 * refused changed something all the same. */
static int ask_to_change(struct fixture *f)
{
    static const struct {
        const char *path, *query;
    } changes[] = {
        {"/v1/upstreams/pause", "upstream=orders"},
        {"/v1/upstreams/resume", "upstream=orders"},
        {"/v1/upstreams/target", "upstream=users&address=127.0.0.1:9001&weight=5"},
        {"/v1/upstreams/target", "upstream=users&address=127.0.0.1:9001&weight=1"},
        {"/v1/reload", NULL},
#if HOLDFAST_HOOKS
        {"/v1/test/wedge", "worker=0"},
#endif
    };
    f->n_changes = 0;
    size_t refused = 0;
    for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
        if (ask(f, "POST", changes[i].path, changes[i].query) == 403)
            refused++;
    if (refused == 0 && f->n_changes == ARRAY_SIZE(changes))
        return 200;
    return refused == ARRAY_SIZE(changes) && f->n_changes == 0 ? 403 : 0;
}

static void test_who_may_change(void **state)
{
    struct fixture *f = *state;
    gid_t member[] = {100, OWN_GROUP, 27}, other[] = {0, 100, 27, OWN_USER};
    const struct {
        struct credentials who;
        int status;
    } cases[] = {
        {{.pid = 10, .uid = 0, .gid = 0}, 200},
        {{.pid = 10, .uid = 0, .gid = 5}, 200},
        {{.pid = 10, .uid = OWN_USER, .gid = OWN_GROUP}, 200},
        {{.pid = 10, .uid = OWN_USER, .gid = 5}, 200},
        {{.pid = 10, .uid = 1000, .gid = OWN_GROUP}, 200},
        {{.pid = 10, .uid = 1000, .gid = 1000, .groups = member, .n_groups = 3}, 200},
        {{.pid = 10, .uid = CREDENTIALS_NOBODY, .gid = 5, .groups = member, .n_groups = 3}, 200},
        {{.pid = 10, .uid = 1000, .gid = 1000, .groups = other, .n_groups = 4}, 403},
        {{.pid = 10, .uid = OWN_GROUP, .gid = OWN_USER}, 403},
        {{.pid = 10, .uid = 1000, .gid = 0}, 403},
        {{.pid = 10, .uid = CREDENTIALS_NOBODY, .gid = CREDENTIALS_NOBODY}, 403},
        {{.pid = 10, .uid = UINT32_MAX, .gid = UINT32_MAX}, 403},
        {{.pid = 0, .uid = 0, .gid = 0}, 403},
        {{.pid = 0, .uid = OWN_USER, .gid = OWN_GROUP}, 403},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        f->request.peer = &cases[i].who;
        if (ask_to_change(f) != cases[i].status)
            fail_msg("case %zu: not %d but %d: %s", i, cases[i].status, f->reply.status,
                     strbuf_string(&f->reply.body));
        assert_int_equal(ask(f, "GET", "/v1/status", NULL), 200);
        assert_int_equal(ask(f, "HEAD", "/metrics", NULL), 200);
    }
}

static void test_root_s_group_is_nobody_s(void **state)
{
    struct fixture *f = *state;
    const struct credentials peer = {.pid = 10, .uid = 1000, .gid = 0};
    struct admin *admin =
        admin_new(&(struct admin_options){.owner = {0, 0}, .reload = reload, .userdata = f});
    f->request.peer = &peer;
    f->request.method = METHOD_POST;
    f->request.path = SLICE_LITERAL("/v1/reload");
    admin_handle(admin, &f->request, &f->reply);
    assert_int_equal(f->reply.status, 403);
    admin_free(admin);
}

static void test_by_what_requests(void **state)
{
    struct fixture *f = *state;
    static const struct credentials root = {.pid = 10};
    static const struct {
        const char *host, *origin, *fetch_site;
        bool is_forwarded;
        int status;
    } cases[] = {
        {.status = 200},
        {.host = "", .status = 200},
        {.host = "holdfast", .status = 200},
        {.host = "HoldFast:80", .status = 200},
        {.host = "localhost", .status = 200},
        {.host = "localhost:8080", .status = 200},
        {.host = "evil.example", .status = 403},
        {.host = "localhost.evil.example", .status = 403},
        {.host = "holdfast.evil.example:80", .status = 403},
        {.host = "127.0.0.1", .status = 403},
        {.host = "[::1]:80", .status = 403},
        {.host = "[localhost]", .status = 403},
        {.host = "localhost", .origin = "http://evil.example", .status = 403},
        {.host = "localhost", .origin = "http://localhost", .status = 403},
        {.host = "localhost", .origin = "null", .status = 403},
        {.host = "localhost", .fetch_site = "cross-site", .status = 403},
        {.host = "localhost", .fetch_site = "same-origin", .status = 403},
        {.host = "localhost", .fetch_site = "none", .status = 403},
        {.host = "holdfast", .is_forwarded = true, .status = 403},
    };
    f->request.peer = &root;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        f->request.host = slice_of(cases[i].host);
        f->request.origin = slice_of(cases[i].origin);
        f->request.fetch_site = slice_of(cases[i].fetch_site);
        f->request.is_forwarded = cases[i].is_forwarded;
        if (ask_to_change(f) != cases[i].status)
            fail_msg("case %zu: not %d but %d", i, cases[i].status, f->reply.status);
        assert_int_equal(ask(f, "GET", "/v1/status", NULL), 200); /* over a Unix socket */
    }
}

static void test_reading_over_tcp(void **state)
{
    struct fixture *f = *state;
    static const struct credentials unknown = {0};
    static const struct {
        const char *host;
        int status;
    } cases[] = {
        {"", 200},          {"127.0.0.1:9100", 200}, {"[::1]:9100", 200},       {"192.0.2.1", 200},
        {"localhost", 200}, {"holdfast:9100", 200},  {"evil.example", 403},     {"evil.example:9100", 403},
        {"1.2.3.4.5", 403}, {"[evil]", 403},         {"127.0.0.1.nip.io", 403},
    };
    f->request.peer = &unknown;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        f->request.host = slice_of(cases[i].host);
        if (ask(f, "GET", "/metrics", NULL) != cases[i].status)
            fail_msg("%s: not %d but %d", cases[i].host, cases[i].status, f->reply.status);
        assert_int_equal(ask_to_change(f), 403);
    }
}

/* The list that the API gives of itself: what changes something is a POST, and none of it is for everybody.
 */
static void test_no_verb_is_forgotten(void **state)
{
    struct fixture *f = *state;
    static const struct credentials stranger = {.pid = 10, .uid = 1000, .gid = 1000};
    size_t i, n_changing = 0;
    json_t *verb;
    f->request.peer = &stranger;
    f->request.accept = SLICE_LITERAL("application/json");
    assert_int_equal(ask(f, "GET", "/", NULL), 200);
    json_t *list = json_loadb(f->reply.body.data, f->reply.body.size, 0, NULL);
    assert_true(json_array_size(list) > 5);
    json_array_foreach(list, i, verb)
    {
        const char *method = json_string_value(json_object_get(verb, "method"));
        const int status = ask(f, method, json_string_value(json_object_get(verb, "path")), NULL);
        if (streq(method, "GET")) {
            assert_int_equal(status, 200);
        } else {
            assert_int_equal(status, 403);
            assert_string_equal(f->reply.content_type, "application/problem+json");
            assert_non_null(strstr(strbuf_string(&f->reply.body), "only root, the gateway's own user"));
            n_changing++;
        }
    }
    assert_true(n_changing >= 4);
    json_decref(list);
}

static void test_sizes(void **state)
{
    struct fixture *f = *state;
    static const struct credentials root = {.pid = 10};
    char query[5000] = "upstream=orders&";
    f->request.peer = &root;
    memset(query + strlen(query), 'a', sizeof(query) - strlen(query) - 1);
    assert_int_equal(ask(f, "POST", "/v1/upstreams/pause", query), 414);
    assert_int_equal(ask(f, "GET", "/v1/status", query), 414);
    f->request.body = SLICE_LITERAL("{}");
    assert_int_equal(ask(f, "POST", "/v1/upstreams/pause", "upstream=orders"), 400);
    assert_int_equal(ask(f, "GET", "/v1/status", NULL), 400);
    assert_int_equal(f->n_changes, 0);
}

#define access_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        access_test(test_who_may_change),       access_test(test_root_s_group_is_nobody_s),
        access_test(test_by_what_requests),     access_test(test_reading_over_tcp),
        access_test(test_no_verb_is_forgotten), access_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
