/* Who is one client, and what of its use the next process knows. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/rate_limit.h"
#include "http/server_internal.h"
#include "router/method.h"

#define NOW (1000 * USEC_PER_SEC)

static struct rate_limit_config limits_of_a[] = {
    {.rate = {1, 3, RATE_PERIOD_MAX}, .text = (char *)"1/h burst=3 by=client", .name = (char *)"client"},
};
static struct rate_limit_config limits_of_b[] = {
    {.rate = {1, 3, RATE_PERIOD_MAX},
     .text = (char *)"1/h burst=3 by=client",
     .name = (char *)"client",
     .index = 1},
    {.rate = {1, 2, RATE_PERIOD_MAX},
     .text = (char *)"1/h burst=2 by=client",
     .name = (char *)"client-2",
     .index = 2},
};
static struct route_config a = {
    .pattern = (char *)"/a", .methods = METHOD_ALL, .rate_limits = limits_of_a, .n_rate_limits = 1};
static struct route_config b = {.pattern = (char *)"/b",
                                .methods = METHOD_ALL,
                                .index = 1,
                                .rate_limits = limits_of_b,
                                .n_rate_limits = 2};
static struct route_config *routes[] = {&a, &b};
static struct config config = {
    .gateway.rate_clients = 65536, .routes = routes, .n_routes = 2, .n_rate_limits = 3};

static bool admit(struct rate_limits *limits, const struct route_config *route, const char *client)
{
    static struct server server;
    struct conn conn = {.server = &server};
    static h2o_req_t req;
    struct exchange exchange = {.req = &req, .conn = &conn, .server = &server, .route = route, .began = NOW};

    memset(&req, 0, offsetof(h2o_req_t, pool));
    h2o_mem_init_pool(&req.pool);
    assert_true(ip_address_parse(slice_of(client), &conn.client));
    const bool allowed = rate_limits_admit(limits, &exchange);
    assert_int_equal(req.res.headers.size, allowed ? 0 : 3);
    h2o_mem_clear_pool(&req.pool);
    req.res.headers = (h2o_headers_t){0};
    return allowed;
}

static unsigned admitted(struct rate_limits *limits, const struct route_config *route, const char *client)
{
    unsigned n = 0;
    while (admit(limits, route, client))
        n++;
    return n;
}

/* ---- who is one client ------------------------------------------------------------------------------ */

static void test_clients(void **state)
{
    struct rate_limits *limits = rate_limits_new(&config);

    assert_int_equal(admitted(limits, &a, "192.0.2.1"), 3);
    assert_int_equal(admitted(limits, &a, "192.0.2.2"), 3);
    assert_int_equal(admitted(limits, &a, "::ffff:192.0.2.1"), 0);
    assert_int_equal(admitted(limits, &a, "2001:db8::1"), 3);
    /* All of a /64 are one, its neighbours are not. */
    assert_int_equal(admitted(limits, &a, "2001:db8::2"), 0);
    assert_int_equal(admitted(limits, &a, "2001:db8::ffff:ffff:ffff:ffff"), 0);
    assert_int_equal(admitted(limits, &a, "2001:db8:0:1::1"), 3);
    for (unsigned i = 0; i < 100000; i++) {
        char text[64];
        snprintf(text, sizeof(text), "2001:db8::%x:%x", i >> 8, i & 0xff);
        assert_false(admit(limits, &a, text));
    }
    /* The other route has limits of its own: the lesser one holds. */
    assert_int_equal(admitted(limits, &b, "192.0.2.1"), 2);
    rate_limits_free(limits);
}

/* ---- to the next process ---------------------------------------------------------------------------- */

static json_t *export_of(const struct rate_limits *limits)
{
    json_t *document = rate_limits_export(limits, true, NOW);
    assert_non_null(document);
    return document;
}

static void test_the_next_process_knows(void **state)
{
    struct rate_limits *first = rate_limits_new(&config), *second = rate_limits_new(&config);

    json_t *ahead = rate_limits_export(first, false, NOW);
    rate_limits_import_secret(second, ahead);
    json_decref(ahead);
    assert_true(admit(first, &a, "192.0.2.1"));
    assert_int_equal(admitted(first, &a, "192.0.2.2"), 3);
    assert_true(admit(second, &a, "192.0.2.1")); /* while both serve */
    json_t *document = export_of(first);
    rate_limits_import(second, document, NOW);
    assert_int_equal(admitted(second, &a, "192.0.2.1"), 1);
    assert_int_equal(admitted(second, &a, "192.0.2.2"), 0);
    assert_int_equal(admitted(second, &a, "192.0.2.3"), 3);
    assert_int_equal(admitted(second, &b, "192.0.2.2"), 2);
    json_decref(document);
    rate_limits_free(second);
    rate_limits_free(first);
}

