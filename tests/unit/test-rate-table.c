/* Who is limited, of many: found again, bounded in number, and not pushed out by those who come in crowds. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/rate_table.h"

#define NOW (1000 * USEC_PER_SEC)

static const struct siphash_secret secret = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};

static struct siphash key_of(uint64_t number)
{
    return siphash(&secret, &number, sizeof(number));
}

static bool take(struct rate_table *table, uint64_t number, usec_t now)
{
    const struct siphash key = key_of(number);
    struct rate_verdict verdict;
    rate_table_take(table, &key, now, &verdict);
    return verdict.allowed;
}

/* ---- SipHash ---------------------------------------------------------------------------------------- */

static void test_siphash_of_its_authors(void **state)
{
    static const unsigned char results[][16] = {
        {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93},
        {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45},
    };
    static const unsigned char data[] = {0};

    for (size_t size = 0; size < ARRAY_SIZE(results); size++) {
        const struct siphash hash = siphash(&secret, data, size);
        assert_memory_equal(&hash, results[size], sizeof(hash));
    }
}

static void test_siphash_of_openssl(void **state)
{
    unsigned char data[256];
    size_t result_size = 16;
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t("size", &result_size), OSSL_PARAM_END};

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7);
    for (size_t size = 0; size <= sizeof(data); size++) {
        unsigned char wanted[16];
        assert_int_equal(EVP_MAC_init(context, (const unsigned char *)&secret, sizeof(secret), parameters),
                         1);
        assert_int_equal(EVP_MAC_update(context, data, size), 1);
        assert_int_equal(EVP_MAC_final(context, wanted, &result_size, sizeof(wanted)), 1);
        const struct siphash hash = siphash(&secret, data, size);
        assert_memory_equal(&hash, wanted, sizeof(hash));
    }
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
}

/* ---- the table -------------------------------------------------------------------------------------- */

static void test_each_has_a_bucket(void **state)
{
    const struct rate rate = {1, 3, USEC_PER_SEC};
    struct rate_table *table = rate_table_new(&rate, 1024);

    for (uint64_t round = 0; round < 5; round++)
        for (uint64_t i = 0; i < 100; i++)
            assert_int_equal(take(table, i, NOW), round < 3);
    for (uint64_t i = 0; i < 100; i++)
        assert_true(take(table, i, NOW + USEC_PER_SEC));
    rate_table_free(table);
}

static void test_what_is_given_back_can_be_taken(void **state)
{
    const struct rate rate = {1, 1, USEC_PER_SEC};
    struct rate_table *table = rate_table_new(&rate, 1);
    const struct siphash key = key_of(1), stranger = key_of(2);

    assert_true(take(table, 1, NOW));
    assert_false(take(table, 1, NOW));
    rate_table_give_back(table, &stranger, NOW); /* who is not there needs nothing */
    assert_false(take(table, 1, NOW));
    rate_table_give_back(table, &key, NOW);
    assert_true(take(table, 1, NOW));
    rate_table_drain(table, &stranger, USEC_PER_SEC, NOW);
    assert_false(take(table, 2, NOW));
    rate_table_free(table);
}

static void count_one(void *userdata, const struct siphash *key, usec_t full_after)
{
    assert_true(full_after > 0);
    ++*(size_t *)userdata;
}

/* A thousand times as many as there are entries: those who have emptied their buckets stay limited, and so do
 * those who have taken half. */
static void test_a_crowd_pushes_out_nobody_who_is_limited(void **state)
{
    const struct rate rate = {1, 10, RATE_PERIOD_MAX};
    enum { ENTRIES = 1024, LIMITED = 100, CROWD = 1024 * 1000 };
    struct rate_table *table = rate_table_new(&rate, ENTRIES);
    size_t n = 0;

    for (uint64_t i = 0; i < LIMITED; i++)
        for (unsigned j = 0; j < (i % 2 ? 10 : 5); j++)
            assert_true(take(table, i, NOW));
    for (uint64_t i = 0; i < CROWD; i++) {
        take(table, LIMITED + i, NOW);
        if (i % 10000 == 0)
            for (uint64_t j = 1; j < LIMITED; j += 2)
                assert_false(take(table, j, NOW));
    }
    for (uint64_t i = 0; i < LIMITED; i++) {
        unsigned left = 0;
        while (take(table, i, NOW))
            left++;
        assert_int_equal(left, i % 2 ? 0 : 5);
    }
    rate_table_each(table, NOW, count_one, &n);
    assert_int_equal(n, ENTRIES); /* and not one more */
    n = 0;
    rate_table_each(table, NOW + rate_fill_time(&rate), count_one, &n);
    assert_int_equal(n, 0);
    rate_table_free(table);
}

/* Entries that are full again are free: nobody is pushed out for those who come after them. */
static void test_those_who_left_take_no_room(void **state)
{
    const struct rate rate = {1, 1, USEC_PER_SEC};
    struct rate_table *table = rate_table_new(&rate, 64);
    usec_t now = NOW;

    for (uint64_t i = 0; i < 10000; i++, now += USEC_PER_SEC) {
        const struct siphash key = key_of(i);
        struct rate_verdict verdict;
        assert_false(rate_table_take(table, &key, now, &verdict));
        assert_true(verdict.allowed);
    }
    rate_table_free(table);
}

#define N_THREADS 4

static struct {
    struct rate_table *table;
    atomic_uint allowed[8];
} shared;

static void *take_many(void *unused)
{
    for (uint64_t i = 0; i < 40000; i++)
        if (take(shared.table, i % 8, NOW + i % 3))
            atomic_fetch_add(&shared.allowed[i % 8], 1);
    return NULL;
}

/* All threads share the buckets: together they get what one would. */
static void test_threads_share_the_buckets(void **state)
{
    const struct rate rate = {1, 1000, RATE_PERIOD_MAX};
    pthread_t threads[N_THREADS];
    size_t n = 0;

    shared.table = rate_table_new(&rate, 64);
    for (size_t i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, NULL), 0);
    rate_table_each(shared.table, NOW, count_one, &n); /* beside them */
    for (size_t i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < ARRAY_SIZE(shared.allowed); i++)
        assert_int_equal(atomic_load(&shared.allowed[i]), 1000);
    rate_table_free(shared.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash_of_its_authors),
        cmocka_unit_test(test_siphash_of_openssl),
        cmocka_unit_test(test_each_has_a_bucket),
        cmocka_unit_test(test_what_is_given_back_can_be_taken),
        cmocka_unit_test(test_a_crowd_pushes_out_nobody_who_is_limited),
        cmocka_unit_test(test_those_who_left_take_no_room),
        cmocka_unit_test(test_threads_share_the_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
