#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "upstream/vitals.h"

#define SEC USEC_PER_SEC
#define MSEC USEC_PER_MSEC
#define BEGIN (1000 * SEC)

enum event { PASSED, FAILED, ANSWERED, LOST, REFUSED, _EVENT_MAX };

static const struct health_config checked = {.check = HEALTH_CHECK_HTTP,
                                             .interval = 5 * SEC,
                                             .timeout = 2 * SEC,
                                             .rise = 2,
                                             .fall = 3,
                                             .max_failures = 4};
static const struct health_config unchecked = {.check = HEALTH_CHECK_OFF,
                                               .interval = 5 * SEC,
                                               .timeout = 2 * SEC,
                                               .rise = 2,
                                               .fall = 3,
                                               .max_failures = 4};

static bool happen(struct vitals *vitals, enum event event)
{
    if (event == PASSED || event == FAILED)
        return vitals_check(vitals, event == PASSED, BEGIN);
    return vitals_request(vitals, event == ANSWERED, event == REFUSED, BEGIN);
}

/* How often the event has to happen until what is observed changes; 0: it does not. */
static unsigned happen_until_change(struct vitals *vitals, enum event event)
{
    const enum observed before = vitals_observed(vitals);
    for (unsigned n = 1; n <= 10; n++) {
        if (happen(vitals, event)) {
            assert_int_not_equal(vitals_observed(vitals), before);
            return n;
        }
        assert_int_equal(vitals_observed(vitals), before);
    }
    return 0;
}

enum start { UNKNOWN, UP, DOWN_BY_REQUESTS, DOWN_BY_CHECKS, _START_MAX };

static void begin_as(struct vitals *vitals, const struct health_config *config, enum start start)
{
    vitals_init(vitals, config, 1, BEGIN);
    if (start == UP)
        assert_true(happen(vitals, ANSWERED));
    else if (start == DOWN_BY_REQUESTS)
        assert_true(happen(vitals, REFUSED));
    else if (start == DOWN_BY_CHECKS)
        assert_int_equal(happen_until_change(vitals, FAILED), 3);
}

/* The table of vitals.h, cell by cell: after how many of an event what is observed changes. */
static void test_table(void **state)
{
    static const unsigned with_checks[_EVENT_MAX][_START_MAX] = {
        [PASSED] = {2, 0, 2, 2},   /* */
        [FAILED] = {3, 3, 0, 0},   /* */
        [ANSWERED] = {1, 0, 1, 0}, /* */
        [LOST] = {4, 4, 0, 0},     /* */
        [REFUSED] = {1, 1, 0, 0},
    };
    static const unsigned without_checks[_EVENT_MAX][_START_MAX] = {
        [PASSED] = {1, 0, 1},   /* */
        [FAILED] = {0, 0, 0},   /* */
        [ANSWERED] = {1, 0, 1}, /* */
        [LOST] = {4, 4, 0},     /* */
        [REFUSED] = {1, 1, 0},
    };
    struct vitals vitals;
    for (enum event event = 0; event < _EVENT_MAX; event++)
        for (enum start start = 0; start < _START_MAX; start++) {
            begin_as(&vitals, &checked, start);
            assert_int_equal(happen_until_change(&vitals, event), with_checks[event][start]);
            if (start == DOWN_BY_CHECKS)
                continue;
            begin_as(&vitals, &unchecked, start);
            assert_int_equal(happen_until_change(&vitals, event), without_checks[event][start]);
        }
}

