#include "gateway/plan.h"

static int load_tls(struct plan *plan, struct config_report *report)
{
    const struct config *config = plan->config;
    int result = 0;
    plan->tls = xcalloc(config->n_listeners, sizeof(*plan->tls));
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct listener_config *listener = &config->listeners[i];
        if (listener->protocol != LISTENER_HTTPS)
            continue;
        const int r = tls_config_new(&plan->tls[i], listener, report);
        if (r < 0)
            result = r;
    }
    return result;
}

int plan_load(struct plan *plan, const char *config_file, struct config_report *report)
{
    *plan = (struct plan){0};
    int r = config_load_default(config_file, &plan->config, report);
    if (r < 0)
        return r;
    /* Each part reports on its own, so that all problems are seen at once. */
    const int router_result = router_new(&plan->router, plan->config, report);
    const int tls_result = load_tls(plan, report);
    r = router_result < 0 ? router_result : tls_result;
    if (r < 0)
        plan_deinit(plan);
    return r;
}

void plan_deinit(struct plan *plan)
{
    for (size_t i = 0; plan->tls && i < plan->config->n_listeners; i++)
        tls_config_free(plan->tls[i]);
    free(plan->tls);
    router_free(plan->router);
    config_free(plan->config);
    *plan = (struct plan){0};
}

static void describe(struct strbuf *out, size_t n, const char *what, const char *plural)
{
    strbuf_addf(out, "%s%zu %s%s", out->size > 0 ? ", " : "", n, what, n == 1 ? "" : plural);
}

void plan_describe(const struct plan *plan, struct strbuf *out)
{
    struct strbuf parts = STRBUF_INIT;
    describe(&parts, plan->config->n_listeners, "listener", "s");
    describe(&parts, plan->config->n_routes, "route", "s");
    describe(&parts, plan->config->n_upstreams, "upstream", "s");
    describe(&parts, plan->config->n_checks, "check", "s");
    strbuf_add(out, parts.data, parts.size);
    strbuf_deinit(&parts);
}
