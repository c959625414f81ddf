/* The roster: what is wanted, what is observed, and what follows from both; and that nothing hostile moves
 * it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/address.h"
#include "sample-config.h"
#include "upstream/roster.h"

struct fixture {
    struct roster *roster;
    unsigned woken, nudged;
};

static void on_wake(void *userdata, const struct upstream_config *upstream)
{
    struct fixture *f = userdata;
    f->woken++;
}

static void on_nudge(void *userdata)
{
    struct fixture *f = userdata;
    f->nudged++;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    const struct roster_options options = {
        .config = &sample_config, .wake = on_wake, .nudge = on_nudge, .userdata = f};
    f->roster = roster_new(&options, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    roster_free(f->roster);
    free(f);
    return 0;
}

static const struct target_config *target_at(struct fixture *f, unsigned slot)
{
    struct roster_slot there;
    assert_true(roster_look(f->roster, &sample_orders, slot, &there));
    return there.target;
}

static bool is_ready(struct fixture *f, unsigned slot)
{
    struct roster_slot there;
    return roster_look(f->roster, &sample_orders, slot, &there) && there.ready;
}

static void report(struct fixture *f, unsigned slot, enum verdict verdict)
{
    const struct target_config *target = target_at(f, slot);
    struct roster_permit permit;
    assert_true(roster_begin(f->roster, &sample_orders, target, 0, &permit));
    roster_end(f->roster, &sample_orders, target, &permit, &(struct try_report){.verdict = verdict}, 0);
}

static const struct target_config *add(struct fixture *f, const char *text)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    struct target_config config = {.weight = 2};
    assert_null(address_parse(text, false, &config.address));
    const struct target_config *added =
        roster_add(f->roster, &sample_orders, &config, TARGET_ADDED, 0, &error);
    free(config.address.text);
    return added;
}

static void test_requests_take_it_down_and_checks_bring_it_back(void **state)
{
    struct fixture *f = *state;
    const unsigned version = roster_version(f->roster, &sample_orders);

    assert_true(is_ready(f, 0));
    assert_int_equal(roster_next_check(f->roster, &sample_orders, 0), USEC_INFINITY);
    report(f, 0, VERDICT_NONE);
    report(f, 0, VERDICT_FAILED);
    report(f, 0, VERDICT_FAILED);
    assert_true(is_ready(f, 0));
    assert_int_equal(roster_version(f->roster, &sample_orders), version);
    report(f, 0, VERDICT_FAILED);
    assert_false(is_ready(f, 0));
    assert_true(is_ready(f, 1));
    assert_int_not_equal(roster_version(f->roster, &sample_orders), version);
    assert_int_equal(f->nudged, 1);
    assert_int_equal(roster_next_check(f->roster, &sample_orders, 0), VITALS_RECHECK_MIN);
    roster_check_begun(f->roster, &sample_orders, target_at(f, 0), 100);
    roster_checked(f->roster, &sample_orders, target_at(f, 0), true, false, NULL, 200);
    assert_true(is_ready(f, 0));
}

static void test_a_late_answer_is_no_news(void **state)
{
    struct fixture *f = *state;
    const struct target_config *target = target_at(f, 0);
    struct roster_permit permit;
    struct try_report answered = {.verdict = VERDICT_ANSWERED, .status = 200, .duration = 500};

    assert_true(roster_begin(f->roster, &sample_orders, target, 0, &permit));
    roster_end(f->roster, &sample_orders, target, &permit, &(struct try_report){.verdict = VERDICT_REFUSED},
               700);
    assert_false(is_ready(f, 0));
    assert_true(roster_begin(f->roster, &sample_orders, target, 0, &permit));
    roster_end(f->roster, &sample_orders, target, &permit, &answered, 1000); /* since 500 */
    assert_false(is_ready(f, 0));
    assert_true(roster_begin(f->roster, &sample_orders, target, 0, &permit));
    roster_end(f->roster, &sample_orders, target, &permit, &answered, 1300);
    assert_true(is_ready(f, 0));
}

