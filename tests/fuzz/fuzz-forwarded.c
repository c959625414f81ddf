/* Any bytes as the fields of a request that tell of its client, a line each: what is believed must keep to
 * what forwarded.h says. */

#include "http/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_within(const char *p, const char *data, size_t size)
{
    return !p || (p >= data && p < data + size);
}

static void check_value(struct slice value, const char *data, size_t size)
{
    assert(value.size == 0 || slice_eq(value, SLICE_LITERAL("http")) ||
           slice_eq(value, SLICE_LITERAL("https")) ||
           (is_within(value.data, data, size) && value.size <= 255));
    for (size_t i = 0; i < value.size; i++)
        assert(value.data[i] > ' ' && value.data[i] < 0x7f && !memchr("\",;\\", value.data[i], 4));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct forwarded forwarded = {0};
    struct prefix_set trusted = {0};
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    struct forwarded_hop client;
    /* A block of its own, so that a sanitizer sees a read behind the end. */
    _cleanup_free_ char *exact = xcalloc(1, size);
    memcpy(exact, data, size);
    struct slice rest = slice_make(exact, size);

    if (!prefix_set_add(&trusted, slice_of("10.0.0.0/8"), &error))
        abort();
    while (rest.size > 0) {
        struct slice value = slice_split(&rest, '\n');
        const struct slice name = slice_split(&value, ':');
        const enum forwarded_field field = forwarded_field_from_name(name);
        if (field != _FORWARDED_FIELD_MAX)
            forwarded_add(&forwarded, field, value, &trusted);
    }
    assert(is_within(forwarded.x_for.from, exact, size) && is_within(forwarded.all.from, exact, size));
    const struct ip_address peer = {IP_V4, {10, 0, 0, 1}};
    if (forwarded_decide(&forwarded, &peer, &client)) {
        assert(client.address.family == IP_V4 || client.address.family == IP_V6);
        check_value(client.proto, exact, size);
        check_value(client.host, exact, size);
        if (forwarded.x_for.is_present && forwarded.all.is_present)
            assert(ip_address_eq(&forwarded.x_for.hop.address, &forwarded.all.hop.address));
    } else {
        assert(forwarded.all.is_present);
    }
    prefix_set_deinit(&trusted);
    return 0;
}
