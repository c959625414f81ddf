#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "upstream/breaker.h"
#include "upstream/window.h"

#define SEC USEC_PER_SEC
#define MSEC USEC_PER_MSEC
#define BEGIN (1000 * SEC)

/* Resilience4j's defaults but for the sizes. */
static const struct breaker_config count = {.window = BREAKER_COUNT,
                                            .size = 10,
                                            .minimum_calls = 5,
                                            .failure_rate = 50,
                                            .slow_rate = 100,
                                            .slow_call = 60 * SEC,
                                            .open = 60 * SEC,
                                            .half_open = 4};
static const struct breaker_config last_seconds = {.window = BREAKER_TIME,
                                                   .size = 10,
                                                   .minimum_calls = 5,
                                                   .failure_rate = 50,
                                                   .slow_rate = 100,
                                                   .slow_call = 60 * SEC,
                                                   .open = 60 * SEC,
                                                   .half_open = 4};

/* One call from begin to end. */
static bool call_taking(struct breaker *breaker, bool failed, usec_t duration, usec_t now)
{
    assert_true(breaker_may_permit(breaker, now));
    assert_true(breaker_permit(breaker, now));
    return breaker_record(breaker, breaker_epoch(breaker), failed, duration, now);
}

static bool call(struct breaker *breaker, bool failed, usec_t now)
{
    return call_taking(breaker, failed, 0, now);
}

/* n calls that change nothing. */
static void calls(struct breaker *breaker, unsigned n, bool failed, usec_t now)
{
    while (n-- > 0)
        assert_false(call(breaker, failed, now));
}

static void assert_figures(const struct breaker *breaker, usec_t now, unsigned n, unsigned failed,
                           unsigned slow, double failure_rate, double slow_rate)
{
    struct breaker_figures figures;
    breaker_figures(breaker, now, &figures);
    assert_int_equal(figures.calls, n);
    assert_int_equal(figures.failed, failed);
    assert_int_equal(figures.slow, slow);
    assert_true(figures.failure_rate == failure_rate);
    assert_true(figures.slow_rate == slow_rate);
}

static struct breaker *new_opened(const struct breaker_config *config, usec_t now)
{
    struct breaker *breaker = breaker_new(config);
    while (!call(breaker, true, now))
        ;
    assert_int_equal(breaker_state(breaker, now), BREAKER_OPENED);
    return breaker;
}

static void test_off(void **state)
{
    const struct breaker_config off = {.window = BREAKER_OFF};
    struct breaker *breaker = breaker_new(&off);
    assert_null(breaker);
    for (int i = 0; i < 1000; i++)
        assert_false(call(breaker, true, BEGIN));
    breaker_release(breaker, 7);
    assert_int_equal(breaker_state(breaker, BEGIN), BREAKER_CLOSED);
    assert_int_equal(breaker_next(breaker, BEGIN), USEC_INFINITY);
    assert_figures(breaker, BEGIN, 0, 0, 0, -1, -1);
    json_t *document = breaker_export(breaker, BEGIN);
    assert_true(json_is_null(document));
    breaker_import(breaker, document, BEGIN);
    json_decref(document);
    assert_null(breaker_free(breaker));
}

static void test_minimum_number_of_calls(void **state)
{
    struct breaker *breaker = breaker_new(&count);
    calls(breaker, 4, true, BEGIN);
    assert_figures(breaker, BEGIN, 4, 4, 0, -1, -1);
    assert_true(call(breaker, true, BEGIN));
    assert_int_equal(breaker_state(breaker, BEGIN), BREAKER_OPENED);
    assert_figures(breaker, BEGIN, 5, 5, 0, 100, 0);
    breaker_free(breaker);

    /* A success can be the call that completes them. */
    breaker = breaker_new(&count);
    calls(breaker, 4, true, BEGIN);
    assert_true(call(breaker, false, BEGIN));
    assert_figures(breaker, BEGIN, 5, 4, 0, 80, 0);
    breaker_free(breaker);

    /* Never more than a window of calls holds; a window of time has no such bound. */
    struct breaker_config config = count;
    config.minimum_calls = 100;
    breaker = breaker_new(&config);
    calls(breaker, 9, true, BEGIN);
    assert_true(call(breaker, true, BEGIN));
    breaker_free(breaker);
    config.window = BREAKER_TIME;
    breaker = breaker_new(&config);
    calls(breaker, 99, true, BEGIN);
    assert_true(call(breaker, true, BEGIN));
    breaker_free(breaker);
}

