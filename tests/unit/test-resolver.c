/* What the resolver does of its own with the answers of DNS servers: order and bounds of addresses, SRV
 * records, and when a name is looked up again. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/address.h"
#include "upstream/address_list.h"
#include "upstream/refresh.h"
#include "upstream/srv.h"
#include "util/strbuf.h"

static void test_refresh_after_answer(void **state)
{
    assert_int_equal(refresh_after_answer(0), USEC_PER_SEC);
    assert_int_equal(refresh_after_answer(USEC_PER_SEC), USEC_PER_SEC);
    assert_int_equal(refresh_after_answer(60 * USEC_PER_SEC), 60 * USEC_PER_SEC);
    assert_int_equal(refresh_after_answer(301 * USEC_PER_SEC), 300 * USEC_PER_SEC);
    assert_int_equal(refresh_after_answer(USEC_INFINITY), 300 * USEC_PER_SEC);
}

static void test_refresh_after_failures(void **state)
{
    static const usec_t seconds[] = {1, 2, 4, 8, 16, 30, 30};

    for (unsigned i = 0; i < ARRAY_SIZE(seconds); i++)
        assert_int_equal(refresh_after_failures(i + 1), seconds[i] * USEC_PER_SEC);
    assert_int_equal(refresh_after_failures(UINT32_MAX), 30 * USEC_PER_SEC);
}

static void add(struct address_list *list, const char *text, uint16_t port, unsigned weight)
{
    struct address_config address = {0};

    assert_null(address_parse(text, false, &address));
    address_list_add(list, (const struct sockaddr *)&address.sockaddr, port, weight);
    free(address.text);
}

/* The list as text, which each address must also be the reading of. */
static void assert_list(const struct address_list *list, const char *expected)
{
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    for (size_t i = 0; i < list->n; i++) {
        const struct resolver_address *item = &list->items[i];
        struct address_config again = {0};
        assert_null(address_parse(item->address.text, false, &again));
        assert_true(address_eq(&item->address, &again));
        free(again.text);
        strbuf_addf(&text, "%s%s*%u", i > 0 ? " " : "", item->address.text, item->weight);
    }
    assert_string_equal(strbuf_string(&text), expected);
}

static void test_list_is_sorted(void **state)
{
    struct address_list list = {0};

    assert_list(&list, "");
    add(&list, "[2001:db8::1]:1", 80, 0);
    add(&list, "192.0.2.10:1", 80, 0);
    add(&list, "192.0.2.9:1", 8080, 0);
    add(&list, "192.0.2.9:1", 80, 0);
    add(&list, "[::1]:1", 80, 0);
    add(&list, "9.0.2.1:1", 65535, 0);
    assert_list(&list, "9.0.2.1:65535*0 192.0.2.9:80*0 192.0.2.9:8080*0 192.0.2.10:80*0 [::1]:80*0 "
                       "[2001:db8::1]:80*0");
    address_list_deinit(&list);
    assert_list(&list, "");
}

static void test_list_has_each_once(void **state)
{
    struct address_list list = {0};

    add(&list, "192.0.2.1:1", 80, 3);
    add(&list, "192.0.2.1:2", 80, 7);
    add(&list, "192.0.2.1:3", 80, 5);
    add(&list, "[2001:db8::1]:1", 80, 1);
    add(&list, "[2001:db8::1%1]:1", 80, 1); /* the link says nothing about such an address */
    assert_list(&list, "192.0.2.1:80*7 [2001:db8::1]:80*1");
    address_list_deinit(&list);
}

static void test_list_leaves_out(void **state)
{
    static const char *const unusable[] = {"0.0.0.0:1", "255.255.255.255:1", "224.0.0.1:1",
                                           "[::]:1",    "[ff02::1]:1",       "[fe80::1]:1"};
    const struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    struct address_list list = {0};

    for (size_t i = 0; i < ARRAY_SIZE(unusable); i++)
        add(&list, unusable[i], 80, 0);
    address_list_add(&list, &unix_socket, 80, 0);
    assert_list(&list, "");
    address_list_deinit(&list);
}

