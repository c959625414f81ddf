/* The ring of keys for session tickets: which seals, which opens, and what is forgotten. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/ticket_keys.h"

#define LIFETIME (12 * 3600 * USEC_PER_SEC)
#define START (1000 * LIFETIME)
/* Where the time begins in the text of a key. */
#define TIME_AT (2 * (TICKET_KEY_NAME_SIZE + 2 * TICKET_KEY_SECRET_SIZE) + 3)

static struct ticket_key key_of(uint8_t n, usec_t made)
{
    struct ticket_key key = {.made = made};
    memset(key.name, n, sizeof(key.name));
    memset(key.cipher, n + 1, sizeof(key.cipher));
    memset(key.mac, n + 2, sizeof(key.mac));
    return key;
}

static bool add(struct ticket_keys *keys, uint8_t n, usec_t made, usec_t now)
{
    const struct ticket_key key = key_of(n, made);
    return ticket_keys_add(keys, &key, now);
}

static int current(const struct ticket_keys *keys, usec_t now)
{
    const struct ticket_key *key = ticket_keys_current(keys, now);
    return key ? key->name[0] : -1;
}

static bool opens(const struct ticket_keys *keys, uint8_t n, usec_t now)
{
    const struct ticket_key key = key_of(n, 0);
    return ticket_keys_find(keys, key.name, now) != NULL;
}

static void test_life_of_a_key(void **state)
{
    struct ticket_keys keys = {.lifetime = LIFETIME};
    assert_int_equal(current(&keys, START), -1);
    assert_true(add(&keys, 1, START, START));
    assert_int_equal(current(&keys, START), 1);
    assert_int_equal(current(&keys, START + LIFETIME - 1), 1);
    /* It seals no more, and still opens what it sealed last. */
    assert_int_equal(current(&keys, START + LIFETIME), -1);
    assert_true(opens(&keys, 1, START + LIFETIME));
    assert_true(add(&keys, 2, START + LIFETIME, START + LIFETIME));
    assert_int_equal(current(&keys, START + LIFETIME), 2);
    assert_true(opens(&keys, 1, START + 2 * LIFETIME - 1));
    assert_false(opens(&keys, 1, START + 2 * LIFETIME));
    assert_true(opens(&keys, 2, START + 2 * LIFETIME));
    assert_false(opens(&keys, 3, START + LIFETIME));
}

static void test_what_is_forgotten_is_wiped(void **state)
{
    static const struct ticket_key zero;
    struct ticket_keys keys = {.lifetime = LIFETIME};
    assert_true(add(&keys, 1, START, START));
    assert_true(add(&keys, 2, START + LIFETIME, START + LIFETIME));
    ticket_keys_expire(&keys, START + 2 * LIFETIME);
    assert_int_equal(keys.n, 1);
    assert_memory_equal(&keys.keys[1], &zero, sizeof(zero));
    assert_int_equal(keys.keys[0].name[0], 2);
    ticket_keys_deinit(&keys);
    assert_int_equal(keys.n, 0);
    assert_memory_equal(&keys.keys[0], &zero, sizeof(zero));
}

static void test_what_is_not_taken(void **state)
{
    struct ticket_keys keys = {.lifetime = LIFETIME};
    assert_false(add(&keys, 1, START + 1, START)); /* of the future: it would be young for ever */
    assert_false(add(&keys, 1, START - 2 * LIFETIME, START));
    assert_true(add(&keys, 1, START - 2 * LIFETIME + 1, START));
    assert_false(add(&keys, 1, START, START)); /* the same name */
    assert_int_equal(keys.n, 1);
    assert_int_equal(current(&keys, START), -1);
}

static void test_order_and_room(void **state)
{
    struct ticket_keys keys = {.lifetime = LIFETIME};
    static const uint8_t order[] = {3, 5, 1, 4, 2};
    for (size_t i = 0; i < ARRAY_SIZE(order); i++)
        assert_true(add(&keys, order[i], START + order[i], START + 10) || order[i] == 1);
    assert_int_equal(keys.n, TICKET_KEYS_MAX);
    for (size_t i = 0; i < keys.n; i++)
        assert_int_equal(keys.keys[i].name[0], 5 - i);
    assert_false(add(&keys, 1, START + 1, START + 10)); /* older than all */
    assert_int_equal(current(&keys, START + 10), 5);
}

static void test_a_lifetime_that_was_changed(void **state)
{
    struct ticket_keys keys = {.lifetime = 3600 * USEC_PER_SEC};
    assert_false(add(&keys, 1, START - 3 * 3600 * USEC_PER_SEC, START));
    assert_true(add(&keys, 2, START - 3600 * USEC_PER_SEC, START));
    assert_int_equal(current(&keys, START), -1);
    assert_true(opens(&keys, 2, START));
}

static void test_text(void **state)
{
    char text[TICKET_KEY_TEXT_SIZE];
    struct ticket_key key = key_of(0x9f, 999999999999999999), back, ignored;
    ticket_key_format(&key, text);
    assert_true(ticket_key_parse(&back, slice_of(text)));
    assert_memory_equal(&back, &key, sizeof(key));

    static const char *const wrong[] = {"", " ", "00", "00 11 22 33"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_false(ticket_key_parse(&back, slice_of(wrong[i])));
    for (size_t i = 0; text[i]; i++) { /* every byte counts */
        const char was = text[i];
        text[i] = 'x';
        assert_false(ticket_key_parse(&back, slice_of(text)));
        text[i] = was;
        if (i <= TIME_AT)
            assert_false(ticket_key_parse(&back, slice_make(text, i)));
        else
            assert_true(ticket_key_parse(&ignored, slice_make(text, i)));
    }
    assert_false(ticket_key_parse(&back, slice_of(NULL)));
    assert_memory_equal(&back, &key, sizeof(key)); /* untouched */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_a_key),
        cmocka_unit_test(test_what_is_forgotten_is_wiped),
        cmocka_unit_test(test_what_is_not_taken),
        cmocka_unit_test(test_order_and_room),
        cmocka_unit_test(test_a_lifetime_that_was_changed),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