static void test_equal_or_greater_opens(void **state)
{
    struct breaker_config config = count;
    config.size = config.minimum_calls = 100;
    for (unsigned rate = 1; rate <= 100; rate++) {
        config.failure_rate = rate;
        struct breaker *breaker = breaker_new(&config);
        calls(breaker, 100 - rate + 1, false, BEGIN);
        calls(breaker, rate - 1, true, BEGIN); /* one percent below */
        assert_figures(breaker, BEGIN, 100, rate - 1, 0, rate - 1, 0);
        assert_true(call(breaker, true, BEGIN));
        breaker_free(breaker);
    }
}

static void test_slow_calls(void **state)
{
    struct breaker_config config = count;
    config.slow_rate = 60;
    config.slow_call = 2 * SEC;
    struct breaker *breaker = breaker_new(&config);
    /* Above the threshold, not at it. */
    for (int i = 0; i < 20; i++)
        assert_false(call_taking(breaker, false, 2 * SEC, BEGIN));
    assert_figures(breaker, BEGIN, 10, 0, 0, 0, 0);
    for (int i = 0; i < 5; i++)
        assert_false(call_taking(breaker, false, 2 * SEC + 1, BEGIN));
    assert_figures(breaker, BEGIN, 10, 0, 5, 0, 50);
    assert_true(call_taking(breaker, false, USEC_INFINITY, BEGIN));
    assert_figures(breaker, BEGIN, 10, 0, 6, 0, 60);
    breaker_free(breaker);

    /* A slow failure is both. */
    breaker = breaker_new(&config);
    calls(breaker, 8, false, BEGIN);
    assert_false(call_taking(breaker, true, 3 * SEC, BEGIN));
    assert_figures(breaker, BEGIN, 9, 1, 1, 100.0 / 9, 100.0 / 9);
    breaker_free(breaker);

    /* The default: only if all are. */
    breaker = breaker_new(&count);
    for (int i = 0; i < 4; i++)
        assert_false(call_taking(breaker, false, 61 * SEC, BEGIN));
    assert_true(call_taking(breaker, false, 61 * SEC, BEGIN));
    breaker_free(breaker);
}

static void test_last_calls_only(void **state)
{
    struct breaker *breaker = breaker_new(&count);
    calls(breaker, 6, false, BEGIN);
    calls(breaker, 4, true, BEGIN);
    assert_figures(breaker, BEGIN, 10, 4, 0, 40, 0);
    /* The six that succeeded are forgotten, however long ago they were, and the failures after them. */
    calls(breaker, 6, false, BEGIN + 3600 * SEC);
    assert_figures(breaker, BEGIN, 10, 4, 0, 40, 0);
    calls(breaker, 4, false, BEGIN + 3600 * SEC);
    assert_figures(breaker, BEGIN, 10, 0, 0, 0, 0);
    breaker_free(breaker);
}