/* Fall by checks after failing requests: the checks' word stands. */
static void test_checks_take_over(void **state)
{
    struct vitals vitals;
    begin_as(&vitals, &checked, DOWN_BY_REQUESTS);
    assert_int_equal(happen_until_change(&vitals, FAILED), 0);
    assert_false(happen(&vitals, ANSWERED));
    assert_int_equal(vitals_observed(&vitals), OBSERVED_DOWN);
    assert_int_equal(happen_until_change(&vitals, PASSED), 2);
    assert_int_equal(vitals_observed(&vitals), OBSERVED_UP);
    /* Not before there have been enough of them. */
    begin_as(&vitals, &checked, DOWN_BY_REQUESTS);
    assert_false(happen(&vitals, FAILED));
    assert_false(happen(&vitals, FAILED));
    assert_true(happen(&vitals, ANSWERED));
    /* And the row goes on, since nothing has passed: the third is the third in a row. */
    assert_true(happen(&vitals, FAILED));
    assert_false(happen(&vitals, ANSWERED));
    /* After it is up again, requests may take it down and bring it up as ever. */
    assert_int_equal(happen_until_change(&vitals, PASSED), 2);
    assert_true(happen(&vitals, REFUSED));
    assert_true(happen(&vitals, ANSWERED));
}

static void test_in_a_row(void **state)
{
    struct vitals vitals;
    /* Failed checks, broken by one that passes; requests do not break them. */
    begin_as(&vitals, &checked, UP);
    for (int i = 0; i < 5; i++) {
        assert_false(happen(&vitals, FAILED));
        assert_false(happen(&vitals, FAILED));
        assert_false(happen(&vitals, PASSED));
    }
    assert_false(happen(&vitals, FAILED));
    assert_false(happen(&vitals, ANSWERED));
    assert_false(happen(&vitals, FAILED));
    assert_true(happen(&vitals, FAILED));
    /* Passed ones, broken by one that fails; those of before do not count. */
    assert_false(happen(&vitals, PASSED));
    assert_false(happen(&vitals, FAILED));
    assert_false(happen(&vitals, PASSED));
    assert_false(happen(&vitals, LOST));
    assert_true(happen(&vitals, PASSED));
    assert_false(happen(&vitals, PASSED));
    assert_true(happen(&vitals, REFUSED));
    assert_false(happen(&vitals, PASSED));
    assert_true(happen(&vitals, PASSED));
    /* Failed requests, broken by an answer and by a check that passes, not by one that fails. */
    for (int i = 0; i < 3; i++) {
        for (int n = 0; n < 3; n++)
            assert_false(happen(&vitals, LOST));
        assert_false(happen(&vitals, i % 2 ? PASSED : ANSWERED));
    }
    for (int n = 0; n < 3; n++)
        assert_false(happen(&vitals, LOST));
    assert_false(happen(&vitals, FAILED));
    assert_true(happen(&vitals, LOST));
    /* Up again, the row is a new one. */
    assert_true(happen(&vitals, ANSWERED));
    assert_int_equal(happen_until_change(&vitals, LOST), 4);
}

static void test_requests_may_not_count(void **state)
{
    struct health_config config = checked;
    struct vitals vitals;
    config.max_failures = 0;
    begin_as(&vitals, &config, UNKNOWN);
    assert_int_equal(happen_until_change(&vitals, LOST), 0);
    assert_int_equal(happen_until_change(&vitals, REFUSED), 0);
    assert_true(happen(&vitals, ANSWERED));
    assert_int_equal(happen_until_change(&vitals, REFUSED), 0);
    assert_int_equal(happen_until_change(&vitals, FAILED), 3);
    config.max_failures = 1;
    begin_as(&vitals, &config, UP);
    assert_true(happen(&vitals, LOST));
}