static void test_those_who_wait_are_woken(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 3; i++)
        report(f, i, VERDICT_REFUSED);
    assert_int_equal(f->woken, 0); /* nobody waits */
    assert_true(roster_hold(f->roster, &sample_orders, 400, false));
    assert_true(roster_hold(f->roster, &sample_orders, 600, false));
    assert_false(roster_hold(f->roster, &sample_orders, 1, false));
    assert_true(roster_hold(f->roster, &sample_orders, 1, true));
    assert_int_equal(roster_held(f->roster, &sample_orders), 3);
    assert_int_equal(roster_held_size(f->roster, &sample_orders), 1001);
    roster_checked(f->roster, &sample_orders, target_at(f, 1), true, false, NULL, 0);
    assert_int_equal(f->woken, 1);
    roster_unhold(f->roster, &sample_orders, 1001);
    roster_unhold(f->roster, &sample_orders, 0);
    roster_unhold(f->roster, &sample_orders, 0);
    for (unsigned i = 0; i < 10; i++)
        assert_true(roster_hold(f->roster, &sample_orders, 0, false));
    assert_false(roster_hold(f->roster, &sample_orders, 0, false));
}

static void test_what_is_wanted_comes_first(void **state)
{
    struct fixture *f = *state;
    struct roster_slot there;

    roster_want(f->roster, &sample_orders, target_at(f, 0), WANTED_DRAIN);
    assert_true(roster_look(f->roster, &sample_orders, 0, &there));
    assert_false(there.ready);
    assert_true(there.familiar);
    roster_want(f->roster, &sample_orders, target_at(f, 0), WANTED_DOWN);
    assert_true(roster_look(f->roster, &sample_orders, 0, &there));
    assert_false(there.familiar);
    roster_want(f->roster, &sample_orders, target_at(f, 0), WANTED_READY);
    assert_true(is_ready(f, 0));
    roster_pause(f->roster, &sample_orders, true);
    assert_false(is_ready(f, 0) || is_ready(f, 1));
    roster_pause(f->roster, &sample_orders, false);
    assert_true(is_ready(f, 0) && is_ready(f, 1));
}

static void test_targets_come_and_go(void **state)
{
    struct fixture *f = *state;
    struct roster_slot there;

    const struct target_config *added = add(f, "127.0.0.1:7001");
    assert_int_equal(added->index, 3);
    assert_true(is_ready(f, 3));
    assert_null(add(f, "127.0.0.1:7001"));
    assert_non_null(add(f, "127.0.0.1:7002"));
    assert_null(add(f, "127.0.0.1:7003")); /* no slot is left */
    assert_false(roster_remove(f->roster, &sample_orders, target_at(f, 0)));

    /* With a request under way the slot is not another's. */
    struct roster_permit permit;
    assert_true(roster_begin(f->roster, &sample_orders, added, 0, &permit));
    assert_true(roster_remove(f->roster, &sample_orders, added));
    assert_false(roster_look(f->roster, &sample_orders, 3, &there));
    assert_null(add(f, "127.0.0.1:7003"));
    roster_end(f->roster, &sample_orders, added, &permit, &(struct try_report){.verdict = VERDICT_FAILED}, 0);
    assert_false(roster_begin(f->roster, &sample_orders, added, 0, &permit));
    assert_int_equal(add(f, "127.0.0.1:7003")->index, 3);
    assert_string_equal(added->address.text, "127.0.0.1:7001"); /* what was handed out stays valid */
}