static void test_last_seconds_only(void **state)
{
    struct breaker *breaker = breaker_new(&last_seconds);
    calls(breaker, 4, true, BEGIN);
    assert_figures(breaker, BEGIN + 10 * SEC - 1, 4, 4, 0, -1, -1);
    assert_figures(breaker, BEGIN + 10 * SEC, 0, 0, 0, -1, -1);
    /* Too late to be the fifth. */
    calls(breaker, 4, true, BEGIN + 10 * SEC);
    assert_true(call(breaker, true, BEGIN + 20 * SEC - 1));
    breaker_free(breaker);

    /* Second by second. */
    breaker = breaker_new(&last_seconds);
    for (unsigned s = 0; s < 100; s++) {
        assert_false(call(breaker, false, BEGIN + s * SEC));
        assert_false(call(breaker, s % 3 == 0 && s > 2, BEGIN + s * SEC + SEC / 2));
        assert_figures(breaker, BEGIN + s * SEC + SEC / 2, 2 * MIN(s + 1, 10u),
                       s / 3 - (s >= 10 ? (s - 10) / 3 : 0), 0,
                       s < 2 ? -1 : 100.0 * (s / 3 - (s >= 10 ? (s - 10) / 3 : 0)) / (2 * MIN(s + 1, 10u)),
                       s < 2 ? -1 : 0);
    }
    /* A clock that is a little behind: its call is taken for one of now, and nothing of now is forgotten. */
    calls(breaker, 1, false, BEGIN + 95 * SEC);
    assert_figures(breaker, BEGIN + 99 * SEC + SEC / 2, 21, 4, 0, 100.0 * 4 / 21, 0);
    calls(breaker, 1, false, BEGIN + 99 * SEC + SEC / 2);
    assert_figures(breaker, BEGIN + 99 * SEC + SEC / 2, 22, 4, 0, 100.0 * 4 / 22, 0);
    assert_figures(breaker, BEGIN + 108 * SEC, 4, 1, 0, -1, -1);
    /* A jump. */
    assert_figures(breaker, UINT64_C(1) << 63, 0, 0, 0, -1, -1);
    calls(breaker, 4, true, UINT64_C(1) << 63);
    calls(breaker, 1, true, USEC_INFINITY - 1);
    assert_figures(breaker, USEC_INFINITY - 1, 1, 1, 0, -1, -1);
    breaker_free(breaker);
}

static void test_open_permits_nothing(void **state)
{
    struct breaker *breaker = new_opened(&count, BEGIN);
    assert_int_equal(breaker_next(breaker, BEGIN), BEGIN + 60 * SEC);
    for (usec_t t = BEGIN; t < BEGIN + 60 * SEC; t += 500 * MSEC) {
        assert_int_equal(breaker_state(breaker, t), BREAKER_OPENED);
        assert_false(breaker_may_permit(breaker, t));
        assert_false(breaker_permit(breaker, t));
    }
    assert_false(breaker_permit(breaker, BEGIN + 60 * SEC - 1));
    /* Looking is not enough to begin the trial, but tells of it. */
    assert_int_equal(breaker_state(breaker, BEGIN + 60 * SEC), BREAKER_HALF_OPEN);
    assert_int_equal(breaker_next(breaker, BEGIN + 60 * SEC), USEC_INFINITY);
    assert_true(breaker_may_permit(breaker, BEGIN + 60 * SEC));
    assert_figures(breaker, BEGIN + 60 * SEC, 0, 0, 0, -1, -1);
    breaker_free(breaker);

    /* As good as for ever. */
    struct breaker_config config = count;
    config.open = USEC_INFINITY - 1;
    breaker = new_opened(&config, BEGIN);
    assert_false(breaker_permit(breaker, USEC_INFINITY - 1));
    breaker_free(breaker);
}

static void test_half_open_permits_so_many(void **state)
{
    const usec_t now = BEGIN + 60 * SEC;
    struct breaker *breaker = new_opened(&count, BEGIN);
    for (int i = 0; i < 4; i++) {
        assert_true(breaker_permit(breaker, now));
        assert_int_equal(breaker_state(breaker, now), BREAKER_HALF_OPEN);
    }
    const uint32_t epoch = breaker_epoch(breaker);
    assert_false(breaker_may_permit(breaker, now));
    assert_false(breaker_permit(breaker, now + 3600 * SEC));
    /* One that ends frees no place for another. */
    assert_false(breaker_record(breaker, epoch, false, 0, now));
    assert_false(breaker_permit(breaker, now));
    assert_figures(breaker, now, 1, 0, 0, -1, -1);
    /* The last one decides, not the first that fail. */
    assert_false(breaker_record(breaker, epoch, true, 0, now));
    assert_false(breaker_record(breaker, epoch, true, 0, now));
    assert_int_equal(breaker_state(breaker, now), BREAKER_HALF_OPEN);
    assert_true(breaker_record(breaker, epoch, false, 0, now));
    assert_int_equal(breaker_state(breaker, now), BREAKER_OPENED);
    assert_figures(breaker, now, 4, 2, 0, 50, 0);
    assert_int_equal(breaker_next(breaker, now), now + 60 * SEC);
    breaker_free(breaker);
}

