/* What is believed of X-Forwarded-For and Forwarded. The trusted proxies are 10.0.0.0/8 and fd00::/8,
 * and 10.0.0.1 has sent the request. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http/forwarded.h"

#define FIELDS_MAX 6

/* "name: value" lines as they come in a request, and what follows: the client, and behind it proto and host
 * if they are known; "400" for a contradiction. */
struct example {
    const char *fields[FIELDS_MAX];
    const char *client;
};

static void add_line(struct forwarded *forwarded, const char *line, const struct prefix_set *trusted)
{
    struct slice value = slice_of(line);
    const struct slice name = slice_split(&value, ':');
    const enum forwarded_field field = forwarded_field_from_name(name);
    if (field != _FORWARDED_FIELD_MAX)
        forwarded_add(forwarded, field, slice_trim(value), trusted);
}

static struct prefix_set proxies(void)
{
    struct prefix_set trusted = {0};
    struct strbuf error = STRBUF_INIT;
    assert_true(prefix_set_add(&trusted, slice_of("10.0.0.0/8"), &error));
    assert_true(prefix_set_add(&trusted, slice_of("fd00::/8"), &error));
    return trusted;
}

static void check(const struct example *example)
{
    struct prefix_set trusted = proxies();
    struct ip_address peer;
    struct forwarded forwarded = {0};
    struct forwarded_hop client;
    _cleanup_strbuf_ struct strbuf found = STRBUF_INIT;
    char text[IP_ADDRESS_TEXT_MAX];

    assert_true(ip_address_parse(slice_of("10.0.0.1"), &peer));
    for (size_t i = 0; i < FIELDS_MAX && example->fields[i]; i++)
        add_line(&forwarded, example->fields[i], &trusted);
    if (forwarded_decide(&forwarded, &peer, &client))
        strbuf_addf(&found, "%s%s%.*s%s%.*s", ip_address_format(&client.address, text),
                    client.proto.size > 0 ? " " : "", (int)client.proto.size, client.proto.data,
                    client.host.size > 0 ? " " : "", (int)client.host.size, client.host.data);
    else
        strbuf_add_string(&found, "400");
    if (!streq(strbuf_string(&found), example->client))
        fail_msg("%s | %s: expected %s, found %s", example->fields[0] ? example->fields[0] : "nothing",
                 example->fields[0] && example->fields[1] ? example->fields[1] : "", example->client,
                 strbuf_string(&found));
    prefix_set_deinit(&trusted);
}

