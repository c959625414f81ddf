#include "config/build_route.h"

#include <sys/stat.h>

#include "config/address.h"
#include "router/method.h"
#include "util/suggest.h"

const struct setting *section_require_one(const struct draft *draft, const struct section *section,
                                          const char *const *keys, const char *accepted)
{
    const struct setting *found = NULL;

    for (; *keys; keys++) {
        const struct setting *setting = section_setting(section, *keys);
        if (setting && found)
            section_error(draft, section, setting, accepted,
                          "only one of these may be given, and %s= is at %s:%u", found->option->key,
                          found->place.file, found->place.line);
        else if (setting)
            found = setting;
    }
    if (!found)
        section_error(draft, section, NULL, accepted, "exactly one of these must be given");
    return found;
}

/* Splits "[host]/path" and lower-cases the host. */
static void split_pattern(const struct draft *draft, const struct section *section,
                          struct route_config *route)
{
    const char *slash = strchr(section->name, '/');
    size_t host_size = slash ? (size_t)(slash - section->name) : strlen(section->name);

    route->pattern = xstrdup(section->name);
    route->path = xstrdup(slash ? slash : "/");
    route->host = xstrndup(section->name, host_size);
    for (char *c = route->host; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');

    static const char accepted[] =
        "a path, or a host or *.suffix and a path: /api, shop.example.com/, *.example.com/a";
    const char *host = route->host;
    bool is_suffix = strncmp(host, "*.", 2) == 0;
    if (!slash)
        section_error(draft, section, NULL, accepted, "the pattern has no path");
    else if (strchr(host, ':'))
        section_error(draft, section, NULL, accepted,
                      "a host is written without a port here: it holds for all of them");
    else if (*host && !host_name_is_valid(is_suffix ? host + 2 : host))
        section_error(draft, section, NULL, accepted, "\"%s\" is not a host", host);
    for (const char *p = route->path; *p; p++) {
        if ((unsigned char)*p <= 0x20 || *p == 0x7f || strchr("?#%", *p)) {
            section_error(draft, section, NULL, "visible characters but ?, # and %, none of them escaped",
                          "a character that no path contains");
            break;
        }
    }
}

static void resolve_upstream(const struct draft *draft, const struct section *section,
                             const struct setting *setting, const struct config *config,
                             struct route_config *route)
{
    const struct section *wanted = draft_find(draft, SECTION_UPSTREAM, setting->value);
    _cleanup_strbuf_ struct strbuf known = STRBUF_INIT;
    struct suggestion suggestion;
    const size_t known_max = 20; /* names that are listed */

    if (wanted) {
        route->upstream = wanted->object;
        return;
    }
    suggest_init(&suggestion, setting->value);
    for (size_t i = 0; i < config->n_upstreams; i++) {
        suggest_consider(&suggestion, config->upstreams[i]->name);
        if (i < known_max)
            strbuf_addf(&known, "%s%s", i > 0 ? ", " : "", config->upstreams[i]->name);
        else if (i == known_max)
            strbuf_add_string(&known, ", …");
    }
    if (config->n_upstreams == 0)
        strbuf_add_string(&known, "there is no [Upstream …] section at all");
    if (suggestion.best)
        section_error(draft, section, setting, strbuf_string(&known),
                      "there is no such upstream, is %s meant?", suggestion.best);
    else
        section_error(draft, section, setting, strbuf_string(&known), "there is no such upstream");
}

static void check_root(const struct draft *draft, const struct section *section,
                       const struct setting *setting, const struct route_config *route)
{
    struct stat st;

    if (!route->files.root)
        return; /* not a path, which was reported */
    if (stat(route->files.root, &st) < 0)
        section_error(draft, section, setting, setting->option->accepted, "%s", strerror(errno));
    else if (!S_ISDIR(st.st_mode))
        section_error(draft, section, setting, setting->option->accepted, "not a directory");
    else if (access(route->files.root, X_OK) < 0)
        section_error(draft, section, setting, NULL, "the directory may not be entered: %s", strerror(errno));
}

/* Options that belong to one kind of route, and are a mistake on every other. */
static void check_kind_options(const struct draft *draft, const struct section *section, const char *kind)
{
    static const struct {
        const char *key, *kind;
    } options[] = {
        {"StaticIndex", "Static"},
        {"StaticSymlinks", "Static"},
        {"RespondType", "Respond"},
        {"RequestTimeoutSec", "Upstream"},
        {"ReplayIdempotencyKey", "Upstream"},
        {"ClientCertificateFields", "Upstream"},
        {"UpstreamHeaders", "Upstream"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct setting *setting = section_setting(section, options[i].key);
        if (setting && !streq(options[i].kind, kind))
            section_error(draft, section, setting, NULL, "this means something with %s= only",
                          options[i].kind);
    }
}

#define RATE_LIMITS_SIZE_MAX (UINT64_C(1) << 30)

/* What all tables may have together is bounded, since nobody adds it up. */
static void number_rate_limits(struct draft *draft, const struct section *section, struct config *config,
                               struct route_config *route)
{
    const uint64_t each = (uint64_t)config->gateway.rate_clients * RATE_LIMIT_CLIENT_SIZE;
    const uint64_t before = config->n_rate_limits * each;

    for (size_t i = 0; i < route->n_rate_limits; i++)
        route->rate_limits[i].index = (unsigned)config->n_rate_limits++;
    if (before <= RATE_LIMITS_SIZE_MAX && config->n_rate_limits * each > RATE_LIMITS_SIZE_MAX)
        section_error(draft, section, section_setting(section, "RateLimit"),
                      "fewer RateLimit=, or less RateLimitClients= in [Gateway]",
                      "with this, the tables of all rate limits together are larger than 1G");
}

static void build_route(struct draft *draft, const struct section *section, const struct config *config,
                        struct route_config *route)
{
    static const char *const kinds[] = {"Upstream", "Static", "Respond", "Redirect", NULL};

    split_pattern(draft, section, route);
    if (!section_setting(section, "Methods"))
        route->methods = METHOD_ALL;
    if (!section_setting(section, "MaxBodySize"))
        route->max_body_size = config->gateway.max_body_size;

    const struct setting *setting =
        section_require_one(draft, section, kinds, "Upstream=, Static=, Respond= or Redirect=");
    if (!setting)
        return;
    const char *kind = setting->option->key;
    check_kind_options(draft, section, kind);
    if (streq(kind, "Upstream")) {
        route->kind = ROUTE_UPSTREAM;
        resolve_upstream(draft, section, setting, config, route);
    } else if (streq(kind, "Static")) {
        route->kind = ROUTE_STATIC;
        check_root(draft, section, setting, route);
    } else {
        route->kind = streq(kind, "Respond") ? ROUTE_RESPOND : ROUTE_REDIRECT;
    }
}

void build_routes(struct draft *draft, struct config *config)
{
    size_t cursor = 0;
    struct section *section;

    config->routes = xcalloc(draft->n_of_kind[SECTION_ROUTE], sizeof(*config->routes));
    while ((section = draft_next(draft, SECTION_ROUTE, &cursor))) {
        struct route_config *route = section_take(section);
        route->index = (unsigned)config->n_routes;
        route->place = section->place;
        config->routes[config->n_routes++] = route;
        build_route(draft, section, config, route);
        number_rate_limits(draft, section, config, route);
    }
    if (config->n_routes == 0)
        config_report_add(draft->report, false, (struct config_place){config->files[0], 0}, NULL, NULL, NULL,
                          NULL, "there is no [Route …]: every request gets a 404");
}