static void test_limits(void **state)
{
    struct fixture *f = *state;
    struct roster_permit permit;

    sample_orders.max_requests = 2;
    sample_orders.max_connections = 1;
    for (int i = 0; i < 2; i++)
        assert_true(roster_begin(f->roster, &sample_orders, target_at(f, 0), 0, &permit));
    assert_false(roster_begin(f->roster, &sample_orders, target_at(f, 0), 0, &permit));
    assert_true(roster_hold(f->roster, &sample_orders, 1, false));
    const unsigned woken = f->woken;
    roster_end(f->roster, &sample_orders, target_at(f, 0), &permit, &(struct try_report){0}, 0);
    assert_true(f->woken > woken);
    assert_true(roster_begin(f->roster, &sample_orders, target_at(f, 0), 0, &permit));
    assert_true(roster_may_connect(f->roster, &sample_orders, target_at(f, 0)));
    roster_count_connection(f->roster, &sample_orders, target_at(f, 0), 1);
    assert_false(roster_may_connect(f->roster, &sample_orders, target_at(f, 0)));
    assert_false(roster_take_connection(f->roster, &sample_orders, target_at(f, 0)));
    const unsigned woken_before = f->woken;
    roster_count_connection(f->roster, &sample_orders, target_at(f, 0), -1);
    assert_int_equal(f->woken, woken_before + 1);
    assert_true(roster_take_connection(f->roster, &sample_orders, target_at(f, 0)));
    assert_false(roster_take_connection(f->roster, &sample_orders, target_at(f, 0)));
    roster_connection_is_idle(f->roster, &sample_orders);
    assert_int_equal(f->woken, woken_before + 2);
    sample_orders.max_requests = sample_orders.max_connections = 0;
}

static void test_breaker(void **state)
{
    sample_orders.breaker = (struct breaker_config){.window = BREAKER_COUNT,
                                                    .size = 4,
                                                    .minimum_calls = 4,
                                                    .failure_rate = 50,
                                                    .slow_rate = 100,
                                                    .slow_call = USEC_PER_SEC,
                                                    .open = USEC_PER_SEC,
                                                    .half_open = 1};
    struct fixture *f = xcalloc(1, sizeof(*f));
    const struct roster_options options = {.config = &sample_config, .wake = on_wake, .userdata = f};
    struct roster_permit permit;
    struct roster_view view;
    f->roster = roster_new(&options, 0);

    const struct target_config *target = target_at(f, 0);
    for (int i = 0; i < 4; i++) {
        assert_true(roster_begin(f->roster, &sample_orders, target, 0, &permit));
        const struct try_report answer = {.verdict = VERDICT_ANSWERED, .status = i < 2 ? 200 : 500};
        roster_end(f->roster, &sample_orders, target, &permit, &answer, 0);
    }
    assert_false(is_ready(f, 0));
    assert_true(roster_view(f->roster, &sample_orders, 0, 0, &view));
    assert_int_equal(view.breaker, BREAKER_OPENED);
    assert_int_equal(view.observed, OBSERVED_UP);
    assert_string_equal(view.why, "its breaker is open");
    assert_int_equal(roster_tick(f->roster, 10), USEC_PER_SEC);

    /* Another process takes that over. */
    struct roster *next = roster_new(&options, 0);
    json_t *document = roster_export_observed(f->roster, 10);
    roster_import_observed(next, document, 10);
    json_decref(document);
    assert_true(roster_view(next, &sample_orders, 0, 10, &view));
    assert_int_equal(view.breaker, BREAKER_OPENED);
    roster_free(next);

    (void)roster_tick(f->roster, USEC_PER_SEC);
    assert_true(is_ready(f, 0));
    assert_true(roster_begin(f->roster, &sample_orders, target, USEC_PER_SEC, &permit));
    struct roster_permit second;
    assert_false(roster_begin(f->roster, &sample_orders, target, USEC_PER_SEC, &second));
    roster_end(f->roster, &sample_orders, target, &permit, &(struct try_report){.status = 200}, USEC_PER_SEC);
    assert_true(roster_view(f->roster, &sample_orders, 0, USEC_PER_SEC, &view));
    assert_int_equal(view.breaker, BREAKER_CLOSED);
    roster_free(f->roster);
    free(f);
    sample_orders.breaker = (struct breaker_config){0};
}

