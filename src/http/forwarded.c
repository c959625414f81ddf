#include "http/forwarded.h"

#define HOST_MAX 255

enum forwarded_field forwarded_field_from_name(struct slice name)
{
    switch (name.size) {
    case 9:
        return slice_caseeq(name, SLICE_LITERAL("forwarded")) ? FORWARDED_ALL : _FORWARDED_FIELD_MAX;
    case 15:
        return slice_caseeq(name, SLICE_LITERAL("x-forwarded-for")) ? FORWARDED_FOR : _FORWARDED_FIELD_MAX;
    case 16:
        return slice_caseeq(name, SLICE_LITERAL("x-forwarded-host")) ? FORWARDED_HOST : _FORWARDED_FIELD_MAX;
    case 17:
        return slice_caseeq(name, SLICE_LITERAL("x-forwarded-proto")) ? FORWARDED_PROTO
                                                                      : _FORWARDED_FIELD_MAX;
    default:
        return _FORWARDED_FIELD_MAX;
    }
}

/* Values */

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 7239 6.1 and 6.3: decimal digits, or an obfuscated one that begins with '_'. */
static bool is_port(struct slice s)
{
    const bool is_hidden = s.size > 0 && s.data[0] == '_';

    for (size_t i = is_hidden; i < s.size; i++)
        if (is_hidden ? !is_alphanumeric(s.data[i]) && !memchr("._-", s.data[i], 3)
                      : s.data[i] < '0' || s.data[i] > '9')
            return false;
    return is_hidden ? s.size > 1 : s.size >= 1 && s.size <= 5;
}

/* An address, with or without a port: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80.
 */
static struct ip_address parse_node(struct slice node)
{
    static const struct ip_address unknown = {.family = IP_NONE};
    struct slice host = node, port = {NULL, 0};
    struct ip_address address;

    if (ip_address_parse(node, &address))
        return address;
    if (node.size > 0 && node.data[0] == '[') {
        port = slice_skip(node, 1);
        host = slice_split(&port, ']');
        if (!memchr(host.data, ':', host.size) || host.size + 2 > node.size)
            return unknown;
        if (port.size == 0)
            return ip_address_parse(host, &address) ? address : unknown;
        if (port.data[0] != ':')
            return unknown;
        port = slice_skip(port, 1);
    } else {
        port = node;
        host = slice_split(&port, ':');
    }
    return is_port(port) && ip_address_parse(host, &address) ? address : unknown;
}

static struct slice parse_proto(struct slice s)
{
    if (slice_caseeq(s, SLICE_LITERAL("https")))
        return SLICE_LITERAL("https");
    if (slice_caseeq(s, SLICE_LITERAL("http")))
        return SLICE_LITERAL("http");
    return (struct slice){NULL, 0};
}

/* What can stand in a field without quotes, and harms nobody there. */
static struct slice parse_host(struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!is_alphanumeric(s.data[i]) && !memchr(".-_:[]", s.data[i], 6))
            return (struct slice){NULL, 0};
    return s.size <= HOST_MAX ? s : (struct slice){NULL, 0};
}

/* Lists */

/* The next element towards us. `from`: where it begins, NULL when it is not fit to be passed on. */
static void list_add(struct forwarded_list *list, const struct forwarded_hop *hop, const char *from,
                     const struct prefix_set *trusted)
{
    list->is_present = true;
    if (!prefix_set_contains(trusted, &hop->address)) {
        list->hop = *hop; /* whatever stands before it is not believed */
        list->from = from;
        return;
    }
    if (list->hop.address.family == IP_NONE)
        list->hop.address = hop->address;
    if (list->hop.proto.size == 0)
        list->hop.proto = hop->proto;
    if (list->hop.host.size == 0)
        list->hop.host = hop->host;
    if (!list->from)
        list->from = from;
}

static bool next_x_for(struct slice *rest, struct forwarded_hop *ret, const char **ret_from)
{
    while (rest->size > 0) {
        const struct slice element = slice_trim(slice_split(rest, ','));
        if (element.size == 0)
            continue;
        *ret = (struct forwarded_hop){.address = parse_node(element)};
        *ret_from = ret->address.family == IP_NONE ? NULL : element.data;
        return true;
    }
    return false;
}

static bool is_token_char(char c)
{
    return is_alphanumeric(c) || memchr("!#$%&'*+-.^_`|~", c, 15);
}

/* A token, which must not be empty. Addresses are taken without quotes too, though they ought to have them.
 */
static bool take_token(struct slice *rest, bool is_value, struct slice *ret)
{
    size_t n = 0;

    while (n < rest->size && (is_token_char(rest->data[n]) || (is_value && memchr(":[]", rest->data[n], 3))))
        n++;
    *ret = slice_make(rest->data, n);
    *rest = slice_skip(*rest, n);
    return n > 0;
}

/* Behind the opening quote. What has escapes in it is read over: nothing that we look for needs any. */
static bool take_quoted(struct slice *rest, struct slice *ret)
{
    bool has_escapes = false;

    for (size_t i = 0; i < rest->size; i++) {
        if (rest->data[i] == '\\') {
            has_escapes = true;
            i++;
        } else if (rest->data[i] == '"') {
            *ret = slice_make(rest->data, has_escapes ? 0 : i);
            *rest = slice_skip(*rest, i + 1);
            return true;
        }
    }
    return false;
}

