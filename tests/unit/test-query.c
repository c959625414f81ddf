#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "admin/query.h"

struct outcome {
    bool good;
    char *name, *weight;
    struct strbuf error;
};

static struct outcome parse(struct slice query)
{
    struct query_parameter parameters[] = {{.name = "name", .required = true}, {.name = "weight"}};
    struct outcome outcome = {0};
    outcome.good = query_parse(query, parameters, ARRAY_SIZE(parameters), &outcome.error);
    assert_int_equal(outcome.error.size == 0, outcome.good);
    outcome.name = TAKE_PTR(parameters[0].value);
    outcome.weight = TAKE_PTR(parameters[1].value);
    query_deinit(parameters, ARRAY_SIZE(parameters));
    return outcome;
}

static void free_outcome(struct outcome *outcome)
{
    free(outcome->name);
    free(outcome->weight);
    strbuf_deinit(&outcome->error);
}

static void test_values(void **state)
{
    static const struct {
        const char *query, *name, *weight;
    } cases[] = {
        {"name=a", "a", NULL},
        {"name=a&weight=", "a", ""},
        {"weight=3&name=b", "b", "3"},
        {"name=a+b%20c%2bd", "a+b c+d", NULL},
        {"name=%5b::1%5D:80", "[::1]:80", NULL},
        {"n%61me=unix:/run/x=y", "unix:/run/x=y", NULL},
        {"name=%C3%A4&", "\xc3\xa4", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct outcome outcome = parse(slice_of(cases[i].query));
        assert_true(outcome.good);
        assert_string_equal(outcome.name, cases[i].name);
        assert_string_equal(outcome.weight ?: "(none)", cases[i].weight ?: "(none)");
        free_outcome(&outcome);
    }
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *query, *why;
    } cases[] = {
        {NULL, "name= is missing; accepted: name=, weight="},
        {"", "name= is missing; accepted: name=, weight="},
        {"name=", "name= is missing"},
        {"weight=3", "name= is missing"},
        {"name=a&name=b", "name= stands there twice"},
        {"nmae=a", "'nmae' is no parameter here: did you mean 'name'?"},
        {"unheard-of=a", "'unheard-of' is no parameter here; accepted: name=, weight="},
        {"name", "the query is not of the form name=value&name=value"},
        {"&name=a", "the query is not of the form"},
        {"name=a&&", "the query is not of the form"},
        {"%zz=a", "the query is not of the form"},
        {"name=%", "name= is longer than 512 bytes, or has something that is not text"},
        {"name=%4", "not text"},
        {"name=%4x", "not text"},
        {"name=%00", "not text"},
        {"name=a%0ab", "not text"},
        {"name=\x7f", "not text"},
        {"name=%ff", "not text"},
        {"name=%c3", "not text"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct outcome outcome = parse(slice_of(cases[i].query));
        assert_false(outcome.good);
        if (!strstr(outcome.error.data, cases[i].why))
            fail_msg("%s: %s", cases[i].query, outcome.error.data);
        free_outcome(&outcome);
    }
}

static void test_length(void **state)
{
    enum { LARGE = 1 << 20 };
    char *query = xcalloc(LARGE + 1, 1);
    memset(query, 'a', LARGE);
    memcpy(query, "name=", 5);
    const struct {
        size_t size;
        bool good;
    } cases[] = {{5 + QUERY_VALUE_MAX, true}, {5 + QUERY_VALUE_MAX + 1, false}, {LARGE, false}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct outcome outcome = parse(slice_make(query, cases[i].size));
        assert_int_equal(outcome.good, cases[i].good);
        free_outcome(&outcome);
    }
    memset(query, '&', LARGE);
    struct outcome outcome = parse(slice_make(query, LARGE));
    assert_false(outcome.good);
    free_outcome(&outcome);
    free(query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