static void test_observed_goes_on(void **state)
{
    struct fixture *f = *state;
    struct roster *second = roster_new(&(struct roster_options){.config = &sample_config}, 0);
    struct roster_slot there;

    report(f, 0, VERDICT_REFUSED);
    json_t *document = roster_export_observed(f->roster, 0);
    roster_import_observed(second, document, 0);
    json_decref(document);
    assert_true(roster_look(second, &sample_orders, 0, &there));
    assert_false(there.ready);
    assert_true(roster_look(second, &sample_orders, 1, &there));
    assert_true(there.ready);

    static const char *const odd[] = {
        "7",
        "[]",
        "{\"orders\": 7}",
        "{\"orders\": {\"unix:/run/orders/blue.sock\": true}}",
        "{\"orders\": {\"unix:/run/orders/blue.sock\": {\"up\": \"yes\"}}}",
        "{\"orders\": {\"unix:/run/orders/blue.sock\": {\"observed\": 3, \"breaker\": []}}}",
        "{\"gone\": {\"unix:/run/orders/blue.sock\": {\"up\": true}}}"};
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        document = json_loads(odd[i], JSON_DECODE_ANY, NULL);
        roster_import_observed(second, document, 0);
        assert_true(roster_look(second, &sample_orders, 0, &there));
        assert_false(there.ready);
        json_decref(document);
    }
    roster_import_observed(second, NULL, 0);

    /* As releases before this one told it. */
    document = json_loads("{\"orders\": {\"127.0.0.1:9001\": {\"up\": false}}}", 0, NULL);
    roster_import_observed(second, document, 0);
    json_decref(document);
    assert_true(roster_look(second, &sample_orders, 1, &there));
    assert_false(there.ready);
    roster_free(second);
}

static void test_wanted_goes_on(void **state)
{
    struct fixture *f = *state;
    struct roster *second = roster_new(&(struct roster_options){.config = &sample_config}, 0);
    struct roster_slot there;

    json_t *document = roster_export_wanted(f->roster);
    assert_int_equal(json_object_size(document), 0);
    json_decref(document);
    roster_want(f->roster, &sample_orders, target_at(f, 0), WANTED_DRAIN);
    roster_set_weight(f->roster, &sample_orders, target_at(f, 1), 9);
    roster_pause(f->roster, &sample_users, true);
    add(f, "127.0.0.1:7001");
    document = roster_export_wanted(f->roster);
    roster_import_wanted(second, document, 0);
    json_t *again = roster_export_wanted(second);
    assert_true(json_equal(document, again));
    json_decref(again);
    assert_true(roster_look(second, &sample_orders, 0, &there));
    assert_false(there.wanted);
    assert_true(roster_look(second, &sample_orders, 1, &there));
    assert_int_equal(there.weight, 9);
    assert_true(roster_look(second, &sample_orders, 3, &there));
    assert_int_equal(there.weight, 2);
    assert_true(roster_is_paused(second, &sample_users));

    static const char *const odd[] = {
        "7",
        "[]",
        "{\"orders\": []}",
        "{\"orders\": {\"targets\": 7}}",
        "{\"orders\": {\"targets\": {\"x\": {\"added\": true}}}}",
        "{\"orders\": {\"targets\": {\"a:1\": {\"added\": true}, \"unix:x\": 4}}}",
        "{\"orders\": {\"paused\": 1, \"targets\": {\"127.0.0.1:9001\": {\"wanted\": \"away\"}}}}",
        "{\"orders\": {\"targets\": {\"127.0.0.1:9001\": {\"weight\": 257}}}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        json_t *hostile = json_loads(odd[i], JSON_DECODE_ANY, NULL);
        roster_import_wanted(second, hostile, 0);
        json_t *left = roster_export_wanted(second);
        assert_int_equal(json_object_size(left), 0); /* as configured */
        json_decref(left);
        json_decref(hostile);
        roster_import_wanted(second, document, 0);
    }
    json_decref(document);
    roster_free(second);
}