static bool take_char(struct slice *rest, char c)
{
    if (rest->size == 0 || rest->data[0] != c)
        return false;
    *rest = slice_skip(*rest, 1);
    return true;
}

enum {
    SAYS_FOR = 1 << 0,
    SAYS_PROTO = 1 << 1,
    SAYS_HOST = 1 << 2,
};

/* name=value; false when it is not that, or when the element has the same name twice. */
static bool take_pair(struct slice *rest, struct forwarded_hop *hop, unsigned *says)
{
    struct slice name, value;
    unsigned bit = 0;

    if (!take_token(rest, false, &name) || !take_char(rest, '='))
        return false;
    if (!(take_char(rest, '"') ? take_quoted(rest, &value) : take_token(rest, true, &value)))
        return false;
    if (slice_caseeq(name, SLICE_LITERAL("for"))) {
        bit = SAYS_FOR;
        hop->address = parse_node(value);
    } else if (slice_caseeq(name, SLICE_LITERAL("proto"))) {
        bit = SAYS_PROTO;
        hop->proto = parse_proto(value);
    } else if (slice_caseeq(name, SLICE_LITERAL("host"))) {
        bit = SAYS_HOST;
        hop->host = parse_host(value);
    }
    if (*says & bit)
        return false;
    *says |= bit;
    return true;
}

/* RFC 7239 4. False when it is malformed, and nothing can be told of what follows. */
static bool take_element(struct slice *rest, struct forwarded_hop *ret, bool *ret_empty)
{
    unsigned says = 0;

    *ret = (struct forwarded_hop){.address.family = IP_NONE};
    for (;;) {
        *rest = slice_trim(*rest);
        if (rest->size > 0 && !memchr(",;", rest->data[0], 2)) {
            *ret_empty = false;
            if (!take_pair(rest, ret, &says))
                return false;
            *rest = slice_trim(*rest);
        }
        if (rest->size == 0 || take_char(rest, ','))
            return true;
        if (!take_char(rest, ';'))
            return false;
    }
}

static bool next_of_all(struct slice *rest, struct forwarded_hop *ret, const char **ret_from)
{
    bool is_empty = true;

    while (is_empty && rest->size > 0) {
        *rest = slice_trim(*rest);
        *ret_from = rest->data;
        if (!take_element(rest, ret, &is_empty)) {
            is_empty = false;
            *ret = (struct forwarded_hop){.address.family = IP_NONE};
            *ret_from = NULL;
            *rest = slice_skip(*rest, rest->size);
        }
    }
    return !is_empty;
}

bool forwarded_next(enum forwarded_field field, struct slice *rest, struct forwarded_hop *ret,
                    const char **ret_from)
{
    assert(field == FORWARDED_FOR || field == FORWARDED_ALL);
    return (field == FORWARDED_FOR ? next_x_for : next_of_all)(rest, ret, ret_from);
}

static void add_list(struct forwarded_list *list, enum forwarded_field field, struct slice value,
                     const struct prefix_set *trusted)
{
    struct forwarded_hop hop;
    const char *from;

    while (forwarded_next(field, &value, &hop, &from))
        list_add(list, &hop, from, trusted);
}

/* Of a list the last one, which the nearest proxy wrote. */
static struct slice last_element(struct slice value)
{
    const char *comma = value.size > 0 ? (const char *)memrchr(value.data, ',', value.size) : NULL;
    return slice_trim(comma ? slice_skip(value, (size_t)(comma - value.data) + 1) : value);
}

void forwarded_add(struct forwarded *forwarded, enum forwarded_field field, struct slice value,
                   const struct prefix_set *trusted)
{
    switch (field) {
    case FORWARDED_FOR:
        add_list(&forwarded->x_for, field, value, trusted);
        break;
    case FORWARDED_PROTO:
        forwarded->x_proto = parse_proto(last_element(value));
        break;
    case FORWARDED_HOST:
        forwarded->x_host = parse_host(last_element(value));
        break;
    case FORWARDED_ALL:
        add_list(&forwarded->all, field, value, trusted);
        break;
    case _FORWARDED_FIELD_MAX:
    default:
        WRONG("forwarding field");
    }
}

/* One of two that may say something; false when they do not say the same. */
static bool agree(struct slice a, struct slice b, struct slice *ret)
{
    if (a.size > 0 && b.size > 0 && !slice_caseeq(a, b))
        return false;
    *ret = a.size > 0 ? a : b;
    return true;
}

bool forwarded_decide(const struct forwarded *forwarded, const struct ip_address *peer,
                      struct forwarded_hop *ret)
{
    const struct forwarded_list *x_for = &forwarded->x_for, *all = &forwarded->all;
    struct forwarded_hop hop = {.address = all->is_present ? all->hop.address : x_for->hop.address};

    if (all->is_present && x_for->is_present && !ip_address_eq(&all->hop.address, &x_for->hop.address))
        return false;
    if (!agree(all->hop.proto, forwarded->x_proto, &hop.proto) ||
        !agree(all->hop.host, forwarded->x_host, &hop.host))
        return false;
    if (hop.address.family == IP_NONE)
        hop.address = *peer;
    *ret = hop;
    return true;
}
