#include "config/options.h"

#include "config/address.h"
#include "config/config.h"
#include "config/values.h"

static const char *const access_logs[] = {"off", "journal", "stderr", NULL};
static const char *const protocols[] = {"http", "https", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const client_verifications[] = {"none", "optional", "required", NULL};
static const char *const client_fields[] = {"none", "names", "all", NULL};
static const char *const health_checks[] = {"off", "connect", "http", NULL};
static const char *const breaker_windows[] = {"off", "count", "time", NULL};
static const char *const symlinks[] = {"never", "beneath", "follow", NULL};

#define GATEWAY(member) offsetof(struct gateway_config, member)
#define LISTENER(member) offsetof(struct listener_config, member)
#define UPSTREAM(member) offsetof(struct upstream_config, member)
#define ROUTE(member) offsetof(struct route_config, member)
#define CHECK(member) offsetof(struct check_config, member)

#define BOOLEAN "yes or no"
#define RATE "bytes a second, with K, M, G or T as suffix; 0: any rate will do"
#define SIZE "bytes, with K, M, G or T as suffix, or infinity"
#define TIMEOUT "a time span of at least 1ms, as 5s or 1min 30s, or infinity"
#define COUNT "1 to 1000000"
#define LIMIT "1 to 1000000, or infinity"
#define PERCENT "1 to 100, in percent"
#define FINITE "a time span of at least 1ms, as 5s or 1min 30s"
#define RATE_LIMIT_ACCEPTED \
    "1 to 1000000 with /s, /min or /h, then burst=1 to 1000000 and by=client or by=header:NAME if need be"
#define CERTIFICATE "an absolute path, or the name of a systemd credential"

/* clang-format off: a row is read as a row */
static const struct config_option options[] = {
    {SECTION_GATEWAY, "Threads", &option_threads, GATEWAY(threads), 0, NULL, "auto, or 1 to 256", "auto",
     "worker threads; auto is one per usable CPU"},
    {SECTION_GATEWAY, "DrainSec", &option_drain, GATEWAY(drain), 0, NULL, "auto, or a time span as 30s",
     "auto", "how long running requests may take at stop; auto is the unit's TimeoutStopSec less a margin"},
    {SECTION_GATEWAY, "QuietSec", &option_pause, GATEWAY(quiet), 0, NULL,
     "a time span of at most 1h, as 300ms", "300ms",
     "how long idle connections may still bring a request at stop"},
    {SECTION_GATEWAY, "AccessLog", &option_choice, GATEWAY(access_log), 0, access_logs,
     "off, journal or stderr", "off", "where a record of each request goes"},
    {SECTION_GATEWAY, "MaxBodySize", &option_size, GATEWAY(max_body_size), 0, NULL, SIZE, "64M",
     "largest request body, where neither listener nor route says otherwise"},
    {SECTION_GATEWAY, "BodyMemorySize", &option_size, GATEWAY(body_memory_size), 0, NULL, SIZE, "1M",
     "how much of a request's body is kept in memory; a larger one goes to disk"},
    {SECTION_GATEWAY, "MaxBufferedSize", &option_size, GATEWAY(max_buffered_size), 0, NULL, SIZE, "1G",
     "how much all request bodies together may take, in memory and on disk"},
    {SECTION_GATEWAY, "MaxHeadSize", &option_head_size, GATEWAY(max_head_size), 0, NULL,
     "bytes from 1K to 1M, with K or M as suffix", "16K",
     "largest head of a request: its request line and header fields"},
    {SECTION_GATEWAY, "MaxHeaders", &option_headers, GATEWAY(max_headers), 0, NULL, "10 to 1000", "100",
     "most header fields of a request"},
    {SECTION_GATEWAY, "MaxConnections", &option_places, GATEWAY(max_connections), 0, NULL,
     "auto, or 1 to 1000000", "auto", "client connections at once; auto is by the limit of open files"},
    {SECTION_GATEWAY, "HandshakeTimeoutSec", &option_timeout, GATEWAY(handshake_timeout), 0, NULL, TIMEOUT,
     "10s", "how long a TLS handshake may take"},
    {SECTION_GATEWAY, "RateLimitClients", &option_clients, GATEWAY(rate_clients), 0, NULL, "1024 to 1048576",
     "16384", "how many clients each RateLimit= knows apart; each takes 32 bytes"},
    {SECTION_GATEWAY, "HeadTimeoutSec", &option_timeout, GATEWAY(head_timeout), 0, NULL, TIMEOUT, "10s",
     "from the first byte of a request's head to its last"},
    {SECTION_GATEWAY, "BodyTimeoutSec", &option_timeout, GATEWAY(body_timeout), 0, NULL, TIMEOUT, "30s",
     "how long a request's body may not come, or come too slowly"},
    {SECTION_GATEWAY, "BodyMinRate", &option_rate, GATEWAY(body_min_rate), 0, NULL, RATE, "240",
     "how much of a request's body must come in a second, on average over BodyTimeoutSec="},
    {SECTION_GATEWAY, "IdleTimeoutSec", &option_timeout, GATEWAY(idle_timeout), 0, NULL, TIMEOUT, "1min",
     "how long a connection is kept without a request"},
    {SECTION_GATEWAY, "SendTimeoutSec", &option_timeout, GATEWAY(send_timeout), 0, NULL, TIMEOUT, "1min",
     "how long a client may not take a response that waits for it, or too slowly"},
    {SECTION_GATEWAY, "SendMinRate", &option_rate, GATEWAY(send_min_rate), 0, NULL, RATE, "240",
     "how much of a response it must take in a second, on average over SendTimeoutSec="},
    {SECTION_GATEWAY, "ReloadTimeoutSec", &option_finite, GATEWAY(reload_timeout), 0, NULL, FINITE, "1min",
     "how long the successor may take at a reload until it is ready"},
    {SECTION_GATEWAY, "MaxGenerations", &option_generations, GATEWAY(max_generations), 0, NULL, "2 to 64",
     "4", "how many generations may exist at once: the one that serves, and those that still drain"},

    {SECTION_LISTENER, "Protocol", &option_choice, LISTENER(protocol), 0, protocols, "http or https", "http",
     "what is spoken on the listener's sockets"},
    {SECTION_LISTENER, "TLSCertificate", &option_credential, LISTENER(certificates), OPTION_LIST, NULL,
     CERTIFICATE, NULL, "certificate chain (PEM, leaf first); one per TLSKey=, in order"},
    {SECTION_LISTENER, "TLSKey", &option_credential, LISTENER(certificates), OPTION_LIST, NULL, CERTIFICATE,
     NULL, "private key (PEM); one per TLSCertificate=, in order"},
    {SECTION_LISTENER, "TLSOCSPResponse", &option_staple, LISTENER(certificates), OPTION_LIST, NULL,
     CERTIFICATE ", or - for none", NULL, "OCSP response (DER) to staple; one per TLSCertificate=, in order"},
    {SECTION_LISTENER, "TLSMinimumVersion", &option_choice, LISTENER(tls_minimum), 0, tls_versions,
     "1.2 or 1.3", "1.2", "oldest TLS version that is spoken"},
    {SECTION_LISTENER, "TLSRequireSNI", &option_bool, LISTENER(tls_require_sni), 0, NULL, BOOLEAN, "no",
     "whether clients are refused that ask for no name that a certificate has"},
    {SECTION_LISTENER, "TLSTicketRotateSec", &option_ticket_time, LISTENER(ticket_lifetime), 0, NULL,
     "0, or a time span of 1s to 7d, as 12h", "12h",
     "how long a key seals session tickets, and how long these last; 0: no tickets"},
    {SECTION_LISTENER, "TLSClientCA", &option_credential_string, LISTENER(client_ca), 0, NULL, CERTIFICATE,
     NULL, "certificates (PEM) that vouch for clients"},
    {SECTION_LISTENER, "TLSClientCRL", &option_credential_string, LISTENER(client_crl), 0, NULL, CERTIFICATE,
     NULL, "revocation lists (PEM) of those who vouch for clients"},
    {SECTION_LISTENER, "TLSClientVerify", &option_choice, LISTENER(client_verify), 0, client_verifications,
     "none, optional or required", "none", "whether clients are asked for a certificate"},
    {SECTION_LISTENER, "HTTP2", &option_bool, LISTENER(http2), 0, NULL, BOOLEAN, "yes",
     "whether HTTP/2 is spoken beside HTTP/1.1"},
    {SECTION_LISTENER, "AllowFrom", &option_prefixes, LISTENER(access.allow), OPTION_LIST, NULL,
     PREFIXES_ACCEPTED, NULL, "the clients that are served, also those of DenyFrom=; alone: no others"},
    {SECTION_LISTENER, "DenyFrom", &option_prefixes, LISTENER(access.deny), OPTION_LIST, NULL,
     PREFIXES_ACCEPTED, NULL, "the clients whose connections are closed at once"},
    {SECTION_LISTENER, "TrustedProxies", &option_prefixes, LISTENER(trusted_proxies), OPTION_LIST, NULL,
     PREFIXES_ACCEPTED, NULL, "the proxies whose X-Forwarded and Forwarded fields are believed"},
    {SECTION_LISTENER, "ProxyProtocol", &option_bool, LISTENER(proxy_protocol), 0, NULL, BOOLEAN, "no",
     "whether each connection begins with a header of the PROXY protocol"},
    {SECTION_LISTENER, "ProxyProtocolFrom", &option_prefixes, LISTENER(proxy_protocol_from), OPTION_LIST,
     NULL, PREFIXES_ACCEPTED, NULL, "the proxies that may speak it, and nobody else may connect"},
    {SECTION_LISTENER, "MaxBodySize", &option_size, LISTENER(max_body_size), OPTION_DERIVED, NULL, SIZE,
     "the largest of [Gateway] and all routes",
     "largest request body on this listener, whatever its route allows"},
    {SECTION_LISTENER, "MaxConnections", &option_limit, LISTENER(max_connections), 0, NULL, LIMIT, "infinity",
     "client connections at once on this listener"},
    {SECTION_LISTENER, "MaxConnectionsPerSource", &option_limit, LISTENER(max_per_source), 0, NULL, LIMIT,
     "infinity", "of them, those of one client's address, or of its /64 with IPv6"},
    {SECTION_LISTENER, "IdleTimeoutSec", &option_timeout, LISTENER(idle_timeout), OPTION_DERIVED, NULL,
     TIMEOUT, "that of [Gateway]", "how long a connection is kept without a request"},

    {SECTION_UPSTREAM, "Target", &option_target, UPSTREAM(targets), OPTION_LIST, NULL,
     TARGET_ACCEPTED ", then weight=0 to 256 and unit=NAME.service if need be", NULL,
     "where the app listens; several share the requests"},
    {SECTION_UPSTREAM, "Unit", &option_unit, UPSTREAM(unit), 0, NULL, "the name of a unit, as app.service",
     NULL, "the systemd unit behind the targets that name none of their own"},
    {SECTION_UPSTREAM, "Balance", &option_balance, UPSTREAM(balance), 0, NULL,
     "round-robin, least-connections, random-two, hash client, hash header:NAME or hash cookie:NAME",
     "round-robin", "how requests are shared among the targets"},
    {SECTION_UPSTREAM, "Sticky", &option_token, UPSTREAM(sticky), 0, NULL, "the name of a cookie", NULL,
     "a cookie of ours that leads a client back to its target"},
    {SECTION_UPSTREAM, "SlowStartSec", &option_pause, UPSTREAM(slow_start), 0, NULL,
     "a time span of at most 1h, as 30s", "0", "how long a target that came up takes to get its whole share"},
    {SECTION_UPSTREAM, "MaxRequests", &option_limit, UPSTREAM(max_requests), 0, NULL, LIMIT, "infinity",
     "requests that a target has at once"},
    {SECTION_UPSTREAM, "MaxConnections", &option_limit, UPSTREAM(max_connections), 0, NULL, LIMIT, "infinity",
     "connections to a target, unused ones among them"},
    {SECTION_UPSTREAM, "HealthCheck", &option_choice, UPSTREAM(health.check), OPTION_DERIVED, health_checks,
     "off, connect or http", "http with HealthPath=, otherwise off",
     "how targets are asked for their health"},
    {SECTION_UPSTREAM, "HealthPath", &option_url_path, UPSTREAM(health.path), 0, NULL,
     "a path that begins with '/', without blanks", NULL,
     "what to ask a target for to learn whether it is well"},
    {SECTION_UPSTREAM, "HealthStatus", &option_statuses, UPSTREAM(health), 0, NULL,
     "a status from 100 to 599, or two with a dash between", "200-399", "which answers say that it is"},
    {SECTION_UPSTREAM, "HealthIntervalSec", &option_finite, UPSTREAM(health.interval), 0, NULL, FINITE, "5s",
     "from one check of a target to the next, give or take a tenth"},
    {SECTION_UPSTREAM, "HealthTimeoutSec", &option_finite, UPSTREAM(health.timeout), 0, NULL, FINITE, "2s",
     "how long a check may take"},
    {SECTION_UPSTREAM, "HealthRise", &option_count, UPSTREAM(health.rise), 0, NULL, COUNT, "1",
     "checks in a row that a target must pass to be up"},
    {SECTION_UPSTREAM, "HealthFall", &option_count, UPSTREAM(health.fall), 0, NULL, COUNT, "3",
     "checks in a row that a target must fail to be down"},
    {SECTION_UPSTREAM, "HealthStartSec", &option_pause, UPSTREAM(health.start_period), 0, NULL,
     "a time span of at most 1h, as 30s", "0",
     "how long failed checks of a target that has just come do not count"},
    {SECTION_UPSTREAM, "MaxFailures", &option_number, UPSTREAM(health.max_failures), 0, NULL, "0 to 1000000",
     "3", "requests in a row that a target must fail to be down; 0: they do not count"},
    {SECTION_UPSTREAM, "Breaker", &option_choice, UPSTREAM(breaker.window), 0, breaker_windows,
     "off, count or time", "off", "whether a circuit breaker guards each target, and over what it counts"},
    {SECTION_UPSTREAM, "BreakerWindow", &option_count, UPSTREAM(breaker.size), 0, NULL, COUNT, "100",
     "the last so many calls, or those of so many seconds"},
    {SECTION_UPSTREAM, "BreakerMinimumCalls", &option_count, UPSTREAM(breaker.minimum_calls), 0, NULL, COUNT,
     "100", "how many calls there must be before rates mean anything"},
    {SECTION_UPSTREAM, "BreakerFailureRate", &option_percent, UPSTREAM(breaker.failure_rate), 0, NULL,
     PERCENT, "50", "the share of failed calls that opens the breaker"},
    {SECTION_UPSTREAM, "BreakerSlowCallRate", &option_percent, UPSTREAM(breaker.slow_rate), 0, NULL, PERCENT,
     "100", "the share of slow calls that opens the breaker"},
    {SECTION_UPSTREAM, "BreakerSlowCallSec", &option_finite, UPSTREAM(breaker.slow_call), 0, NULL, FINITE,
     "1min", "how long a call takes that is slow"},
    {SECTION_UPSTREAM, "BreakerOpenSec", &option_finite, UPSTREAM(breaker.open), 0, NULL, FINITE, "1min",
     "how long an open breaker waits before it tries"},
    {SECTION_UPSTREAM, "BreakerHalfOpenCalls", &option_count, UPSTREAM(breaker.half_open), 0, NULL, COUNT,
     "10", "how many calls it then tries"},
    {SECTION_UPSTREAM, "HoldSec", &option_pause, UPSTREAM(hold), 0, NULL, "a time span of at most 1h, as 10s",
     "10s", "how long a request waits while no target is ready; 0: not at all"},
    {SECTION_UPSTREAM, "HoldMax", &option_count, UPSTREAM(hold_max), 0, NULL, COUNT, "10000",
     "how many requests may wait"},
    {SECTION_UPSTREAM, "HoldMaxSize", &option_size, UPSTREAM(hold_max_size), 0, NULL, SIZE, "64M",
     "how many bytes the requests that wait may have"},
    {SECTION_UPSTREAM, "HoldRate", &option_count, UPSTREAM(hold_rate), 0, NULL, COUNT, "2000",
     "how many of those that waited go out in a second"},
    {SECTION_UPSTREAM, "RetryBudget", &option_percent, UPSTREAM(retry_budget), 0, NULL, PERCENT, "20",
     "how many of the requests may be tried again"},
    {SECTION_UPSTREAM, "RetryMinimum", &option_number, UPSTREAM(retry_minimum), 0, NULL, "0 to 1000000", "10",
     "how many a second may be tried again in any case"},
    {SECTION_UPSTREAM, "MaxTries", &option_count, UPSTREAM(max_tries), 0, NULL, COUNT, "5",
     "how often a request is sent, at most"},
    {SECTION_UPSTREAM, "TryTimeoutSec", &option_timeout, UPSTREAM(try_timeout), 0, NULL, TIMEOUT, "infinity",
     "how long one target has for the head of a response, before another is asked"},
    {SECTION_UPSTREAM, "ConnectTimeoutSec", &option_timeout, UPSTREAM(connect_timeout), 0, NULL, TIMEOUT,
     "2s", "how long connecting to a target may take"},
    {SECTION_UPSTREAM, "FirstByteTimeoutSec", &option_timeout, UPSTREAM(first_byte_timeout), 0, NULL, TIMEOUT,
     "1min", "from the request's end to the response's head"},
    {SECTION_UPSTREAM, "BetweenBytesTimeoutSec", &option_timeout, UPSTREAM(between_bytes_timeout), 0, NULL,
     TIMEOUT, "1min", "between two arrivals of response body bytes"},
    {SECTION_UPSTREAM, "PoolIdleSec", &option_timeout, UPSTREAM(pool_idle_timeout), 0, NULL, TIMEOUT, "30s",
     "how long an unused connection to a target is kept"},
    {SECTION_UPSTREAM, "PoolSize", &option_pool_size, UPSTREAM(pool_size), 0, NULL, "0 to 65536", "32",
     "unused connections kept per target and worker thread"},

    {SECTION_ROUTE, "Methods", &option_methods, ROUTE(methods), OPTION_LIST, NULL,
     "GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT, separated by blanks", NULL,
     "which methods the route takes; without it, all"},
    {SECTION_ROUTE, "AllowFrom", &option_prefixes, ROUTE(access.allow), OPTION_LIST, NULL, PREFIXES_ACCEPTED,
     NULL, "the clients that are served, also those of DenyFrom=; alone: no others"},
    {SECTION_ROUTE, "DenyFrom", &option_prefixes, ROUTE(access.deny), OPTION_LIST, NULL, PREFIXES_ACCEPTED,
     NULL, "the clients that are answered with 403"},
    {SECTION_ROUTE, "Upstream", &option_name, ROUTE(upstream), 0, NULL,
     "the name of an [Upstream NAME] section", NULL, "the app that answers"},
    {SECTION_ROUTE, "Static", &option_path, ROUTE(files.root), 0, NULL, "the absolute path of a directory",
     NULL, "the directory whose files are served"},
    {SECTION_ROUTE, "StaticIndex", &option_file_names, ROUTE(files.index), OPTION_LIST, NULL,
     "file names without '/', separated by blanks", "index.html",
     "what is served for a directory: the first that exists"},
    {SECTION_ROUTE, "StaticSymlinks", &option_choice, ROUTE(files.symlinks), 0, symlinks,
     "never, beneath or follow", "beneath",
     "whether symbolic links are followed: not at all, while they stay in the directory, anywhere"},
    {SECTION_ROUTE, "Respond", &option_respond, 0, 0, NULL,
     "a status from 200 to 599, then a text of at most 16K in double quotes if any", NULL, "a fixed answer"},
    {SECTION_ROUTE, "RespondType", &option_media_type, ROUTE(respond.content_type), 0, NULL,
     "a media type, as text/html; charset=utf-8", "text/plain; charset=utf-8",
     "the Content-Type of Respond="},
    {SECTION_ROUTE, "Redirect", &option_redirect, 0, 0, NULL,
     "301, 302, 303, 307 or 308, then http://…, https://… or a path", NULL, "sends the client elsewhere"},
    {SECTION_ROUTE, "MaxBodySize", &option_size, ROUTE(max_body_size), OPTION_DERIVED, NULL, SIZE,
     "that of [Gateway]", "largest request body on this route"},
    {SECTION_ROUTE, "RateLimit", &option_rates, ROUTE(rate_limits), OPTION_LIST, NULL, RATE_LIMIT_ACCEPTED,
     NULL, "how many requests a client may send; each of several must pass"},
    {SECTION_ROUTE, "RateLimitHeaders", &option_bool, ROUTE(tell_rate_limits), 0, NULL, BOOLEAN, "no",
     "whether every response tells of the limits, not just a refusal"},
    {SECTION_ROUTE, "ReplayIdempotencyKey", &option_bool, ROUTE(replay_idempotency_key), 0, NULL, BOOLEAN,
     "no", "whether a request with an Idempotency-Key may be sent twice, by whatever method"},
    {SECTION_ROUTE, "RequireClientCertificate", &option_bool, ROUTE(require_certificate), 0, NULL, BOOLEAN,
     "no", "whether requests are refused whose client has shown no certificate"},
    {SECTION_ROUTE, "ClientCertificateFields", &option_choice, ROUTE(certificate_fields), 0, client_fields,
     "none, names or all", "names",
     "what the app is told of the client's certificate, where the listener asks for one"},
    {SECTION_ROUTE, "UpstreamHeaders", &option_bool, ROUTE(tell_upstream), 0, NULL, BOOLEAN, "no",
     "whether responses tell of their target and tries in X-Holdfast fields"},
    {SECTION_ROUTE, "RequestTimeoutSec", &option_timeout, ROUTE(request_timeout), 0, NULL, TIMEOUT,
     "infinity", "from the whole request's arrival to the response's head"},

    {SECTION_CHECK, "Connect", &option_check_connect, 0, 0, NULL,
     ADDRESS_ACCEPTED ", or a host name in place of the address", NULL,
     "passes when a connection is accepted there"},
    {SECTION_CHECK, "Http", &option_check_http, 0, 0, NULL,
     "http://host[:port]/path, or unix:/path/of/socket:/path", NULL,
     "passes when the answer to a GET has a status from 200 to 399"},
    {SECTION_CHECK, "Path", &option_check_path, 0, 0, NULL,
     "an absolute path, then access= with letters of rwx if it is to be more than there", NULL,
     "passes when the file or directory is there and may be used so"},
    {SECTION_CHECK, "Unit", &option_check_unit, 0, 0, NULL, "the name of a systemd unit with its suffix",
     NULL, "passes when the unit is active"},
    {SECTION_CHECK, "TimeoutSec", &option_finite, CHECK(timeout), 0, NULL, FINITE, "5s",
     "how long to try until the check has failed"},
    {SECTION_CHECK, "Required", &option_bool, CHECK(required), 0, NULL, BOOLEAN, "yes",
     "whether the gateway refuses to start when the check fails"},
};
/* clang-format on */

static const char *const kinds[_SECTION_KIND_MAX] = {
    [SECTION_GATEWAY] = "Gateway", [SECTION_LISTENER] = "Listener", [SECTION_UPSTREAM] = "Upstream",
    [SECTION_ROUTE] = "Route",     [SECTION_CHECK] = "Check",
};

const char *section_kind_to_string(enum section_kind kind)
{
    assert(kind < _SECTION_KIND_MAX);
    return kinds[kind];
}

enum section_kind section_kind_from_string(const char *word)
{
    for (enum section_kind kind = 0; kind < _SECTION_KIND_MAX; kind++)
        if (streq(kinds[kind], word))
            return kind;
    return _SECTION_KIND_MAX;
}

const struct config_option *config_options(size_t *ret_n)
{
    *ret_n = ARRAY_SIZE(options);
    return options;
}

const struct config_option *config_option_find(enum section_kind section, const char *key)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (options[i].section == section && streq(options[i].key, key))
            return &options[i];
    return NULL;
}
