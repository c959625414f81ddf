/* RateLimit=: how many requests, in what time, of whom. */

#include "config/values.h"
#include "config/words.h"
#include "util/parse.h"

static const struct {
    const char *name;
    usec_t length;
} periods[] = {
    {"s", USEC_PER_SEC},
    {"min", 60 * USEC_PER_SEC},
    {"h", RATE_PERIOD_MAX},
};

static const char *parse_rate(const char *word, struct rate_limit_config *limit)
{
    const char *slash = strchr(word, '/');
    if (!slash)
        return "it begins with a number and a unit of time, as 100/s";
    _cleanup_free_ char *number = xstrndup(word, (size_t)(slash - word));
    uint64_t count;
    if (parse_u64(number, 1, RATE_COUNT_MAX, &count) < 0)
        return "the rate is 1 to 1000000";
    for (size_t i = 0; i < ARRAY_SIZE(periods); i++)
        if (streq(slash + 1, periods[i].name)) {
            limit->rate = (struct rate){
                .count = (uint32_t)count, .burst = (uint32_t)count, .period = periods[i].length};
            limit->unit = periods[i].name;
            return NULL;
        }
    return "the unit behind the slash is s, min or h";
}

/* What is wrong with it, empty when it is not known at all, or NULL. */
static const char *parse_word(const char *word, struct rate_limit_config *limit)
{
    if (strncmp(word, "burst=", 6) == 0) {
        uint64_t burst;
        if (parse_u64(word + 6, 1, RATE_COUNT_MAX, &burst) < 0)
            return "burst= is 1 to 1000000";
        limit->rate.burst = (uint32_t)burst;
        return NULL;
    }
    if (streq(word, "by=client"))
        set_string(&limit->header, NULL);
    else if (strncmp(word, "by=header:", 10) != 0)
        return strncmp(word, "by=", 3) == 0 ? "by= is client or header:NAME" : "";
    else if (token_is_valid(word + 10))
        set_string(&limit->header, xstrdup(word + 10));
    else
        return "behind by=header: stands the name of a field";
    return NULL;
}

void rate_limit_deinit(struct rate_limit_config *limit)
{
    free(limit->header);
    free(limit->text);
    free(limit->name);
}

static const char *parse_part(const char *word, void *object)
{
    struct rate_limit_config *limit = object;
    return limit->rate.count == 0 ? parse_rate(word, limit) : parse_word(word, limit);
}

static void name_limit(const struct route_config *route, struct rate_limit_config *limit)
{
    const char *base = limit->header ? limit->header : "client";
    struct strbuf name = STRBUF_INIT;
    size_t n = 1;

    for (size_t i = 0; i < route->n_rate_limits; i++) {
        const char *other = route->rate_limits[i].header;
        n += strcasecmp(other ? other : "client", base) == 0;
    }
    strbuf_add_string(&name, base);
    if (n > 1)
        strbuf_addf(&name, "-%zu", n);
    limit->name = strbuf_steal(&name);
}

/* What the whole of it is called. Returns what is wrong with having it, or NULL. */
static const char *complete_limit(const struct route_config *route, struct rate_limit_config *limit)
{
    struct strbuf text = STRBUF_INIT;

    strbuf_addf(&text, "%u/%s burst=%u by=%s%s", limit->rate.count, limit->unit, limit->rate.burst,
                limit->header ? "header:" : "client", limit->header ? limit->header : "");
    limit->text = strbuf_steal(&text);
    name_limit(route, limit);
    if (route->n_rate_limits == ROUTE_RATE_LIMITS_MAX)
        return "a route has at most 8 of these";
    for (size_t i = 0; i < route->n_rate_limits; i++)
        if (streq(route->rate_limits[i].text, limit->text))
            return "the route has this limit already";
    return NULL;
}

static bool parse_rate_limit(const struct config_option *option, const char *value, void *member,
                             struct strbuf *error)
{
    struct route_config *route =
        container_of((struct rate_limit_config **)member, struct route_config, rate_limits);
    struct rate_limit_config limit = {0};
    bool is_good = parse_words(value, parse_part, &limit, error);
    const char *problem = is_good ? complete_limit(route, &limit) : NULL;

    if (problem) {
        strbuf_add_string(error, problem);
        is_good = false;
    }
    if (!is_good) {
        rate_limit_deinit(&limit);
        return false;
    }
    route->rate_limits = xrealloc(route->rate_limits, route->n_rate_limits + 1, sizeof(limit));
    route->rate_limits[route->n_rate_limits++] = limit;
    return true;
}

static void reset_rate_limits(void *member)
{
    struct route_config *route =
        container_of((struct rate_limit_config **)member, struct route_config, rate_limits);

    for (size_t i = 0; i < route->n_rate_limits; i++)
        rate_limit_deinit(&route->rate_limits[i]);
    free(route->rate_limits);
    route->rate_limits = NULL;
    route->n_rate_limits = 0;
}
const struct option_type option_rates = {parse_rate_limit, reset_rate_limits};