static void test_half_open_closes_with_an_empty_window(void **state)
{
    const usec_t now = BEGIN + 60 * SEC;
    struct breaker *breaker = new_opened(&count, BEGIN);
    calls(breaker, 2, false, now);
    calls(breaker, 1, true, now);
    assert_true(call(breaker, false, now));
    assert_int_equal(breaker_state(breaker, now), BREAKER_CLOSED);
    assert_figures(breaker, now, 0, 0, 0, -1, -1);
    calls(breaker, 4, true, now);
    assert_true(call(breaker, true, now));
    breaker_free(breaker);

    /* Of a window of time that would still hold what opened it, too. */
    struct breaker_config config = last_seconds;
    config.open = SEC;
    config.half_open = 1;
    breaker = new_opened(&config, BEGIN);
    assert_true(call(breaker, false, BEGIN + SEC));
    for (usec_t t = 1; t < 30; t++) {
        assert_figures(breaker, BEGIN + t * SEC, MIN((unsigned)t - 1, 9u), 0, 0, t < 6 ? -1 : 0,
                       t < 6 ? -1 : 0);
        calls(breaker, 1, false, BEGIN + t * SEC);
    }
    breaker_free(breaker);
}

static void test_half_open_judges_slow_calls(void **state)
{
    const usec_t now = BEGIN + 60 * SEC;
    struct breaker *breaker = new_opened(&count, BEGIN);
    for (int i = 0; i < 3; i++)
        assert_false(call_taking(breaker, false, 61 * SEC, now));
    assert_true(call_taking(breaker, false, 61 * SEC, now));
    assert_int_equal(breaker_state(breaker, now), BREAKER_OPENED);
    assert_figures(breaker, now, 4, 0, 4, 0, 100);
    breaker_free(breaker);
}

/* The trial has its own minimum, whatever the window's is. */
static void test_half_open_has_its_own_minimum(void **state)
{
    struct breaker_config config = count;
    const usec_t now = BEGIN + 60 * SEC;
    config.minimum_calls = 1;
    config.half_open = 3;
    struct breaker *breaker = new_opened(&config, BEGIN);
    calls(breaker, 2, true, now);
    assert_true(call(breaker, true, now));
    breaker_free(breaker);
    config.minimum_calls = config.size = 1000;
    config.half_open = 1;
    breaker = new_opened(&config, BEGIN);
    assert_true(call(breaker, false, now));
    assert_int_equal(breaker_state(breaker, now), BREAKER_CLOSED);
    breaker_free(breaker);
}

static void test_released_permits_come_back(void **state)
{
    const usec_t now = BEGIN + 60 * SEC;
    struct breaker *breaker = new_opened(&count, BEGIN);
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 4; i++)
            assert_true(breaker_permit(breaker, now));
        assert_false(breaker_permit(breaker, now));
        for (int i = 0; i < 4; i++)
            breaker_release(breaker, breaker_epoch(breaker));
    }
    calls(breaker, 3, false, now);
    assert_true(breaker_permit(breaker, now));
    assert_false(breaker_permit(breaker, now));
    breaker_release(breaker, breaker_epoch(breaker));
    assert_true(call(breaker, false, now));
    assert_int_equal(breaker_state(breaker, now), BREAKER_CLOSED);
    breaker_free(breaker);

    /* While closed, what is released is not recorded. */
    breaker = breaker_new(&count);
    for (int i = 0; i < 100; i++) {
        assert_true(breaker_permit(breaker, now));
        breaker_release(breaker, breaker_epoch(breaker));
    }
    assert_figures(breaker, now, 0, 0, 0, -1, -1);
    breaker_free(breaker);
}