static void test_x_forwarded_for(void **state)
{
    static const struct example examples[] = {
        {{NULL}, "10.0.0.1"},
        {{"X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
        {{"x-FORWARDED-for: 2001:db8::1"}, "2001:db8::1"},
        {{"X-Forwarded-For: ::ffff:192.0.2.1"}, "192.0.2.1"},
        {{"X-Forwarded-For: 192.0.2.1:1234"}, "192.0.2.1"},
        {{"X-Forwarded-For: [2001:db8::1]:1234"}, "2001:db8::1"},
        {{"X-Forwarded-For: [2001:db8::1]"}, "2001:db8::1"},
        /* What stands further left the client may have written. */
        {{"X-Forwarded-For: 6.6.6.6, 192.0.2.1"}, "192.0.2.1"},
        {{"X-Forwarded-For: 10.6.6.6, 192.0.2.1"}, "192.0.2.1"},
        {{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
        {{"X-Forwarded-For: 6.6.6.6", "X-FORWARDED-FOR: 192.0.2.1, 10.0.0.2", "x-forwarded-for: 10.0.0.3"},
         "192.0.2.1"},
        {{"X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.2, fd00::3"}, "192.0.2.1"},
        {{"X-Forwarded-For: 192.0.2.1 ,\t10.0.0.2:80,10.0.0.3"}, "192.0.2.1"},
        /* All are proxies: the furthest. */
        {{"X-Forwarded-For: 10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
        {{"X-Forwarded-For: 10.0.0.3"}, "10.0.0.3"},
        /* What is no address ends what is known. */
        {{"X-Forwarded-For: unknown"}, "10.0.0.1"},
        {{"X-Forwarded-For: 6.6.6.6, unknown"}, "10.0.0.1"},
        {{"X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.2"}, "10.0.0.2"},
        {{"X-Forwarded-For: 6.6.6.6, _hidden, 10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
        {{"X-Forwarded-For: unix"}, "10.0.0.1"},
        {{"X-Forwarded-For: example.com"}, "10.0.0.1"},
        {{"X-Forwarded-For: \"192.0.2.1\""}, "10.0.0.1"},
        {{"X-Forwarded-For: 192.0.2.1:"}, "10.0.0.1"},
        {{"X-Forwarded-For: 192.0.2.1:x"}, "10.0.0.1"},
        {{"X-Forwarded-For: 192.0.2.1:123456"}, "10.0.0.1"},
        {{"X-Forwarded-For: 192.0.2.1 192.0.2.2"}, "10.0.0.1"},
        {{"X-Forwarded-For: 192.0.2.1;x"}, "10.0.0.1"},
        {{"X-Forwarded-For: [192.0.2.1]"}, "10.0.0.1"},
        {{"X-Forwarded-For: [2001:db8::1"}, "10.0.0.1"},
        {{"X-Forwarded-For: [2001:db8::1]80"}, "10.0.0.1"},
        {{"X-Forwarded-For: [2001:db8::1]:"}, "10.0.0.1"},
        {{"X-Forwarded-For: []"}, "10.0.0.1"},
        {{"X-Forwarded-For: ["}, "10.0.0.1"},
        {{"X-Forwarded-For: fe80::1%eth0"}, "10.0.0.1"},
        {{"X-Forwarded-For: 192.0.2.01"}, "10.0.0.1"},
        {{"X-Forwarded-For: 3221225985"}, "10.0.0.1"},
        /* Empty elements of a list are none (RFC 9110 5.6.1). */
        {{"X-Forwarded-For:"}, "10.0.0.1"},
        {{"X-Forwarded-For: ,, ,"}, "10.0.0.1"},
        {{"X-Forwarded-For: 192.0.2.1,,", "X-Forwarded-For:"}, "192.0.2.1"},
        /* Other fields */
        {{"X-Real-IP: 6.6.6.6", "X-Forwarded-Foo: 6.6.6.6", "X_Forwarded_For: 6.6.6.6"}, "10.0.0.1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
        check(&examples[i]);
}

static void test_forwarded(void **state)
{
    static const struct example examples[] = {
        {{"Forwarded: for=192.0.2.1"}, "192.0.2.1"},
        {{"FORWARDED: For=\"192.0.2.1\""}, "192.0.2.1"},
        {{"Forwarded: for=\"[2001:db8::1]\""}, "2001:db8::1"},
        {{"Forwarded: for=\"[2001:db8::1]:4711\""}, "2001:db8::1"},
        {{"Forwarded: for=\"192.0.2.1:4711\""}, "192.0.2.1"},
        {{"Forwarded: for=\"192.0.2.1:_port\""}, "192.0.2.1"},
        {{"Forwarded: for=192.0.2.1:4711"}, "192.0.2.1"},  /* to be lenient */
        {{"Forwarded: for=[2001:db8::1]"}, "2001:db8::1"}, /* likewise */
        {{"Forwarded: for=192.0.2.1;by=203.0.113.43;proto=HTTPS;host=Example.com:81"},
         "192.0.2.1 https Example.com:81"},
        {{"Forwarded: proto=http;host=\"[::1]:81\";for=192.0.2.1"}, "192.0.2.1 http [::1]:81"},
        {{"Forwarded: ;for=192.0.2.1;; secret=\"a,b;c\\\"d\" ;"}, "192.0.2.1"},
        {{"Forwarded: for=6.6.6.6;host=evil, for=192.0.2.1;host=good"}, "192.0.2.1 good"},
        {{"Forwarded: for=6.6.6.6;host=evil, for=192.0.2.1"}, "192.0.2.1"},
        {{"Forwarded: for=6.6.6.6", "Forwarded: for=192.0.2.1, for=10.0.0.2;proto=http"}, "192.0.2.1 http"},
        {{"Forwarded: for=192.0.2.1;proto=https;host=a, for=10.0.0.2;proto=http;host=b"},
         "192.0.2.1 https a"},
        {{"Forwarded: for=10.0.0.3;host=a, for=\"[fd00::2]\";proto=https;host=b"}, "10.0.0.3 https a"},
        /* Who is not told by a trusted one may still be told to have come by https. */
        {{"Forwarded: for=6.6.6.6;host=evil, for=_hidden;proto=https"}, "10.0.0.1 https"},
        {{"Forwarded: for=unknown, for=10.0.0.2"}, "10.0.0.2"},
        {{"Forwarded: proto=https"}, "10.0.0.1 https"},
        {{"Forwarded: for=192.0.2.1;proto=ftp;host=\"a/b\""}, "192.0.2.1"},
        {{"Forwarded: for=192.0.2.1;host=\"a\\b\""}, "192.0.2.1"},
        {{"Forwarded: for=192.0.2.1;host=\"a, for=10.0.0.1\""}, "192.0.2.1"},
        {{"Forwarded:"}, "10.0.0.1"},
        {{"Forwarded: ,;,"}, "10.0.0.1"},
        {{"Forwarded: for=192.0.2.1,"}, "192.0.2.1"},
        /* What is malformed takes with it what stands behind it in its field, for a quote may begin anywhere;
         * but not what somebody else has written in another. */
        {{"Forwarded: for=\"192.0.2.1"}, "10.0.0.1"},
        {{"Forwarded: for=6.6.6.6;x=\", for=192.0.2.1"}, "10.0.0.1"},
        {{"Forwarded: for=6.6.6.6;x=\"", "Forwarded: for=192.0.2.1"}, "192.0.2.1"},
        {{"Forwarded: for=6.6.6.6;x=\"", "Forwarded: for=10.0.0.2"}, "10.0.0.2"},
        {{"Forwarded: for=6.6.6.6;x=\", for=10.0.0.2;host=\"h\""}, "10.0.0.1"},
        {{"Forwarded: for=6.6.6.6;x=\"\\", "Forwarded: for=192.0.2.1"}, "192.0.2.1"},
        {{"Forwarded: for=6.6.6.6, for"}, "10.0.0.1"},
        {{"Forwarded: for=6.6.6.6, for="}, "10.0.0.1"},
        {{"Forwarded: for=6.6.6.6, =x"}, "10.0.0.1"},
        {{"Forwarded: for=6.6.6.6 for=7.7.7.7"}, "10.0.0.1"},
        {{"Forwarded: for=6.6.6.6;for=7.7.7.7"}, "10.0.0.1"},
        {{"Forwarded: for=6.6.6.6;host=a;HOST=b"}, "10.0.0.1"},
        {{"Forwarded: for=\"6.6.6.6\"x"}, "10.0.0.1"},
        {{"Forwarded: for = 6.6.6.6"}, "10.0.0.1"},
        {{"Forwarded: 6.6.6.6"}, "10.0.0.1"},
        {{"Forwarded: for=\"\""}, "10.0.0.1"},
        {{"Forwarded: for=\"\\6.6.6.6\""}, "10.0.0.1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
        check(&examples[i]);
}

static void test_x_forwarded_proto_and_host(void **state)
{
    static const struct example examples[] = {
        {{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: a.example:8443"},
         "192.0.2.1 https a.example:8443"},
        {{"X-Forwarded-Proto: https"}, "10.0.0.1 https"},
        {{"X-Forwarded-Proto: http, https", "X-Forwarded-Host: evil, good"}, "10.0.0.1 https good"},
        {{"X-Forwarded-Host: evil", "X-Forwarded-Host: good"}, "10.0.0.1 good"},
        {{"X-Forwarded-Proto: https", "X-Forwarded-Proto: javascript"}, "10.0.0.1"},
        {{"X-Forwarded-Host: a b", "X-Forwarded-Proto:"}, "10.0.0.1"},
        {{"X-Forwarded-Host: a\"b"}, "10.0.0.1"},
        {{"X-Forwarded-Host: a@b"}, "10.0.0.1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
        check(&examples[i]);
}

/* Which of both lists the proxy wrote cannot be told, so that neither may win. */
static void test_contradictions(void **state)
{
    static const struct example examples[] = {
        {{"X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1;proto=https"}, "192.0.2.1 https"},
        {{"X-Forwarded-For: 6.6.6.6, 192.0.2.1", "Forwarded: for=7.7.7.7, for=192.0.2.1"}, "192.0.2.1"},
        {{"X-Forwarded-For: unknown", "Forwarded: for=_hidden"}, "10.0.0.1"},
        {{"X-Forwarded-For:", "Forwarded: for=192.0.2.1"}, "192.0.2.1"}, /* an empty list is none */
        {{"X-Forwarded-For: 192.0.2.1", "Forwarded: for=6.6.6.6"}, "400"},
        {{"X-Forwarded-For: 6.6.6.6", "Forwarded: for=192.0.2.1"}, "400"},
        {{"X-Forwarded-For: 10.0.0.2", "Forwarded: for=192.0.2.1"}, "400"},
        {{"X-Forwarded-For: 192.0.2.1", "Forwarded: for=unknown"}, "400"},
        {{"X-Forwarded-For: 192.0.2.1", "Forwarded: for=\""}, "400"},
        {{"X-Forwarded-For: 192.0.2.1", "Forwarded: proto=https"}, "400"},
        {{"Forwarded: for=192.0.2.1;proto=https", "X-Forwarded-Proto: HTTPS"}, "192.0.2.1 https"},
        {{"Forwarded: for=192.0.2.1;proto=https", "X-Forwarded-Proto: http"}, "400"},
        {{"Forwarded: for=192.0.2.1;host=a", "X-Forwarded-Host: b"}, "400"},
        {{"Forwarded: for=192.0.2.1;host=a", "X-Forwarded-Host: A"}, "192.0.2.1 a"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
        check(&examples[i]);
}

/* Where the part of a field begins that may be passed on. */
static void test_what_is_passed_on(void **state)
{
    static const struct {
        const char *fields[2], *from;
    } examples[] = {
        {{"X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.2", NULL}, "192.0.2.1, 10.0.0.2"},
        {{"X-Forwarded-For: 6.6.6.6, junk, 10.0.0.2", NULL}, "10.0.0.2"},
        {{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 10.0.0.2"}, "192.0.2.1"},
        {{"X-Forwarded-For: 6.6.6.6, junk", NULL}, NULL},
        {{"Forwarded: for=6.6.6.6 , for=192.0.2.1;x=\",\", for=10.0.0.2", NULL},
         "for=192.0.2.1;x=\",\", for=10.0.0.2"},
        {{"Forwarded: for=6.6.6.6, for=_a, for=10.0.0.2", NULL}, "for=_a, for=10.0.0.2"},
        {{"Forwarded: for=6.6.6.6;x=\"", NULL}, NULL},
        {{"Forwarded: for=192.0.2.1, for=10.0.0.2, x", "Forwarded: for=10.0.0.3"}, "for=10.0.0.3"},
    };
    struct prefix_set trusted = proxies();

    for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
        struct forwarded forwarded = {0};
        for (size_t j = 0; j < ARRAY_SIZE(examples[i].fields) && examples[i].fields[j]; j++)
            add_line(&forwarded, examples[i].fields[j], &trusted);
        const char *from = forwarded.x_for.is_present ? forwarded.x_for.from : forwarded.all.from;
        if (!from || !examples[i].from)
            assert_true(!from && !examples[i].from);
        else
            assert_string_equal(from, examples[i].from);
    }
    prefix_set_deinit(&trusted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_x_forwarded_for),
        cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_x_forwarded_proto_and_host),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_what_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