static void test_start_period(void **state)
{
    struct health_config config = checked;
    struct vitals vitals;
    config.start_period = 10 * SEC;
    vitals_init(&vitals, &config, 1, BEGIN);
    for (usec_t t = 0; t < 10; t++)
        assert_false(vitals_check(&vitals, false, BEGIN + t * SEC));
    assert_false(vitals_check(&vitals, false, BEGIN + 10 * SEC - 1));
    assert_int_equal(vitals_observed(&vitals), OBSERVED_UNKNOWN);
    /* None of those count now. */
    assert_false(vitals_check(&vitals, false, BEGIN + 10 * SEC));
    assert_false(vitals_check(&vitals, false, BEGIN + 11 * SEC));
    assert_true(vitals_check(&vitals, false, BEGIN + 12 * SEC));
    /* Passed ones count, and must be in a row. */
    vitals_init(&vitals, &config, 1, BEGIN);
    assert_false(vitals_check(&vitals, true, BEGIN));
    assert_false(vitals_check(&vitals, false, BEGIN));
    assert_false(vitals_check(&vitals, true, BEGIN));
    assert_true(vitals_check(&vitals, true, BEGIN));
    assert_false(vitals_check(&vitals, false, BEGIN));
    /* Requests count. */
    assert_true(vitals_request(&vitals, false, true, BEGIN));
    assert_true(vitals_request(&vitals, true, false, BEGIN));
    /* Without end. */
    config.start_period = USEC_INFINITY;
    vitals_init(&vitals, &config, 1, BEGIN);
    for (int i = 0; i < 10; i++)
        assert_false(vitals_check(&vitals, false, USEC_INFINITY - 1));
}

/* Checks until `until`, each taking no time; returns how many. */
static unsigned check_on(struct vitals *vitals, bool waiting, usec_t until, bool passed)
{
    unsigned n = 0;
    for (usec_t due; (due = vitals_next_check(vitals, waiting)) <= until; n++) {
        vitals_check_begun(vitals, due);
        assert_int_equal(vitals_next_check(vitals, waiting), USEC_INFINITY);
        (void)vitals_check(vitals, passed, due);
        assert_true(vitals_next_check(vitals, waiting) > due);
    }
    return n;
}

static void test_each_interval(void **state)
{
    struct vitals vitals;
    usec_t shortest = USEC_INFINITY, longest = 0, last = BEGIN;
    vitals_init(&vitals, &checked, 1, BEGIN);
    /* The first is due at once. */
    assert_int_equal(vitals_next_check(&vitals, false), BEGIN);
    vitals_check_begun(&vitals, BEGIN);
    vitals_check(&vitals, true, BEGIN + MSEC);
    for (int i = 0; i < 1000; i++) {
        const usec_t due = vitals_next_check(&vitals, i % 2);
        assert_int_equal(due, vitals_next_check(&vitals, false));
        shortest = usec_min(shortest, due - last);
        longest = MAX(longest, due - last);
        /* It begins when it does, and takes what it takes: from one beginning to the next. */
        last = due + 3 * MSEC;
        vitals_check_begun(&vitals, last);
        vitals_check(&vitals, true, last + SEC);
    }
    assert_in_range(shortest, 4500 * MSEC, 4510 * MSEC);
    assert_in_range(longest, 5490 * MSEC, 5503 * MSEC);
    /* A target that is down is not checked more often, unless requests wait. */
    begin_as(&vitals, &checked, DOWN_BY_REQUESTS);
    assert_int_equal(check_on(&vitals, false, BEGIN, false), 1);
    assert_in_range(check_on(&vitals, false, BEGIN + 1000 * SEC, false), 190, 210);
    assert_in_range(check_on(&vitals, true, BEGIN + 1100 * SEC, false), 990, 1050);
}

static void test_seeds_differ(void **state)
{
    struct vitals a, b;
    unsigned same = 0;
    vitals_init(&a, &checked, 1, BEGIN);
    vitals_init(&b, &checked, 2, BEGIN);
    for (usec_t now = BEGIN; now < BEGIN + 1000 * SEC; now += 10 * SEC) {
        vitals_check_begun(&a, now);
        vitals_check(&a, true, now);
        vitals_check_begun(&b, now);
        vitals_check(&b, true, now);
        same += vitals_next_check(&a, false) == vitals_next_check(&b, false);
    }
    assert_int_equal(same, 0);
}