static void test_calls_of_an_earlier_epoch(void **state)
{
    const usec_t now = BEGIN + 60 * SEC;
    struct breaker *breaker = breaker_new(&count);
    const uint32_t closed = breaker_epoch(breaker);
    for (int i = 0; i < 20; i++)
        assert_true(breaker_permit(breaker, BEGIN));
    for (int i = 0; i < 4; i++)
        assert_false(breaker_record(breaker, closed, true, 0, BEGIN));
    assert_true(breaker_record(breaker, closed, true, 0, BEGIN));
    /* While open, and when its time is over: neither ends. */
    assert_false(breaker_record(breaker, closed, false, 0, BEGIN));
    assert_false(breaker_record(breaker, closed, true, 0, now));
    breaker_release(breaker, closed);
    assert_int_equal(breaker_next(breaker, BEGIN), now);
    assert_figures(breaker, BEGIN, 5, 5, 0, 100, 0);
    /* While half open: no trial call, and no permit that comes back. */
    for (int i = 0; i < 4; i++)
        assert_true(breaker_permit(breaker, now));
    assert_false(breaker_record(breaker, closed, true, 0, now));
    breaker_release(breaker, closed);
    assert_false(breaker_permit(breaker, now));
    assert_figures(breaker, now, 0, 0, 0, -1, -1);
    const uint32_t trial = breaker_epoch(breaker);
    assert_int_not_equal(trial, closed);
    for (int i = 0; i < 3; i++)
        assert_false(breaker_record(breaker, trial, false, 0, now));
    assert_true(breaker_record(breaker, trial, false, 0, now));
    /* Closed again: it is not the window they were permitted in. */
    assert_false(breaker_record(breaker, closed, true, 0, now));
    assert_false(breaker_record(breaker, trial, true, 0, now));
    assert_figures(breaker, now, 0, 0, 0, -1, -1);
    breaker_free(breaker);
}

static void test_calls_that_were_not_permitted(void **state)
{
    const usec_t now = BEGIN + 60 * SEC;
    struct breaker *breaker = new_opened(&count, BEGIN);
    const uint32_t opened = breaker_epoch(breaker);
    assert_false(breaker_record(breaker, opened, false, 0, now));
    calls(breaker, 1, false, now);
    const uint32_t trial = breaker_epoch(breaker);
    for (int i = 0; i < 10; i++) {
        assert_false(breaker_record(breaker, trial, false, 0, now));
        breaker_release(breaker, trial);
    }
    assert_figures(breaker, now, 1, 0, 0, -1, -1);
    calls(breaker, 2, false, now);
    assert_true(call(breaker, false, now));
    breaker_free(breaker);
}

static void test_reset(void **state)
{
    const usec_t now = BEGIN + 60 * SEC;
    struct breaker *breaker = new_opened(&count, BEGIN);
    breaker_reset(breaker);
    assert_int_equal(breaker_state(breaker, BEGIN), BREAKER_CLOSED);
    assert_figures(breaker, BEGIN, 0, 0, 0, -1, -1);
    /* While calls run, in any state. */
    assert_true(breaker_permit(breaker, BEGIN));
    uint32_t epoch = breaker_epoch(breaker);
    breaker_reset(breaker);
    assert_false(breaker_record(breaker, epoch, true, 0, BEGIN));
    assert_figures(breaker, BEGIN, 0, 0, 0, -1, -1);
    calls(breaker, 4, true, BEGIN);
    assert_true(call(breaker, true, BEGIN));
    for (int i = 0; i < 4; i++)
        assert_true(breaker_permit(breaker, now));
    epoch = breaker_epoch(breaker);
    breaker_reset(breaker);
    breaker_release(breaker, epoch);
    assert_false(breaker_record(breaker, epoch, true, 0, now));
    calls(breaker, 4, true, now);
    breaker_free(breaker);
    breaker_reset(NULL);
}

static void test_one_call_of_everything(void **state)
{
    const struct breaker_config config = {.window = BREAKER_COUNT,
                                          .size = 1,
                                          .minimum_calls = 1,
                                          .failure_rate = 100,
                                          .slow_rate = 100,
                                          .slow_call = MSEC,
                                          .open = MSEC,
                                          .half_open = 1};
    struct breaker *breaker = breaker_new(&config);
    usec_t now = BEGIN;
    for (int i = 0; i < 1000; i++, now += MSEC)
        assert_true(call(breaker, true, now));
    assert_true(call(breaker, false, now));
    calls(breaker, 1000, false, now);
    assert_true(call(breaker, true, now));
    breaker_free(breaker);
}