static void test_another_secret_tells_nothing(void **state)
{
    struct rate_limits *first = rate_limits_new(&config), *second = rate_limits_new(&config);
    size_t n = 0;

    assert_int_equal(admitted(first, &a, "192.0.2.2"), 3);
    json_t *document = export_of(first);
    rate_limits_import(second, document, NOW);
    json_decref(document);
    document = export_of(second);
    n = json_object_size(json_object_get(document, "tables"));
    assert_int_equal(n, 0);
    json_decref(document);
    rate_limits_free(second);
    rate_limits_free(first);
}

static void test_another_limit_begins_anew(void **state)
{
    struct rate_limits *first = rate_limits_new(&config), *second = rate_limits_new(&config);

    assert_int_equal(admitted(first, &b, "192.0.2.2"), 2);
    json_t *document = export_of(first);
    char *const text = limits_of_b[1].text;
    limits_of_b[1].text = (char *)"another";
    rate_limits_import_secret(second, document);
    rate_limits_import(second, document, NOW);
    assert_int_equal(admitted(second, &b, "192.0.2.2"), 1); /* what the first of the two has left */
    limits_of_b[1].text = text;
    json_decref(document);
    rate_limits_free(second);
    rate_limits_free(first);
}

/* More clients than there is room for: those go along who have used most. */
static void test_no_more_than_there_is_room_for(void **state)
{
    struct rate_limits *limits = rate_limits_new(&config);
    enum { CLIENTS = RATE_TRANSFER_MAX + 5000, USED_UP = 1000 };

    for (unsigned i = 0; i < CLIENTS; i++) {
        char text[32];
        snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16, i >> 8 & 0xff, i & 0xff);
        assert_true(admit(limits, &a, text));
    }
    for (unsigned i = 0; i < USED_UP; i++) {
        char text[32];
        snprintf(text, sizeof(text), "192.0.%u.%u", i >> 8, i & 0xff);
        assert_int_equal(admitted(limits, &a, text), 3);
    }
    json_t *document = export_of(limits);
    struct rate_limits *next = rate_limits_new(&config);
    rate_limits_import_secret(next, document);
    rate_limits_import(next, document, NOW);
    for (unsigned i = 0; i < USED_UP; i++) {
        char text[32];
        snprintf(text, sizeof(text), "192.0.%u.%u", i >> 8, i & 0xff);
        assert_int_equal(admitted(next, &a, text), 0);
    }
    char *text = json_dumps(document, JSON_COMPACT);
    assert_true(strlen(text) < (RATE_TRANSFER_MAX + 10) * 48);
    free(text);
    json_decref(document);

    /* And when all of them have. */
    for (unsigned i = 0; i < CLIENTS; i++) {
        char client[32];
        snprintf(client, sizeof(client), "10.%u.%u.%u", i >> 16, i >> 8 & 0xff, i & 0xff);
        admitted(limits, &a, client);
    }
    document = export_of(limits);
    const json_t *clients =
        json_object_get(json_object_get(document, "tables"),
                        json_object_iter_key(json_object_iter(json_object_get(document, "tables"))));
    assert_int_equal(json_string_length(clients), RATE_TRANSFER_MAX * 48);
    json_decref(document);
    rate_limits_free(next);
    rate_limits_free(limits);
}

static void test_nonsense_does_nothing(void **state)
{
    static const char *const documents[] = {
        "null",
        "[]",
        "{}",
        "{\"secret\": 5}",
        "{\"secret\": \"00\"}",
        "{\"secret\": null, \"tables\": {}}",
        "{\"secret\": \"0000000000000000000000000000000g\"}",
        "{\"secret\": \"0000000000000000000000000000000A\"}",
        "{\"secret\": \"00000000000000000000000000000000\", \"tables\": 5}",
        "{\"secret\": \"00000000000000000000000000000000\", \"tables\": {\"3ff /a 1/h burst=3 by=client\": "
        "7}}",
        "{\"secret\": \"00000000000000000000000000000000\", \"tables\": {\"3ff /a 1/h burst=3 by=client\": "
        "\"short\"}}",
        "{\"secret\": \"00000000000000000000000000000000\", \"tables\": {\"3ff /a 1/h burst=3 by=client\": "
        "\"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\"}}",
        "{\"secret\": \"00000000000000000000000000000000\", \"tables\": {\"3ff /a 1/h burst=3 by=client\": "
        "\"0000000000000000ffffffffffffffffffffffffffffffff\"}}",
    };
    struct rate_limits *limits = rate_limits_new(&config);

    rate_limits_import_secret(limits, NULL);
    rate_limits_import(limits, NULL, NOW);
    for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
        json_t *document = json_loads(documents[i], JSON_DECODE_ANY, NULL);
        assert_non_null(document);
        rate_limits_import_secret(limits, document);
        rate_limits_import(limits, document, NOW);
        json_decref(document);
    }
    assert_int_equal(admitted(limits, &a, "192.0.2.1"), 3);
    rate_limits_free(limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_the_next_process_knows),
        cmocka_unit_test(test_another_secret_tells_nothing),
        cmocka_unit_test(test_another_limit_begins_anew),
        cmocka_unit_test(test_no_more_than_there_is_room_for),
        cmocka_unit_test(test_nonsense_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
