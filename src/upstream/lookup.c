#include "upstream/lookup.h"

#include <arpa/nameser.h>

#include "upstream/address_list.h"
#include "upstream/srv.h"

/* What /etc/hosts says has no TTL. */
#define FILE_TTL (10 * USEC_PER_SEC)
/* When some hosts of a service could not be looked up, the others count, and that soon it is tried again. */
#define PARTIAL_TTL (5 * USEC_PER_SEC)

struct lookup {
    ares_channel channel;
    lookup_callback callback;
    void *userdata;
    struct srv_answer srv; /* empty for a host */
    size_t next;           /* the first record not asked for yet */
    struct address_list addresses;
    usec_t ttl;
    unsigned pending; /* hosts that are being looked up, and whoever still starts some */
    bool starting;    /* within the call that starts the lookup of a host */
    bool unsure;      /* a host could not be looked up, which does not say that it has no address */
    const char *error;
};

/* One host of a lookup. */
struct host {
    struct lookup *lookup;
    uint16_t port;
    unsigned weight;
};

static const char *explain(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
        return "there is no such name";
    case ARES_ENODATA:
        return "the name has no address";
    case ARES_ESERVFAIL:
        return "the DNS server failed";
    case ARES_EREFUSED:
        return "the DNS server refused to answer";
    case ARES_EBADRESP:
        return "the DNS server's answer is malformed";
    case ARES_ECONNREFUSED: /* 1.18 says that for whatever all servers failed to do */
        return "no DNS server can be reached, or all fail";
    case ARES_ETIMEOUT:
        return "no DNS server has answered in time";
    default:
        return ares_strerror(status);
    }
}

static struct lookup *lookup_new(ares_channel channel, lookup_callback callback, void *userdata)
{
    struct lookup *lookup = xcalloc(1, sizeof(*lookup));
    *lookup =
        (struct lookup){.channel = channel, .callback = callback, .userdata = userdata, .ttl = USEC_INFINITY};
    return lookup;
}

static void end(struct lookup *lookup)
{
    const bool is_found = lookup->addresses.n > 0;
    const struct resolver_answer answer = {
        .addresses = lookup->addresses.items,
        .n = lookup->addresses.n,
        .ttl = is_found && lookup->unsure ? usec_min(lookup->ttl, PARTIAL_TTL) : lookup->ttl,
        .error = is_found ? NULL : lookup->error,
    };

    lookup->callback(lookup->userdata, &answer);
    address_list_deinit(&lookup->addresses);
    srv_answer_deinit(&lookup->srv);
    free(lookup);
}

static void take_addresses(struct lookup *lookup, const struct host *host, const struct ares_addrinfo *found)
{
    usec_t ttl = USEC_INFINITY;

    for (const struct ares_addrinfo_cname *cname = found->cnames; cname; cname = cname->next)
        ttl = usec_min(ttl, (usec_t)MAX(cname->ttl, 0) * USEC_PER_SEC);
    for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
        ttl = usec_min(ttl, (usec_t)MAX(node->ai_ttl, 0) * USEC_PER_SEC);
        address_list_add(&lookup->addresses, node->ai_addr, host->port, host->weight);
    }
    /* What is known without asking a server is from a file. */
    if (lookup->starting && ttl == 0)
        ttl = FILE_TTL;
    lookup->ttl = usec_min(lookup->ttl, ttl);
}

static void release(struct lookup *lookup);

static void on_host(void *userdata, int status, int timeouts, struct ares_addrinfo *found)
{
    struct host *host = userdata;
    struct lookup *lookup = host->lookup;
    const size_t n = lookup->addresses.n;

    if (status == ARES_SUCCESS && found)
        take_addresses(lookup, host, found);
    const bool is_failure = status != ARES_SUCCESS && status != ARES_ENOTFOUND && status != ARES_ENODATA;
    if (is_failure || (lookup->addresses.n == n && !lookup->unsure))
        lookup->error = explain(status == ARES_SUCCESS ? ARES_ENODATA : status);
    lookup->unsure = lookup->unsure || is_failure;
    if (found)
        ares_freeaddrinfo(found);
    free(host);
    release(lookup);
}

static void ask_host(struct lookup *lookup, const char *name, uint16_t port, unsigned weight)
{
    const struct ares_addrinfo_hints hints = {
        /* The order is our own; the variable names another file than /etc/hosts. */
        .ai_flags = ARES_AI_NOSORT | (HOLDFAST_HOOKS ? ARES_AI_ENVHOSTS : 0),
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };
    struct host *host = xcalloc(1, sizeof(*host));

    *host = (struct host){lookup, port, weight};
    lookup->pending++;
    lookup->starting = true;
    ares_getaddrinfo(lookup->channel, name, NULL, &hints, on_host, host);
    lookup->starting = false;
}

static void ask_next_group(struct lookup *lookup)
{
    unsigned heaviest;
    const size_t n = srv_group(&lookup->srv, lookup->next, &heaviest);

    lookup->pending++;
    for (size_t i = 0; i < n; i++) {
        const struct srv_record *record = &lookup->srv.records[lookup->next++];
        ask_host(lookup, record->target, record->port,
                 srv_weight(record->weight, heaviest, RESOLVER_WEIGHT_MAX));
    }
    release(lookup);
}

/* When the last host has been looked up: the end, or the records of the next priority. */
static void release(struct lookup *lookup)
{
    if (--lookup->pending > 0)
        return;
    if (lookup->addresses.n == 0 && !lookup->unsure && lookup->next < lookup->srv.n)
        ask_next_group(lookup);
    else
        end(lookup);
}

void lookup_host(ares_channel channel, const char *host, uint16_t port, lookup_callback callback,
                 void *userdata)
{
    struct lookup *lookup = lookup_new(channel, callback, userdata);

    lookup->pending = 1;
    ask_host(lookup, host, port, 0);
    release(lookup);
}

static void on_service(void *userdata, int status, int timeouts, unsigned char *message, int size)
{
    struct lookup *lookup = userdata;
    static const char *const errors[] = {
        [SRV_MALFORMED] = "the DNS server's answer is malformed",
        [SRV_NONE] = "the name has no SRV records that can be used",
        [SRV_NOT_THERE] = "the service does not exist, says its SRV record",
    };

    if (status == ARES_SUCCESS) {
        const int r = srv_parse(message, (size_t)size, &lookup->srv);
        if (r == 0) {
            lookup->ttl = lookup->srv.ttl;
            ask_next_group(lookup);
            return;
        }
        lookup->error = errors[r];
    } else {
        lookup->error = status == ARES_ENODATA ? "the name has no SRV records" : explain(status);
    }
    end(lookup);
}

void lookup_service(ares_channel channel, const char *name, lookup_callback callback, void *userdata)
{
    ares_query(channel, name, ns_c_in, ns_t_srv, on_service, lookup_new(channel, callback, userdata));
}
