#include "config/config.h"

#include "config/build.h"
#include "config/draft.h"
#include "config/files.h"

DEFINE_CLEANUP(struct config *, cleanup_config, config_free)

int config_load(const struct config_source *source, struct config **ret, struct config_report *report)
{
    const size_t errors_before = report->n_errors;
    _cleanup_(cleanup_config)
    struct config *config = xcalloc(1, sizeof(*config));
    struct draft draft;

    config->files = config_files_list(source, report);
    draft_init(&draft, report);
    for (char **file = config->files; *file; file++) {
        _cleanup_free_ char *data = NULL;
        size_t size;
        if (config_file_read(*file, &data, &size, report))
            draft_read(&draft, *file, data, size);
    }
    config_build(&draft, config);
    draft_deinit(&draft);

    if (report->n_errors > errors_before)
        return -EBADMSG;
    *ret = TAKE_PTR(config);
    return 0;
}

/* conf.d beside a file; the caller frees it. */
static char *directory_beside(const char *file)
{
    const char *slash = strrchr(file, '/');
    struct strbuf path = STRBUF_INIT;

    if (slash)
        strbuf_add(&path, file, (size_t)(slash - file) + 1);
    strbuf_add_string(&path, "conf.d");
    return strbuf_steal(&path);
}

int config_load_default(const char *file, struct config **ret, struct config_report *report)
{
    static const char *const installed[] = {
        "/etc/holdfast/conf.d",
        "/run/holdfast/conf.d",
        "/usr/lib/holdfast/conf.d",
        NULL,
    };

    if (!file) {
        const struct config_source source = {CONFIG_FILE_DEFAULT, installed};
        return config_load(&source, ret, report);
    }
    _cleanup_free_ char *directory = directory_beside(file);
    const char *const directories[] = {directory, NULL};
    const struct config_source source = {file, directories};
    return config_load(&source, ret, report);
}

static void listener_deinit(struct listener_config *listener)
{
    for (size_t i = 0; i < listener->n_certificates; i++) {
        free(listener->certificates[i].certificate);
        free(listener->certificates[i].key);
        free(listener->certificates[i].ocsp);
    }
    free(listener->certificates);
    free(listener->client_ca);
    free(listener->client_crl);
    prefix_access_deinit(&listener->access);
    prefix_set_deinit(&listener->trusted_proxies);
    prefix_set_deinit(&listener->proxy_protocol_from);
    free(listener->name);
}

void target_deinit(struct target_config *target)
{
    free(target->address.text);
    free(target->unit);
}

static void upstream_free(struct upstream_config *upstream)
{
    for (size_t i = 0; i < upstream->n_targets; i++)
        target_deinit(&upstream->targets[i]);
    free(upstream->targets);
    free(upstream->balance.hash_name);
    free(upstream->sticky);
    free(upstream->unit);
    free(upstream->health.path);
    free(upstream->name);
    free(upstream);
}

static void route_free(struct route_config *route)
{
    prefix_access_deinit(&route->access);
    for (size_t i = 0; i < route->n_rate_limits; i++)
        rate_limit_deinit(&route->rate_limits[i]);
    free(route->rate_limits);
    free(route->files.root);
    strv_free(route->files.index);
    free(route->respond.body);
    free(route->respond.content_type);
    free(route->respond.location);
    free(route->pattern);
    free(route->host);
    free(route->path);
    free(route);
}

static void check_deinit(struct check_config *check)
{
    free(check->target);
    free(check->address.text);
    free(check->http_host);
    free(check->http_path);
    free(check->name);
}

struct config *config_free(struct config *config)
{
    if (!config)
        return NULL;
    for (size_t i = 0; i < config->n_listeners; i++)
        listener_deinit(&config->listeners[i]);
    for (size_t i = 0; i < config->n_upstreams; i++)
        upstream_free(config->upstreams[i]);
    for (size_t i = 0; i < config->n_routes; i++)
        route_free(config->routes[i]);
    for (size_t i = 0; i < config->n_checks; i++)
        check_deinit(&config->checks[i]);
    free(config->listeners);
    free(config->upstreams);
    free(config->routes);
    free(config->checks);
    free(config->gateway.state_directory);
    free(config->gateway.temporary_directory);
    strv_free(config->files);
    free(config);
    return NULL;
}
