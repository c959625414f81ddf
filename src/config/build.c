#include "config/build.h"

#include "config/build_route.h"
#include "config/values.h"

/* Moves an object that is one of many in an array. */
static void section_take_copy(struct section *section, void *to, size_t size)
{
    memcpy(to, section->object, size);
    free(TAKE_PTR(section->object));
}

/* Reports each setting of `keys` that is there though it means nothing. */
static void refuse_settings(const struct draft *draft, const struct section *section, const char *const *keys,
                            const char *why)
{
    for (; *keys; keys++) {
        const struct setting *setting = section_setting(section, *keys);
        if (setting)
            section_error(draft, section, setting, NULL, "%s", why);
    }
}

/* Gateway */

/* The directory that systemd made for us (StateDirectory=), the first of several. */
static char *find_state_directory(void)
{
    const char *directory = getenv("STATE_DIRECTORY");

    if (!directory || directory[0] != '/')
        return xstrdup("/var/lib/holdfast");
    return xstrndup(directory, strcspn(directory, ":"));
}

/* Not /tmp, which is often memory. */
static char *find_temporary_directory(void)
{
    const char *directory = getenv("TMPDIR");

    return xstrdup(directory && directory[0] == '/' ? directory : "/var/tmp");
}

static void build_gateway(struct draft *draft, struct config *config)
{
    struct section *section = draft_find(draft, SECTION_GATEWAY, "");

    section_take_copy(section, &config->gateway, sizeof(config->gateway));
    config->gateway.state_directory = find_state_directory();
    config->gateway.temporary_directory = find_temporary_directory();
    config->gateway.place = section->place;
}

/* Listeners */

/* The n-th setting of a key, in the order in which they were written. */
static const struct setting *nth_setting(const struct section *section, const char *key, size_t n)
{
    for (size_t i = 0; i < section->n_settings; i++)
        if (streq(section->settings[i].option->key, key) && n-- == 0)
            return &section->settings[i];
    return NULL;
}

static void pair_certificates(const struct draft *draft, const struct section *section,
                              struct listener_config *listener)
{
    _cleanup_strbuf_ struct strbuf ignored = STRBUF_INIT; /* the values were checked when they were read */

    for (size_t n = 0;; n++) {
        const struct setting *certificate = nth_setting(section, "TLSCertificate", n);
        const struct setting *key = nth_setting(section, "TLSKey", n);

        if (!certificate && !key)
            break;
        if (!key) {
            section_error(draft, section, certificate, NULL, "there is no TLSKey= for this certificate");
            break;
        }
        if (!certificate) {
            section_error(draft, section, key, NULL, "there is no TLSCertificate= for this key");
            break;
        }
        listener->certificates = xrealloc(listener->certificates, n + 1, sizeof(*listener->certificates));
        listener->certificates[n] = (struct certificate_config){
            .certificate = credential_path(certificate->value, &ignored),
            .key = credential_path(key->value, &ignored),
            .certificate_place = certificate->place,
            .key_place = key->place,
        };
        listener->n_certificates = n + 1;
    }
}

/* There may be fewer responses than certificates, and "-" stands for none. */
static void add_ocsp_responses(const struct draft *draft, const struct section *section,
                               struct listener_config *listener)
{
    _cleanup_strbuf_ struct strbuf ignored = STRBUF_INIT;
    const struct setting *response;

    for (size_t n = 0; (response = nth_setting(section, "TLSOCSPResponse", n)); n++) {
        if (n >= listener->n_certificates) {
            section_error(draft, section, response, NULL,
                          "there is no TLSCertificate= for this OCSP response");
            break;
        }
        if (streq(response->value, "-"))
            continue;
        listener->certificates[n].ocsp = credential_path(response->value, &ignored);
        listener->certificates[n].ocsp_place = response->place;
    }
}