static void test_large_windows(void **state)
{
    struct breaker_config config = count;
    config.size = config.minimum_calls = 1000000;
    struct breaker *breaker = breaker_new(&config);
    for (unsigned i = 0; i < 1500000; i++)
        assert_false(call(breaker, i % 5 == 0, BEGIN));
    assert_figures(breaker, BEGIN, 1000000, 200000, 0, 20, 0);
    breaker_free(breaker);

    /* Parts of 1667 s, so that it takes up to one more. */
    config = last_seconds;
    config.size = 1000000;
    breaker = breaker_new(&config);
    const usec_t begin = 1667 * 1000 * SEC;
    calls(breaker, 4, true, begin);
    assert_figures(breaker, begin + 1000000 * SEC, 4, 4, 0, -1, -1);
    assert_figures(breaker, begin + 1001700 * SEC, 0, 0, 0, -1, -1);
    assert_true(call(breaker, false, begin + 1000000 * SEC));
    breaker_free(breaker);
}

/* Against a list of all calls. */
static void test_windows_agree_with_a_list(void **state)
{
    static struct {
        usec_t at;
        bool failed, slow;
    } list[5000];
    const unsigned sizes[] = {1, 2, 3, 31, 32, 33, 64, 100, 599, 600, 601, 1200, 3000};
    for (size_t k = 0; k < 2 * ARRAY_SIZE(sizes); k++) {
        const bool of_time = k % 2;
        const unsigned size = sizes[k / 2];
        const usec_t length = ((size - 1) / WINDOW_PARTS_MAX + 1) * SEC; /* of a part */
        const usec_t n_parts = (size - 1) / (length / SEC) + 1;
        struct window *window = window_new(of_time ? BREAKER_TIME : BREAKER_COUNT, size);
        unsigned seed = size;
        usec_t now = BEGIN;
        for (size_t n = 0; n < ARRAY_SIZE(list); n++) {
            seed = seed * 1103515245 + 12345;
            now += seed >> 8 & 0xff ? (seed >> 16) * 30 : size * SEC / 2;
            list[n].at = now;
            list[n].failed = seed >> 20 & 1;
            list[n].slow = seed >> 21 & 1;
            window_add(window, list[n].failed, list[n].slow, now);
            if (n % 50)
                continue;
            struct tally expected = {0};
            for (size_t i = 0; i <= n; i++)
                if (of_time ? now / length - list[i].at / length < n_parts : n - i < size) {
                    expected.calls++;
                    expected.failed += list[i].failed;
                    expected.slow += list[i].slow;
                }
            const struct tally tally = window_tally(window, now);
            assert_int_equal(tally.calls, expected.calls);
            assert_int_equal(tally.failed, expected.failed);
            assert_int_equal(tally.slow, expected.slow);
        }
        window_free(window);
    }
}

static void hand_over(const struct breaker *from, struct breaker *to, usec_t now)
{
    json_t *document = breaker_export(from, now);
    breaker_import(to, document, now);
    json_decref(document);
}

static void test_from_process_to_process(void **state)
{
    /* Open: for the time that is left, and no longer than the new configuration says. */
    struct breaker *before = new_opened(&count, BEGIN), *after = breaker_new(&count);
    hand_over(before, after, BEGIN + 20 * SEC);
    assert_int_equal(breaker_next(after, BEGIN + 20 * SEC), BEGIN + 60 * SEC);
    breaker_free(after);
    struct breaker_config config = count;
    config.open = SEC;
    after = breaker_new(&config);
    hand_over(before, after, BEGIN + 20 * SEC);
    assert_int_equal(breaker_next(after, BEGIN + 20 * SEC), BEGIN + 21 * SEC);
    /* Half open, also when nobody has asked yet: a trial of its own. */
    hand_over(before, after, BEGIN + 60 * SEC);
    assert_int_equal(breaker_state(after, BEGIN + 60 * SEC), BREAKER_HALF_OPEN);
    calls(after, 3, false, BEGIN + 60 * SEC);
    assert_true(breaker_permit(after, BEGIN + 60 * SEC));
    assert_false(breaker_permit(after, BEGIN + 60 * SEC));
    const uint32_t epoch = breaker_epoch(after);
    hand_over(before, after, BEGIN + 60 * SEC);
    breaker_release(after, epoch);
    calls(after, 3, false, BEGIN + 60 * SEC);
    assert_true(call(after, false, BEGIN + 60 * SEC));
    breaker_free(before);

    /* Closed: with its figures. */
    before = breaker_new(&count);
    calls(before, 6, false, BEGIN);
    calls(before, 3, true, BEGIN);
    hand_over(before, after, BEGIN);
    assert_figures(after, BEGIN, 9, 3, 0, 100.0 * 3 / 9, 0);
    hand_over(after, before, BEGIN);
    assert_figures(before, BEGIN, 9, 3, 0, 100.0 * 3 / 9, 0);
    breaker_free(after);
    /* Into a smaller window: in proportion. */
    config = count;
    config.size = config.minimum_calls = 3;
    after = breaker_new(&config);
    hand_over(before, after, BEGIN);
    assert_figures(after, BEGIN, 3, 1, 0, 100.0 / 3, 0);
    breaker_free(after);
    /* From a closed one to one that opened meanwhile. */
    after = new_opened(&count, BEGIN);
    hand_over(before, after, BEGIN);
    assert_int_equal(breaker_state(after, BEGIN), BREAKER_CLOSED);
    assert_figures(after, BEGIN, 9, 3, 0, 100.0 * 3 / 9, 0);
    breaker_free(after);
    breaker_free(before);
}

