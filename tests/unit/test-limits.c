/* Places for connections, and who gets one next. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "http/limits.h"
#include "http/sources.h"

#define ROUNDS 200000

struct fixture {
    struct listener_config listeners[2];
    struct config config;
    struct limits *limits;
    struct loop *loop;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->listeners[1] = (struct listener_config){.index = 1, .max_connections = 2, .max_per_source = 1};
    f->config = (struct config){
        .gateway = {.max_connections = 3, .threads = 2}, .listeners = f->listeners, .n_listeners = 2};
    f->limits = limits_new(&f->config, 1024);
    assert_return_code(loop_new(&f->loop), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    limits_free(f->limits);
    loop_free(f->loop);
    free(f);
    return 0;
}

static void turn(struct fixture *f)
{
    assert_return_code(loop_run_once(f->loop, USEC_PER_MSEC), 0);
}

static void test_auto(void **state)
{
    assert_int_equal(limits_auto(0), 1);
    assert_int_equal(limits_auto(128), 32);
    assert_int_equal(limits_auto(1024), 256);
    assert_int_equal(limits_auto(524288), 174677);
}

static void test_both_limits(void **state)
{
    struct fixture *f = *state;
    struct place places[5];

    assert_int_equal(limits_take(f->limits, &f->listeners[1], &places[0]), LIMIT_NONE);
    assert_int_equal(limits_take(f->limits, &f->listeners[1], &places[1]), LIMIT_NONE);
    assert_int_equal(limits_take(f->limits, &f->listeners[1], &places[2]), LIMIT_LISTENER);
    assert_int_equal(limits_take(f->limits, &f->listeners[0], &places[2]), LIMIT_NONE);
    assert_int_equal(limits_take(f->limits, &f->listeners[0], &places[3]), LIMIT_GATEWAY);
    assert_int_equal(limits_look(f->limits, NULL).connections, 3);
    assert_int_equal(limits_look(f->limits, &f->listeners[0]).connections, 1);
    limits_take_anyway(f->limits, &f->listeners[0], &places[3]);
    assert_int_equal(limits_look(f->limits, NULL).connections, 4);
    for (size_t i = 0; i < 4; i++) {
        place_give_back(&places[i]);
        place_give_back(&places[i]); /* harmless */
    }
    assert_int_equal(limits_look(f->limits, NULL).connections, 0);
    assert_int_equal(limits_take(NULL, &f->listeners[0], &places[0]), LIMIT_NONE);
    place_give_back(&places[0]);
}

static void on_place(void *userdata)
{
    ++*(unsigned *)userdata;
}

#define WAITER(f, i, n)                                                                        \
    (struct limits_waiter)                                                                     \
    {                                                                                          \
        .listener = &(f)->listeners[i], .loop = (f)->loop, .callback = on_place, .userdata = n \
    }

/* One place wakes one waiter, the first that can use it; who has no use for it passes it on. */
static void test_one_place_wakes_one(void **state)
{
    struct fixture *f = *state;
    struct place places[3];
    unsigned n[3] = {0};
    struct limits_waiter waiters[] = {WAITER(f, 1, &n[0]), WAITER(f, 0, &n[1]), WAITER(f, 0, &n[2])};

    for (size_t i = 0; i < 3; i++)
        list_init(&waiters[i].link);
    assert_int_equal(limits_take(f->limits, &f->listeners[1], &places[0]), LIMIT_NONE);
    assert_false(limits_await(f->limits, &waiters[0])); /* there is room */
    assert_int_equal(limits_take(f->limits, &f->listeners[1], &places[1]), LIMIT_NONE);
    assert_int_equal(limits_take(f->limits, &f->listeners[0], &places[2]), LIMIT_NONE);
    for (size_t i = 0; i < 3; i++)
        assert_true(limits_await(f->limits, &waiters[i]));
    place_give_back(&places[2]); /* of no use to the first, whose listener is full */
    turn(f);
    assert_int_equal(n[0], 0);
    assert_int_equal(n[1], 1);
    assert_int_equal(n[2], 0);
    limits_wake_next(f->limits);
    turn(f);
    assert_int_equal(n[2], 1);
    place_give_back(&places[0]);
    turn(f);
    assert_int_equal(n[0], 1);
    assert_true(limits_take(f->limits, &f->listeners[1], &places[0]) == LIMIT_NONE);
    assert_true(limits_await(f->limits, &waiters[0]));
    limits_forget(f->limits, &waiters[0]);
    limits_forget(f->limits, &waiters[0]);
    place_give_back(&places[0]);
    place_give_back(&places[1]);
    turn(f);
    assert_int_equal(n[0], 1);
}

struct rival {
    struct fixture *f;
    atomic_uint begun, ended;
};

static void *run_rival(void *userdata)
{
    struct rival *rival = userdata;
    struct place place;

    for (unsigned round = 1; round <= ROUNDS; round++) {
        for (unsigned spins = 1; atomic_load(&rival->begun) < round; spins++)
            if (spins % 1000 == 0)
                sched_yield();
        if (limits_take(rival->f->limits, &rival->f->listeners[0], &place) == LIMIT_NONE)
            place_give_back(&place);
        atomic_store(&rival->ended, round);
    }
    return NULL;
}