static void check_tls(const struct draft *draft, const struct section *section,
                      const struct listener_config *listener)
{
    static const char *const tls_keys[] = {
        "TLSCertificate",     "TLSKey",      "TLSOCSPResponse", "TLSMinimumVersion", "TLSRequireSNI",
        "TLSTicketRotateSec", "TLSClientCA", "TLSClientCRL",    "TLSClientVerify",   NULL};
    const struct setting *verify = section_setting(section, "TLSClientVerify");
    const struct setting *authority = section_setting(section, "TLSClientCA");

    if (listener->protocol != LISTENER_HTTPS) {
        refuse_settings(draft, section, tls_keys, "this means something with Protocol=https only");
        return;
    }
    if (!section_setting(section, "TLSCertificate") && !section_setting(section, "TLSKey"))
        section_error(draft, section, section_setting(section, "Protocol"), NULL,
                      "https needs TLSCertificate= and TLSKey=");
    if (listener->client_verify != CLIENT_VERIFY_NONE && !authority)
        section_error(draft, section, verify, NULL,
                      "TLSClientCA= is missing: nobody vouches for the clients");
    if (listener->client_verify == CLIENT_VERIFY_NONE && authority)
        config_report_add(draft->report, false, authority->place, section->title, "TLSClientCA",
                          authority->value, NULL,
                          "clients are not asked for a certificate unless TLSClientVerify= says so");
    if (section_setting(section, "TLSClientCRL") && !authority)
        section_error(draft, section, section_setting(section, "TLSClientCRL"), NULL,
                      "TLSClientCA= is missing: nobody vouches for the clients");
}

static void check_proxy_protocol(const struct draft *draft, const struct section *section,
                                 const struct listener_config *listener)
{
    const struct setting *from = section_setting(section, "ProxyProtocolFrom");

    if (listener->proxy_protocol && !from)
        section_error(draft, section, section_setting(section, "ProxyProtocol"),
                      "ProxyProtocolFrom=ADDRESSES",
                      "ProxyProtocolFrom= is missing: who may say whose connections these are?");
    if (!listener->proxy_protocol && from)
        section_error(draft, section, from, NULL, "this means something with ProxyProtocol=yes only");
}

static void build_listeners(struct draft *draft, struct config *config)
{
    size_t cursor = 0;
    struct section *section;

    config->listeners = xcalloc(draft->n_of_kind[SECTION_LISTENER], sizeof(*config->listeners));
    while ((section = draft_next(draft, SECTION_LISTENER, &cursor))) {
        struct listener_config *listener = &config->listeners[config->n_listeners];
        section_take_copy(section, listener, sizeof(*listener));
        listener->name = xstrdup(section->name);
        listener->index = (unsigned)config->n_listeners++;
        listener->place = section->place;

        if (streq(listener->name, "admin"))
            section_error(draft, section, NULL, "another name",
                          "the socket of this name is that of the admin API, which is not configured here");
        pair_certificates(draft, section, listener);
        add_ocsp_responses(draft, section, listener);
        check_tls(draft, section, listener);
        check_proxy_protocol(draft, section, listener);
        if (!section_setting(section, "IdleTimeoutSec"))
            listener->idle_timeout = config->gateway.idle_timeout;
        if (!section_setting(section, "MaxBodySize")) {
            listener->max_body_size = config->gateway.max_body_size;
            for (size_t i = 0; i < config->n_routes; i++)
                listener->max_body_size = MAX(listener->max_body_size, config->routes[i]->max_body_size);
        }
    }
    if (config->n_listeners == 0)
        config_report_add(draft->report, true, (struct config_place){config->files[0], 0}, NULL, NULL, NULL,
                          "a [Listener NAME] section for each FileDescriptorName= of the socket units",
                          "there is no listener");
}

/* Upstreams */