static void test_list_is_bounded(void **state)
{
    struct address_list list = {0};
    char text[64];

    for (unsigned i = 400; i > 0; i--) {
        snprintf(text, sizeof(text), "10.0.%u.%u:1", i / 256, i % 256);
        add(&list, text, 80, 0);
        add(&list, text, 80, 0);
    }
    assert_int_equal(list.n, RESOLVER_ADDRESSES_MAX);
    assert_string_equal(list.items[0].address.text, "10.0.0.1:80");
    assert_string_equal(list.items[RESOLVER_ADDRESSES_MAX - 1].address.text, "10.0.0.200:80");
    address_list_deinit(&list);
}

/* A message under construction; its question is for "s.test". */
static void begin_message(struct strbuf *message, unsigned n_records)
{
    const unsigned char header[] = {
        0, 7, 0x81, 0x80, 0, 1, (unsigned char)(n_records >> 8), (unsigned char)n_records, 0, 0, 0, 0};

    strbuf_clear(message);
    strbuf_add(message, header, sizeof(header));
    strbuf_add(message, "\1s\4test\0\0\41\0\1", 12);
}

static void add_u16(struct strbuf *message, unsigned n)
{
    strbuf_add_char(message, (char)(n >> 8));
    strbuf_add_char(message, (char)n);
}

/* The target is in the form of the wire, with its last zero or pointer. */
static void add_srv(struct strbuf *message, uint32_t ttl, unsigned priority, unsigned weight, unsigned port,
                    const char *target, size_t target_size)
{
    add_u16(message, 0xc00c);
    add_u16(message, 33);
    add_u16(message, 1);
    add_u16(message, ttl >> 16);
    add_u16(message, ttl & 0xffff);
    add_u16(message, (unsigned)(6 + target_size));
    add_u16(message, priority);
    add_u16(message, weight);
    add_u16(message, port);
    strbuf_add(message, target, target_size);
}
#define ADD_SRV(message, ttl, priority, weight, port, target) \
    add_srv(message, ttl, priority, weight, port, target, sizeof(target) - 1)

static int parse(const struct strbuf *message, struct srv_answer *ret)
{
    return srv_parse((const uint8_t *)message->data, message->size, ret);
}

static void test_srv_records(void **state)
{
    _cleanup_strbuf_ struct strbuf message = STRBUF_INIT;
    struct srv_answer answer = {0};
    unsigned heaviest;

    begin_message(&message, 4);
    ADD_SRV(&message, 60, 20, 9, 8003, "\1c\4test\0");
    ADD_SRV(&message, 30, 10, 5, 8002, "\1b\xc0\x0e"); /* ".test" of the question */
    ADD_SRV(&message, 90, 10, 70, 8001, "\1a\4test\0");
    ADD_SRV(&message, 90, 10, 80, 0, "\1d\4test\0");
    assert_int_equal(parse(&message, &answer), 0);
    assert_int_equal(answer.n, 3);
    assert_int_equal(answer.ttl, 30 * USEC_PER_SEC);
    assert_string_equal(answer.records[0].target, "a.test");
    assert_int_equal(answer.records[0].port, 8001);
    assert_int_equal(answer.records[0].weight, 70);
    assert_string_equal(answer.records[1].target, "b.test");
    assert_string_equal(answer.records[2].target, "c.test");
    assert_int_equal(answer.records[2].priority, 20);
    assert_int_equal(srv_group(&answer, 0, &heaviest), 2);
    assert_int_equal(heaviest, 70);
    assert_int_equal(srv_group(&answer, 2, &heaviest), 1);
    assert_int_equal(heaviest, 9);
    assert_int_equal(srv_group(&answer, 3, &heaviest), 0);
    srv_answer_deinit(&answer);

    begin_message(&message, 1);
    ADD_SRV(&message, UINT32_C(0x80000000), 0, 0, 1, "\1a\0");
    assert_int_equal(parse(&message, &answer), 0);
    assert_int_equal(answer.ttl, 0);
    srv_answer_deinit(&answer);
}