/* However often it is handed over, a window forgets. */
static void test_time_goes_on_between_processes(void **state)
{
    struct breaker *breaker = breaker_new(&last_seconds);
    usec_t now = BEGIN;
    calls(breaker, 4, true, now);
    for (int i = 0; i < 9; i++) {
        now += SEC;
        struct breaker *after = breaker_new(&last_seconds);
        hand_over(breaker, after, now);
        breaker_free(breaker);
        breaker = after;
        assert_figures(breaker, now, 4, 4, 0, -1, -1);
    }
    assert_figures(breaker, now + SEC, 0, 0, 0, -1, -1);
    calls(breaker, 4, true, now + SEC);
    breaker_free(breaker);
    /* At the age they have on average. */
    breaker = breaker_new(&last_seconds);
    calls(breaker, 1, true, BEGIN);
    calls(breaker, 3, true, BEGIN + 8 * SEC);
    struct breaker *after = breaker_new(&last_seconds);
    hand_over(breaker, after, BEGIN + 9 * SEC);
    /* 9, 1, 1, 1: three. */
    assert_figures(after, BEGIN + 9 * SEC + 6 * SEC, 4, 4, 0, -1, -1);
    assert_figures(after, BEGIN + 9 * SEC + 7 * SEC, 0, 0, 0, -1, -1);
    breaker_free(after);
    breaker_free(breaker);
}

static void import(struct breaker *breaker, const char *text)
{
    json_t *document = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(document);
    breaker_import(breaker, document, BEGIN);
    json_decref(document);
}