static void test_intervals_at_the_ends(void **state)
{
    struct health_config config = checked;
    struct vitals vitals;
    config.interval = MSEC;
    vitals_init(&vitals, &config, 1, BEGIN);
    vitals_check_begun(&vitals, BEGIN);
    vitals_check(&vitals, true, BEGIN);
    assert_in_range(vitals_next_check(&vitals, false), BEGIN + 900, BEGIN + 1100);
    config.interval = USEC_INFINITY - 1;
    vitals_check_begun(&vitals, BEGIN);
    vitals_check(&vitals, true, BEGIN);
    assert_true(vitals_next_check(&vitals, false) > USEC_INFINITY / 2);
}

static void assert_pauses(struct vitals *vitals, bool waiting, usec_t from, const usec_t *pauses, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(vitals_next_check(vitals, waiting), from + pauses[i]);
        from += pauses[i];
        vitals_check_begun(vitals, from);
        assert_false(vitals_check(vitals, false, from));
    }
}

static void test_recheck_without_checks(void **state)
{
    static const usec_t alone[] = {50 * MSEC, 100 * MSEC, 200 * MSEC, 400 * MSEC, 800 * MSEC, SEC, SEC, SEC};
    static const usec_t waiting[] = {10 * MSEC,  20 * MSEC,  40 * MSEC, 80 * MSEC,
                                     100 * MSEC, 100 * MSEC, 100 * MSEC};
    struct vitals vitals;
    vitals_init(&vitals, &unchecked, 1, BEGIN);
    assert_int_equal(vitals_next_check(&vitals, false), USEC_INFINITY);
    assert_int_equal(vitals_next_check(&vitals, true), USEC_INFINITY);
    /* From when it went down, however late that is. */
    const usec_t down = BEGIN + 77 * SEC;
    assert_true(vitals_request(&vitals, false, true, down));
    assert_pauses(&vitals, false, down, alone, ARRAY_SIZE(alone));
    assert_true(vitals_request(&vitals, true, false, down + 20 * SEC));
    assert_int_equal(vitals_next_check(&vitals, true), USEC_INFINITY);
    /* The next time it begins small again. */
    assert_true(vitals_request(&vitals, false, true, down + 30 * SEC));
    assert_pauses(&vitals, true, down + 30 * SEC, waiting, ARRAY_SIZE(waiting));
    /* When nobody waits any more, and when somebody does again. */
    const usec_t last = down + 30 * SEC + 450 * MSEC;
    assert_int_equal(vitals_next_check(&vitals, false), last + SEC);
    assert_int_equal(vitals_next_check(&vitals, true), last + 100 * MSEC);
    /* It takes one that passes. */
    vitals_check_begun(&vitals, last + SEC);
    assert_true(vitals_check(&vitals, true, last + SEC));
    assert_int_equal(vitals_next_check(&vitals, true), USEC_INFINITY);
    /* For hours on end. */
    assert_true(vitals_request(&vitals, false, true, down + 100 * SEC));
    assert_in_range(check_on(&vitals, false, down + 100100 * SEC, false), 99990, 100010);
}

static void test_waiting_with_checks(void **state)
{
    static const usec_t waiting[] = {10 * MSEC, 20 * MSEC, 40 * MSEC, 80 * MSEC, 100 * MSEC, 100 * MSEC};
    struct vitals vitals;
    vitals_init(&vitals, &checked, 1, BEGIN);
    vitals_check_begun(&vitals, BEGIN);
    assert_false(vitals_check(&vitals, true, BEGIN));
    assert_true(vitals_request(&vitals, false, true, BEGIN + SEC));
    assert_in_range(vitals_next_check(&vitals, false), BEGIN + 4500 * MSEC, BEGIN + 5500 * MSEC);
    assert_pauses(&vitals, true, BEGIN + SEC, waiting, ARRAY_SIZE(waiting));
    /* Not later than without anybody waiting. */
    struct health_config config = checked;
    config.interval = 5 * MSEC;
    vitals_init(&vitals, &config, 1, BEGIN);
    vitals_check_begun(&vitals, BEGIN);
    vitals_check(&vitals, false, BEGIN);
    assert_true(vitals_request(&vitals, false, true, BEGIN));
    assert_in_range(vitals_next_check(&vitals, true), BEGIN + 4500, BEGIN + 5500);
}