static void test_srv_without_use(void **state)
{
    _cleanup_strbuf_ struct strbuf message = STRBUF_INIT;
    struct srv_answer answer = {0};

    begin_message(&message, 0);
    assert_int_equal(parse(&message, &answer), SRV_NONE);
    begin_message(&message, 1);
    ADD_SRV(&message, 60, 0, 0, 80, "\0");
    assert_int_equal(parse(&message, &answer), SRV_NOT_THERE);
    begin_message(&message, 2);
    ADD_SRV(&message, 60, 0, 0, 80, "\3a b\0");
    ADD_SRV(&message, 60, 0, 0, 80, "\3a\0b\0");
    assert_int_equal(parse(&message, &answer), SRV_NONE);
}

static void test_srv_malformed(void **state)
{
    _cleanup_strbuf_ struct strbuf message = STRBUF_INIT;
    struct srv_answer answer = {0};

    begin_message(&message, 1);
    ADD_SRV(&message, 60, 10, 1, 80, "\1a\4test\0");
    for (size_t size = 0; size < message.size; size++) {
        _cleanup_free_ uint8_t *cut = xcalloc(1, size);
        memcpy(cut, message.data, size);
        assert_int_equal(srv_parse(cut, size, &answer), SRV_MALFORMED);
    }

    static const struct {
        const char *target;
        size_t size;
    } wrong[] = {
        {"\xc0\x30", 2},     /* to itself: the target is at 12 + 12 + 18 + 6 */
        {"\xc0\xff", 2},     /* behind the end */
        {"\1a\xc0\x30", 4},  /* in a circle */
        {"\1a\4test\0x", 9}, /* more data than the name */
        {"\x80", 1},         /* neither a label nor a pointer */
        {"\5a\0", 3},        /* a label longer than the message */
        {"\1a", 2},          /* no end */
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        begin_message(&message, 1);
        add_srv(&message, 60, 10, 1, 80, wrong[i].target, wrong[i].size);
        assert_int_equal(parse(&message, &answer), SRV_MALFORMED);
    }
    begin_message(&message, 2);
    ADD_SRV(&message, 60, 10, 1, 80, "\1a\4test\0");
    assert_int_equal(parse(&message, &answer), SRV_MALFORMED);
}

static void test_srv_is_bounded(void **state)
{
    _cleanup_strbuf_ struct strbuf message = STRBUF_INIT;
    struct srv_answer answer = {0};

    begin_message(&message, 1000);
    for (unsigned i = 0; i < 1000; i++)
        ADD_SRV(&message, 60, 1000 - i, 1, 80, "\1a\0");
    assert_int_equal(parse(&message, &answer), 0);
    assert_int_equal(answer.n, SRV_RECORDS_MAX);
    assert_int_equal(answer.records[0].priority, 1);
    assert_int_equal(answer.records[SRV_RECORDS_MAX - 1].priority, SRV_RECORDS_MAX);
    srv_answer_deinit(&answer);
}

static void test_srv_weight(void **state)
{
    assert_int_equal(srv_weight(0, 0, 256), 1);
    assert_int_equal(srv_weight(0, 10, 256), 1);
    assert_int_equal(srv_weight(10, 256, 256), 10);
    assert_int_equal(srv_weight(1000, 1000, 256), 256);
    assert_int_equal(srv_weight(500, 1000, 256), 128);
    assert_int_equal(srv_weight(1, 65535, 256), 1);
    assert_int_equal(srv_weight(65535, 65535, 256), 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refresh_after_answer), cmocka_unit_test(test_refresh_after_failures),
        cmocka_unit_test(test_list_is_sorted),       cmocka_unit_test(test_list_has_each_once),
        cmocka_unit_test(test_list_leaves_out),      cmocka_unit_test(test_list_is_bounded),
        cmocka_unit_test(test_srv_records),          cmocka_unit_test(test_srv_without_use),
        cmocka_unit_test(test_srv_malformed),        cmocka_unit_test(test_srv_is_bounded),
        cmocka_unit_test(test_srv_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