static void test_hostile_import(void **state)
{
    static const char *const ignored[] = {
        "null",
        "7",
        "[]",
        "{}",
        "\"open\"",
        "[\"open\"]",
        "{\"state\": 1}",
        "{\"state\": null}",
        "{\"state\": \"Open\", \"left_usec\": 7}",
        "{\"state\": \"\"}",
        "{\"state\": \"open\"}",
        "{\"state\": \"open\", \"left_usec\": -1}",
        "{\"state\": \"open\", \"left_usec\": 1.5}",
        "{\"state\": \"open\", \"left_usec\": \"7\"}",
        "{\"state\": \"open\", \"left_usec\": null}",
        "{\"left_usec\": 7}",
        "{\"state\": \"closed\"}",
        "{\"state\": \"closed\", \"calls\": 5, \"failed\": 5, \"slow\": 5}",
        "{\"state\": \"closed\", \"calls\": -5, \"failed\": 5, \"slow\": 5, \"age_sec\": 0}",
        "{\"state\": \"closed\", \"calls\": 5, \"failed\": [], \"slow\": 5, \"age_sec\": 0}",
    };
    for (int of_time = 0; of_time < 2; of_time++) {
        struct breaker *breaker = breaker_new(of_time ? &last_seconds : &count);
        calls(breaker, 5, false, BEGIN);
        calls(breaker, 1, true, BEGIN);
        for (size_t i = 0; i < ARRAY_SIZE(ignored); i++) {
            import(breaker, ignored[i]);
            assert_figures(breaker, BEGIN, 6, 1, 0, 100.0 / 6, 0);
            assert_true(breaker_may_permit(breaker, BEGIN));
        }
        breaker_import(breaker, NULL, BEGIN);
        /* What cannot be is cut. */
        import(breaker, "{\"state\": \"open\", \"left_usec\": 9223372036854775807}");
        assert_int_equal(breaker_next(breaker, BEGIN), BEGIN + 60 * SEC);
        import(breaker, "{\"state\": \"open\", \"left_usec\": 0}");
        assert_int_equal(breaker_state(breaker, BEGIN), BREAKER_HALF_OPEN);
        import(breaker, "{\"state\": \"closed\", \"calls\": 4, \"failed\": 9, \"slow\": 9, \"age_sec\": 0}");
        assert_figures(breaker, BEGIN, 4, 4, 4, -1, -1);
        import(breaker, "{\"state\": \"closed\", \"calls\": 0, \"failed\": 9, \"slow\": 9, \"age_sec\": 0}");
        assert_figures(breaker, BEGIN, 0, 0, 0, -1, -1);
        import(breaker, "{\"state\": \"closed\", \"calls\": 9223372036854775807, \"failed\": "
                        "9223372036854775807, \"slow\": 0, \"age_sec\": 0}");
        if (of_time)
            assert_figures(breaker, BEGIN, UINT32_MAX, UINT32_MAX, 0, 100, 0);
        else
            assert_figures(breaker, BEGIN, 10, 10, 0, 100, 0);
        /* As old as what is just in the window, and just not. */
        for (int age = 9; age <= 10 && of_time; age++) {
            json_t *document = json_pack("{s:s, s:i, s:i, s:i, s:i}", "state", "closed", "calls", 4, "failed",
                                         4, "slow", 0, "age_sec", age);
            struct breaker *other = breaker_new(&last_seconds);
            breaker_import(other, document, BEGIN);
            assert_figures(other, BEGIN, age == 9 ? 4 : 0, age == 9 ? 4 : 0, 0, -1, -1);
            assert_figures(other, BEGIN + 9 * SEC, 0, 0, 0, -1, -1);
            breaker_free(other);
            json_decref(document);
        }
        /* Judged with the next call. */
        assert_int_equal(breaker_state(breaker, BEGIN), BREAKER_CLOSED);
        assert_true(call(breaker, false, BEGIN));
        import(breaker, "{\"state\": \"closed\", \"calls\": 9, \"failed\": 9, \"slow\": 0, \"age_sec\": "
                        "9223372036854775807}");
        assert_int_equal(breaker_state(breaker, BEGIN), BREAKER_CLOSED);
        breaker_free(breaker);
    }
}

static void test_names(void **state)
{
    assert_string_equal(breaker_state_to_string(BREAKER_CLOSED), "closed");
    assert_string_equal(breaker_state_to_string(BREAKER_OPENED), "open");
    assert_string_equal(breaker_state_to_string(BREAKER_HALF_OPEN), "half-open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_minimum_number_of_calls),
        cmocka_unit_test(test_equal_or_greater_opens),
        cmocka_unit_test(test_slow_calls),
        cmocka_unit_test(test_last_calls_only),
        cmocka_unit_test(test_last_seconds_only),
        cmocka_unit_test(test_open_permits_nothing),
        cmocka_unit_test(test_half_open_permits_so_many),
        cmocka_unit_test(test_half_open_closes_with_an_empty_window),
        cmocka_unit_test(test_half_open_judges_slow_calls),
        cmocka_unit_test(test_half_open_has_its_own_minimum),
        cmocka_unit_test(test_released_permits_come_back),
        cmocka_unit_test(test_calls_of_an_earlier_epoch),
        cmocka_unit_test(test_calls_that_were_not_permitted),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_one_call_of_everything),
        cmocka_unit_test(test_large_windows),
        cmocka_unit_test(test_windows_agree_with_a_list),
        cmocka_unit_test(test_from_process_to_process),
        cmocka_unit_test(test_time_goes_on_between_processes),
        cmocka_unit_test(test_hostile_import),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