static void test_look_soon(void **state)
{
    static const usec_t again[] = {50 * MSEC, 100 * MSEC, 200 * MSEC};
    struct vitals vitals;
    /* Nothing to look for. */
    vitals_init(&vitals, &unchecked, 1, BEGIN);
    vitals_look_soon(&vitals, BEGIN);
    assert_int_equal(vitals_next_check(&vitals, true), USEC_INFINITY);
    assert_true(vitals_request(&vitals, false, true, BEGIN));
    assert_int_equal(vitals_next_check(&vitals, false), BEGIN + 50 * MSEC);
    /* At once, then in small steps again. */
    const unsigned checks = check_on(&vitals, false, BEGIN + 100 * SEC, false);
    assert_true(checks > 100);
    vitals_look_soon(&vitals, BEGIN + 100 * SEC + 7);
    assert_true(vitals_next_check(&vitals, false) <= BEGIN + 100 * SEC + 7);
    vitals_check_begun(&vitals, BEGIN + 101 * SEC);
    assert_false(vitals_check(&vitals, false, BEGIN + 101 * SEC));
    assert_pauses(&vitals, false, BEGIN + 101 * SEC, again, ARRAY_SIZE(again));
    /* While a check is under way: after it, unless that has brought it up. */
    for (int passed = 0; passed < 2; passed++) {
        vitals_check_begun(&vitals, BEGIN + 200 * SEC);
        vitals_look_soon(&vitals, BEGIN + 201 * SEC);
        assert_int_equal(vitals_next_check(&vitals, false), USEC_INFINITY);
        vitals_check(&vitals, passed, BEGIN + 202 * SEC);
        if (passed)
            assert_int_equal(vitals_next_check(&vitals, false), USEC_INFINITY);
        else
            assert_true(vitals_next_check(&vitals, false) <= BEGIN + 202 * SEC);
    }
    assert_true(vitals_request(&vitals, false, true, BEGIN + 300 * SEC));
    assert_int_equal(vitals_next_check(&vitals, false), BEGIN + 300 * SEC + 50 * MSEC);
    /* With checks, one that is up is looked at, too. */
    begin_as(&vitals, &checked, UP);
    check_on(&vitals, false, BEGIN, true);
    vitals_look_soon(&vitals, BEGIN + 10);
    assert_int_equal(vitals_next_check(&vitals, false), BEGIN + 10);
}

static void import(struct vitals *vitals, const char *text)
{
    json_t *document = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(document);
    vitals_import(vitals, document, BEGIN + SEC);
    json_decref(document);
}

static void test_from_process_to_process(void **state)
{
    struct vitals before, after;
    for (enum start start = 0; start < _START_MAX; start++) {
        begin_as(&before, &checked, start);
        vitals_init(&after, &checked, 1, BEGIN);
        json_t *document = vitals_export(&before);
        vitals_import(&after, document, BEGIN + SEC);
        json_decref(document);
        assert_int_equal(vitals_observed(&after), vitals_observed(&before));
        /* Who took it down is known, too. */
        if (start >= DOWN_BY_REQUESTS)
            assert_int_equal(happen(&after, ANSWERED), start == DOWN_BY_REQUESTS);
    }
    /* Checks that are made no more have no say. */
    vitals_init(&after, &unchecked, 1, BEGIN);
    import(&after, "{\"observed\": \"down\", \"by\": \"checks\"}");
    assert_int_equal(vitals_observed(&after), OBSERVED_DOWN);
    assert_int_equal(vitals_next_check(&after, false), BEGIN + SEC + 50 * MSEC);
    assert_true(happen(&after, ANSWERED));
    /* What another does not know is no news; what it does is. */
    import(&after, "{\"observed\": \"unknown\"}");
    assert_int_equal(vitals_observed(&after), OBSERVED_UP);
    import(&after, "{\"observed\": \"down\"}");
    assert_int_equal(vitals_observed(&after), OBSERVED_DOWN);
    import(&after, "{\"observed\": \"up\"}");
    assert_int_equal(vitals_observed(&after), OBSERVED_UP);
    begin_as(&after, &checked, DOWN_BY_CHECKS);
    import(&after, "{\"observed\": \"up\"}");
    assert_int_equal(happen_until_change(&after, FAILED), 3);
}