static void resolve(struct roster *roster, const struct upstream_config *upstream, size_t n)
{
    struct address_config addresses[2];
    assert_null(address_parse("192.0.2.1:80", false, &addresses[0]));
    assert_null(address_parse("192.0.2.2:80", false, &addresses[1]));
    roster_resolve(roster, upstream, &upstream->targets[0], addresses, NULL, n, 0);
    free(addresses[0].text);
    free(addresses[1].text);
}

static void assert_wanted(struct roster *roster, const char *expected)
{
    json_t *value = json_loads(expected, 0, NULL), *wanted = roster_export_wanted(roster);
    assert_true(json_equal(value, wanted));
    json_decref(value);
    json_decref(wanted);
}

static bool look_up(struct roster *roster, const struct upstream_config *upstream, const char *address,
                    struct roster_slot *ret)
{
    const struct target_config *target = roster_find(roster, upstream, address);
    return target && roster_look(roster, upstream, target->index, ret);
}

/* What a name stands for comes later than the document, and may go and come again. */
static void test_wanted_of_what_a_name_stands_for(void **state)
{
    static const char document[] = "{\"named\": {\"targets\": {\"192.0.2.1:80\": {\"wanted\": \"down\"}, "
                                   "\"192.0.2.2:80\": {\"weight\": 7}}}}";
    static const char odd[] = "{\"named\": {\"targets\": {\"192.0.2.1:80\": {\"wanted\": \"away\"}, "
                              "\"192.0.2.2:80\": 7, \"x\": {\"weight\": -1, \"more\": [[]]}}}}";
    struct target_config name = {.address.text = (char *)"app.example.com:80", .weight = 1};
    struct upstream_config named = {.name = (char *)"named", .targets = &name, .n_targets = 1, .n_slots = 4};
    struct upstream_config *upstreams[] = {&named};
    const struct config config = {.upstreams = upstreams, .n_upstreams = 1};
    struct roster *roster = roster_new(&(struct roster_options){.config = &config}, 0);
    json_t *told = json_loads(document, 0, NULL);
    struct roster_slot there;

    roster_import_wanted(roster, told, 0);
    assert_wanted(roster, document);
    for (int i = 0; i < 2; i++) {
        resolve(roster, &named, 2);
        assert_true(look_up(roster, &named, "192.0.2.1:80", &there));
        assert_false(there.ready);
        assert_true(look_up(roster, &named, "192.0.2.2:80", &there));
        assert_int_equal(there.weight, 7);
        assert_wanted(roster, document);
        resolve(roster, &named, 0);
        assert_wanted(roster, document);
    }
    resolve(roster, &named, 1);
    assert_wanted(roster, document);
    json_decref(told);

    /* All is as configured by another document. */
    told = json_loads(odd, 0, NULL);
    roster_import_wanted(roster, told, 0);
    assert_wanted(roster, "{}");
    assert_true(look_up(roster, &named, "192.0.2.1:80", &there));
    assert_true(there.ready);
    json_decref(told);
    roster_free(roster);
}

int main(void)
{
#define roster_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        roster_test(test_requests_take_it_down_and_checks_bring_it_back),
        roster_test(test_a_late_answer_is_no_news),
        roster_test(test_those_who_wait_are_woken),
        roster_test(test_what_is_wanted_comes_first),
        roster_test(test_targets_come_and_go),
        roster_test(test_limits),
        cmocka_unit_test(test_breaker),
        roster_test(test_observed_goes_on),
        roster_test(test_wanted_goes_on),
        roster_test(test_wanted_of_what_a_name_stands_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
