/* What clients have used of their limits, for the next process:
 *
 *   {"secret": HEX, "tables": {"METHODS PATTERN LIMIT": HEX, …}}
 *
 * A table is found again by its route and the words of its limit. Each of its clients is 48 digits: the key,
 * and the microseconds until its bucket is full, as three numbers. */

#include "http/rate_limit.h"
#include "util/strbuf.h"

#define NUMBER_SIZE 16
#define CLIENT_SIZE (3 * NUMBER_SIZE)
/* Clients are told apart in so many degrees of how much they have used. */
#define N_LEVELS 16

static void add_number(struct strbuf *out, uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    char text[NUMBER_SIZE];
    for (size_t i = NUMBER_SIZE; i-- > 0; number >>= 4)
        text[i] = digits[number & 0xf];
    strbuf_add(out, text, sizeof(text));
}

static bool read_number(const char *text, uint64_t *ret)
{
    uint64_t number = 0;
    for (size_t i = 0; i < NUMBER_SIZE; i++) {
        const char c = text[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
        number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret = number;
    return true;
}

static void name_table(struct strbuf *out, const struct route_config *route,
                       const struct rate_limit_config *limit)
{
    strbuf_addf(out, "%x %s %s", route->methods, route->pattern, limit->text);
}

/* Calls back for every limit there is. */
static void each_limit(const struct rate_limits *limits,
                       void (*callback)(void *userdata, const struct route_config *route,
                                        const struct rate_limit_config *limit, struct rate_table *table),
                       void *userdata)
{
    for (size_t i = 0; i < limits->config->n_routes; i++) {
        const struct route_config *route = limits->config->routes[i];
        for (size_t j = 0; j < route->n_rate_limits; j++)
            callback(userdata, route, &route->rate_limits[j], limits->tables[route->rate_limits[j].index]);
    }
}

/* ---- out --------------------------------------------------------------------------------------------- */

struct export
{
    usec_t now;
    usec_t fill_time; /* of the table at hand */
    size_t n_at_level[N_LEVELS];
    size_t level; /* from this one on */
    size_t left;
    struct strbuf clients;
    json_t *tables;
};

static size_t level_of(const struct export *export, usec_t full_after)
{
    return MIN((size_t)(full_after * N_LEVELS / export->fill_time), (size_t)N_LEVELS - 1);
}

static void count_client(void *userdata, const struct siphash *key, usec_t full_after)
{
    struct export *export = userdata;
    export->n_at_level[level_of(export, full_after)]++;
}

static void count_clients(void *userdata, const struct route_config *route,
                          const struct rate_limit_config *limit, struct rate_table *table)
{
    struct export *export = userdata;
    export->fill_time = rate_fill_time(&limit->rate);
    rate_table_each(table, export->now, count_client, export);
}

static void choose_level(struct export *export)
{
    size_t n = 0;
    for (export->level = N_LEVELS; export->level > 0; export->level--) {
        n += export->n_at_level[export->level - 1];
        if (n > RATE_TRANSFER_MAX)
            break;
    }
    /* Of the highest level there may be too many: then as many as there is room for. */
    export->level = MIN(export->level, (size_t)N_LEVELS - 1);
}

static void add_client(void *userdata, const struct siphash *key, usec_t full_after)
{
    struct export *export = userdata;
    if (export->left == 0 || level_of(export, full_after) < export->level)
        return;
    export->left--;
    add_number(&export->clients, key->words[0]);
    add_number(&export->clients, key->words[1]);
    add_number(&export->clients, full_after);
}

static void add_table(void *userdata, const struct route_config *route, const struct rate_limit_config *limit,
                      struct rate_table *table)
{
    struct export *export = userdata;
    _cleanup_strbuf_ struct strbuf name = STRBUF_INIT;

    export->fill_time = rate_fill_time(&limit->rate);
    export->clients.size = 0;
    rate_table_each(table, export->now, add_client, export);
    if (export->clients.size == 0)
        return;
    name_table(&name, route, limit);
    /* What is no UTF-8 cannot be told, and starts anew. */
    json_object_set_new(export->tables, strbuf_string(&name),
                        json_stringn(export->clients.data, export->clients.size));
}

json_t *rate_limits_export(const struct rate_limits *limits, bool with_clients, usec_t now)
{
    struct strbuf secret = STRBUF_INIT;
    json_t *document = json_object();

    add_number(&secret, limits->secret.words[0]);
    add_number(&secret, limits->secret.words[1]);
    json_object_set_new(document, "secret", json_stringn(secret.data, secret.size));
    explicit_bzero(secret.data, secret.size);
    strbuf_deinit(&secret);

    if (!with_clients)
        return document;
    struct export export = {.now = now, .left = RATE_TRANSFER_MAX, .tables = json_object()};
    each_limit(limits, count_clients, &export);
    choose_level(&export);
    each_limit(limits, add_table, &export);
    json_object_set_new(document, "tables", export.tables);
    strbuf_deinit(&export.clients);
    return document;
}

/* ---- in ---------------------------------------------------------------------------------------------- */

static bool read_secret(const json_t *document, struct siphash_secret *ret)
{
    const json_t *text = json_object_get(document, "secret");
    struct siphash_secret secret;
    if (json_string_length(text) != 2 * NUMBER_SIZE ||
        !read_number(json_string_value(text), &secret.words[0]) ||
        !read_number(json_string_value(text) + NUMBER_SIZE, &secret.words[1]))
        return false;
    *ret = secret;
    return true;
}

void rate_limits_import_secret(struct rate_limits *limits, const json_t *document)
{
    (void)read_secret(document, &limits->secret);
}

struct import {
    usec_t now;
    const json_t *tables;
};

static void take_table(void *userdata, const struct route_config *route,
                       const struct rate_limit_config *limit, struct rate_table *table)
{
    const struct import *import = userdata;
    _cleanup_strbuf_ struct strbuf name = STRBUF_INIT;

    name_table(&name, route, limit);
    const json_t *clients = json_object_get(import->tables, strbuf_string(&name));
    const size_t n = MIN(json_string_length(clients) / CLIENT_SIZE, (size_t)RATE_TRANSFER_MAX);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(clients) + i * CLIENT_SIZE;
        struct siphash key;
        usec_t full_after;
        if (!read_number(text, &key.words[0]) || !read_number(text + NUMBER_SIZE, &key.words[1]) ||
            !read_number(text + 2 * NUMBER_SIZE, &full_after))
            return;
        rate_table_drain(table, &key, full_after, import->now);
    }
}

void rate_limits_import(struct rate_limits *limits, const json_t *document, usec_t now)
{
    struct import import = {.now = now, .tables = json_object_get(document, "tables")};
    struct siphash_secret secret;

    if (!read_secret(document, &secret) || memcmp(&secret, &limits->secret, sizeof(secret)) != 0)
        return;
    each_limit(limits, take_table, &import);
}