static void test_hostile_import(void **state)
{
    static const char *const documents[] = {
        "null",
        "7",
        "[]",
        "{}",
        "\"down\"",
        "[\"down\"]",
        "{\"observed\": 2}",
        "{\"observed\": null}",
        "{\"observed\": \"\"}",
        "{\"observed\": \"Down\"}",
        "{\"observed\": {\"observed\": \"down\"}}",
        "{\"by\": \"checks\"}",
    };
    struct vitals vitals;
    vitals_init(&vitals, &checked, 1, BEGIN);
    for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
        import(&vitals, documents[i]);
        assert_int_equal(vitals_observed(&vitals), OBSERVED_UNKNOWN);
    }
    vitals_import(&vitals, NULL, BEGIN);
    import(&vitals, "{\"observed\": \"down\", \"by\": [1]}");
    assert_int_equal(vitals_observed(&vitals), OBSERVED_DOWN);
    assert_true(happen(&vitals, ANSWERED));
}

static void test_steady(void **state)
{
    struct vitals vitals;
    for (enum start start = 0; start < _START_MAX; start++) {
        begin_as(&vitals, &checked, start);
        assert_int_equal(vitals_is_steady(&vitals), start == UP);
    }
    begin_as(&vitals, &checked, UP);
    assert_false(happen(&vitals, FAILED));
    assert_true(vitals_is_steady(&vitals)); /* an answer would not undo that */
    assert_false(happen(&vitals, LOST));
    assert_false(vitals_is_steady(&vitals));
    assert_false(happen(&vitals, ANSWERED));
    assert_true(vitals_is_steady(&vitals));
}

static void test_names(void **state)
{
    assert_string_equal(observed_to_string(OBSERVED_UNKNOWN), "unknown");
    assert_string_equal(observed_to_string(OBSERVED_UP), "up");
    assert_string_equal(observed_to_string(OBSERVED_DOWN), "down");
}

static void test_went_down_since(void **state)
{
    struct vitals vitals;

    vitals_init(&vitals, &unchecked, 1, BEGIN);
    assert_false(vitals_went_down_since(&vitals, BEGIN - SEC));
    assert_true(vitals_request(&vitals, false, true, BEGIN));
    assert_true(vitals_went_down_since(&vitals, BEGIN - MSEC));
    assert_false(vitals_went_down_since(&vitals, BEGIN));
    assert_true(vitals_request(&vitals, true, false, BEGIN + SEC));
    assert_false(vitals_went_down_since(&vitals, BEGIN - MSEC));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_checks_take_over),
        cmocka_unit_test(test_in_a_row),
        cmocka_unit_test(test_requests_may_not_count),
        cmocka_unit_test(test_start_period),
        cmocka_unit_test(test_each_interval),
        cmocka_unit_test(test_seeds_differ),
        cmocka_unit_test(test_intervals_at_the_ends),
        cmocka_unit_test(test_recheck_without_checks),
        cmocka_unit_test(test_waiting_with_checks),
        cmocka_unit_test(test_look_soon),
        cmocka_unit_test(test_from_process_to_process),
        cmocka_unit_test(test_hostile_import),
        cmocka_unit_test(test_steady),
        cmocka_unit_test(test_went_down_since),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