/* What is a mistake on an upstream as a whole. */
static void check_upstream(const struct draft *draft, const struct section *section,
                           struct upstream_config *upstream)
{
    static const char *const breaker_keys[] = {
        "BreakerWindow",      "BreakerMinimumCalls", "BreakerFailureRate",   "BreakerSlowCallRate",
        "BreakerSlowCallSec", "BreakerOpenSec",      "BreakerHalfOpenCalls", NULL};
    static const char *const check_keys[] = {"HealthIntervalSec", "HealthTimeoutSec", "HealthRise",
                                             "HealthFall",        "HealthStartSec",   NULL};
    static const char *const http_keys[] = {"HealthPath", "HealthStatus", NULL};
    static const char *const hold_keys[] = {"HoldMax", "HoldMaxSize", "HoldRate", NULL};

    if (!section_setting(section, "Target"))
        section_error(draft, section, NULL, "Target=ADDRESS, at least once", "the upstream has no target");
    if (!section_setting(section, "HealthCheck"))
        upstream->health.check = upstream->health.path ? HEALTH_CHECK_HTTP : HEALTH_CHECK_OFF;
    if (upstream->health.check == HEALTH_CHECK_HTTP && !upstream->health.path)
        section_error(draft, section, section_setting(section, "HealthCheck"), NULL,
                      "http needs HealthPath=");
    if (upstream->health.check != HEALTH_CHECK_HTTP)
        refuse_settings(draft, section, http_keys, "this means something with HealthCheck=http only");
    if (upstream->health.check == HEALTH_CHECK_OFF)
        refuse_settings(draft, section, check_keys,
                        "this means something with HealthPath=, or HealthCheck=connect, only");
    if (upstream->breaker.window == BREAKER_OFF)
        refuse_settings(draft, section, breaker_keys,
                        "this means something with Breaker=count or Breaker=time only");
    if (upstream->hold == 0)
        refuse_settings(draft, section, hold_keys, "nothing is held with HoldSec=0");
}

static void complete_targets(struct upstream_config *upstream)
{
    for (size_t i = 0; i < upstream->n_targets; i++)
        if (!upstream->targets[i].unit && upstream->unit)
            upstream->targets[i].unit = xstrdup(upstream->unit);
    upstream->n_slots = upstream->n_targets + UPSTREAM_SLOTS_ADDED;
    for (size_t i = 0; i < upstream->n_targets; i++)
        if (upstream->targets[i].address.size == 0)
            upstream->n_slots = upstream->n_targets + UPSTREAM_SLOTS_NAMED;
}

static void build_upstreams(struct draft *draft, struct config *config)
{
    size_t cursor = 0;
    struct section *section;

    config->upstreams = xcalloc(draft->n_of_kind[SECTION_UPSTREAM], sizeof(*config->upstreams));
    while ((section = draft_next(draft, SECTION_UPSTREAM, &cursor))) {
        struct upstream_config *upstream = section_take(section);
        upstream->name = xstrdup(section->name);
        upstream->index = (unsigned)config->n_upstreams;
        upstream->place = section->place;
        config->upstreams[config->n_upstreams++] = upstream;

        check_upstream(draft, section, upstream);
        complete_targets(upstream);
    }
}

/* Checks */

static void build_checks(struct draft *draft, struct config *config)
{
    static const char *const kinds[] = {"Connect", "Http", "Path", "Unit", NULL};
    size_t cursor = 0;
    struct section *section;

    config->checks = xcalloc(draft->n_of_kind[SECTION_CHECK], sizeof(*config->checks));
    while ((section = draft_next(draft, SECTION_CHECK, &cursor))) {
        struct check_config *check = &config->checks[config->n_checks++];
        section_take_copy(section, check, sizeof(*check));
        check->name = xstrdup(section->name);
        check->place = section->place;
        section_require_one(draft, section, kinds, "Connect=, Http=, Path= or Unit=");
    }
}

void config_build(struct draft *draft, struct config *config)
{
    /* Each looks at what was built before it: a route names its upstream, a listener takes what its routes
     * need. */
    build_gateway(draft, config);
    build_upstreams(draft, config);
    build_routes(draft, config);
    build_listeners(draft, config);
    build_checks(draft, config);
}
