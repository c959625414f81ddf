#include "http/forwarding.h"

static struct slice name_of(const h2o_header_t *header)
{
    return slice_of_iovec(*header->name);
}

bool forwarding_read(struct exchange *exchange)
{
    const h2o_req_t *req = exchange->req;
    struct conn *conn = exchange->conn;

    if (!conn->is_trusted_proxy)
        return true;
    struct forwarding *forwarding = h2o_mem_alloc_pool(&exchange->req->pool, sizeof(*forwarding));
    *forwarding = (struct forwarding){0};
    for (size_t i = 0; i < req->headers.size; i++) {
        const enum forwarded_field field = forwarded_field_from_name(name_of(&req->headers.entries[i]));
        if (field != _FORWARDED_FIELD_MAX)
            forwarded_add(&forwarding->claims, field, slice_of_iovec(req->headers.entries[i].value),
                          &conn->origin->listener->trusted_proxies);
    }
    if (!forwarded_decide(&forwarding->claims, conn_client(conn), &forwarding->client))
        return false;
    ip_address_format(&forwarding->client.address, forwarding->client_text);
    exchange->forwarding = forwarding;
    return true;
}

/* RFC 7239 6: an IPv6 address is bracketed and quoted; the host may have a port. */
void forwarding_add_element(struct strbuf *text, const struct ip_address *address, struct slice proto,
                            struct slice host)
{
    char buffer[IP_ADDRESS_TEXT_MAX];

    ip_address_format(address, buffer);
    strbuf_addf(text,
                address->family == IP_V6     ? "for=\"[%s]\""
                : address->family == IP_UNIX ? "for=_%s"
                                             : "for=%s",
                buffer);
    if (proto.size > 0) {
        strbuf_add_string(text, ";proto=");
        strbuf_add(text, proto.data, proto.size);
    }
    if (host.size > 0) {
        strbuf_add_string(text, ";host=\"");
        strbuf_add(text, host.data, host.size);
        strbuf_add_string(text, "\"");
    }
}

/* Calls back for each field of a kind with what is believed of it. */
static void each_believed(const struct exchange *exchange, enum forwarded_field field, const char *from,
                          void (*callback)(const struct exchange *exchange, struct slice value,
                                           struct strbuf *text),
                          struct strbuf *text)
{
    const h2o_req_t *req = exchange->req;
    bool has_begun = false;

    for (size_t i = 0; from && i < req->headers.size; i++) {
        struct slice value = slice_of_iovec(req->headers.entries[i].value);
        if (forwarded_field_from_name(name_of(&req->headers.entries[i])) != field)
            continue;
        if (!has_begun && from >= value.data && from < value.data + value.size) {
            value = slice_skip(value, (size_t)(from - value.data));
            has_begun = true;
        }
        if (has_begun && slice_trim(value).size > 0)
            callback(exchange, slice_trim(value), text);
    }
}

static void copy(const struct exchange *exchange, struct slice value, struct strbuf *text)
{
    strbuf_add(text, value.data, value.size);
    strbuf_add_string(text, ", ");
}

static void convert_x_for(const struct exchange *exchange, struct slice value, struct strbuf *text)
{
    static const struct slice none = {NULL, 0};
    const struct forwarded_hop *client = &exchange->forwarding->client;
    struct forwarded_hop hop;
    const char *from;

    while (forwarded_next(FORWARDED_FOR, &value, &hop, &from)) {
        const bool is_first = text->size == 0;
        forwarding_add_element(text, &hop.address, is_first ? client->proto : none,
                               is_first ? client->host : none);
        strbuf_add_string(text, ", ");
    }
}

static void convert_all(const struct exchange *exchange, struct slice value, struct strbuf *text)
{
    char buffer[IP_ADDRESS_TEXT_MAX];
    struct forwarded_hop hop;
    const char *from;

    while (forwarded_next(FORWARDED_ALL, &value, &hop, &from))
        strbuf_addf(text, "%s, ", ip_address_format(&hop.address, buffer));
}

struct slice forwarding_list(struct exchange *exchange, enum forwarded_field field)
{
    const struct forwarded *claims = &exchange->forwarding->claims;
    const char *x_for = claims->x_for.from, *all = claims->all.from;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    if (field == FORWARDED_FOR && x_for)
        each_believed(exchange, FORWARDED_FOR, x_for, copy, &text);
    else if (field == FORWARDED_FOR)
        each_believed(exchange, FORWARDED_ALL, all, convert_all, &text);
    else if (all)
        each_believed(exchange, FORWARDED_ALL, all, copy, &text);
    else
        each_believed(exchange, FORWARDED_FOR, x_for, convert_x_for, &text);
    return slice_of_iovec(h2o_strdup(&exchange->req->pool, strbuf_string(&text), text.size));
}