/* A place that is given back while another thread looks for one in vain is not lost to who waits. */
static void test_a_place_is_seen_by_who_waits(void **state)
{
    struct fixture *f = *state;
    struct rival rival = {.f = f};
    struct place places[3];
    unsigned n = 0;
    struct limits_waiter waiter = WAITER(f, 1, &n);
    pthread_t thread;

    list_init(&waiter.link);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(limits_take(f->limits, &f->listeners[0], &places[i]), LIMIT_NONE);
    assert_int_equal(pthread_create(&thread, NULL, run_rival, &rival), 0);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        assert_true(limits_await(f->limits, &waiter));
        atomic_store(&rival.begun, round);
        for (volatile unsigned i = 0; i < round % 256; i++)
            ; /* so that they meet at each point */
        place_give_back(&places[0]);
        while (atomic_load(&rival.ended) < round)
            sched_yield();
        turn(f);
        limits_forget(f->limits, &waiter);
        assert_int_equal(limits_take(f->limits, &f->listeners[0], &places[0]), LIMIT_NONE);
    }
    pthread_join(thread, NULL);
    assert_int_equal(n, ROUNDS);
    for (size_t i = 0; i < 3; i++)
        place_give_back(&places[i]);
}

struct shedder {
    bool can;
    unsigned asked;
};

static bool on_shed(void *userdata, const struct listener_config *listener)
{
    struct shedder *shedder = userdata;
    shedder->asked++;
    return shedder->can;
}

static void test_others_are_asked_in_turn(void **state)
{
    struct fixture *f = *state;
    struct shedder a = {0}, b = {0};

    limits_join(f->limits, 0, f->loop, on_shed, &a);
    limits_ask_to_shed(f->limits, 0, NULL); /* there is nobody else */
    limits_join(f->limits, 1, f->loop, on_shed, &b);
    limits_ask_to_shed(f->limits, 0, NULL);
    limits_ask_to_shed(f->limits, 0, NULL); /* the same question */
    turn(f);
    turn(f);
    assert_int_equal(a.asked, 0); /* it asks */
    assert_int_equal(b.asked, 1);
    limits_ask_to_shed(f->limits, 0, NULL);
    limits_leave(f->limits, 1);
    turn(f);
    assert_int_equal(b.asked, 1);
    limits_leave(f->limits, 0);
}

static void test_one_episode_is_told_once(void **state)
{
    struct fixture *f = *state;
    const struct listener_config *a = &f->listeners[0], *b = &f->listeners[1];

    assert_true(limits_pause_is_news(f->limits, a, LIMIT_LISTENER, USEC_PER_SEC));
    assert_true(limits_pause_is_news(f->limits, b, LIMIT_LISTENER, USEC_PER_SEC));
    assert_true(limits_pause_is_news(f->limits, b, LIMIT_GATEWAY, USEC_PER_SEC));
    assert_false(limits_pause_is_news(f->limits, a, LIMIT_GATEWAY, 2 * USEC_PER_SEC));
    for (usec_t t = 1; t < 100; t += 9)
        assert_false(limits_pause_is_news(f->limits, a, LIMIT_LISTENER, t * USEC_PER_SEC));
    assert_true(limits_pause_is_news(f->limits, a, LIMIT_LISTENER, 200 * USEC_PER_SEC));
}

static struct ip_address address(const char *text)
{
    struct ip_address ret;
    assert_true(ip_address_parse(slice_make(text, strlen(text)), &ret));
    return ret;
}

static void test_sources(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"2001:db8::1", "2001:db8::ffff:1:2:3", true}, /* one /64 */
        {"2001:db8::1", "2001:db8:0:1::1", false},
        {"2001:db8::1", "32.1.13.184", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct sources *sources = sources_new(1);
        const struct ip_address a = address(cases[i].a), b = address(cases[i].b);
        struct source *first = sources_enter(sources, 0, &a, 1), *second = sources_enter(sources, 0, &b, 1);
        assert_non_null(first);
        assert_int_equal(second == NULL, cases[i].same);
        struct source *other = sources_enter(sources, 1, &a, 1); /* another listener */
        assert_non_null(other);
        sources_leave(sources, first);
        first = sources_enter(sources, 0, &a, 1);
        assert_non_null(first);
        sources_leave(sources, first);
        sources_leave(sources, other);
        if (second)
            sources_leave(sources, second);
        sources_free(sources);
    }
}

static void test_a_place_of_a_source(void **state)
{
    struct fixture *f = *state;
    const struct ip_address client = address("192.0.2.1");
    struct place a, b;

    assert_int_equal(limits_take(f->limits, &f->listeners[1], &a), LIMIT_NONE);
    assert_int_equal(limits_take(f->limits, &f->listeners[1], &b), LIMIT_NONE);
    assert_true(place_take_source(&a, &client, false));
    assert_false(place_take_source(&b, &client, false));
    place_give_back(&b);
    limits_take_anyway(f->limits, &f->listeners[1], &b);
    assert_true(place_take_source(&b, &client, true)); /* it comes from elsewhere */
    place_give_back(&a);
    place_give_back(&b);
    assert_int_equal(limits_take(f->limits, &f->listeners[1], &a), LIMIT_NONE);
    assert_true(place_take_source(&a, &client, false));
    place_give_back(&a);
    /* A listener that does not count them. */
    assert_int_equal(limits_take(f->limits, &f->listeners[0], &a), LIMIT_NONE);
    assert_true(place_take_source(&a, &client, false));
    assert_null(a.source);
    place_give_back(&a);
}

#define limits_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_auto),
        cmocka_unit_test(test_sources),
        limits_test(test_both_limits),
        limits_test(test_one_place_wakes_one),
        limits_test(test_a_place_is_seen_by_who_waits),
        limits_test(test_others_are_asked_in_turn),
        limits_test(test_one_episode_is_told_once),
        limits_test(test_a_place_of_a_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
