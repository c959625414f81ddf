#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include "config/config.h"
#include "config/values.h"
#include "config/options.h"
#include "router/method.h"

/* A directory with the files of one configuration, and what came of loading it. */
struct fixture {
    char directory[64];
    struct config *config;
    struct config_report report;
    int result;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    snprintf(f->directory, sizeof(f->directory), "%s/holdfast-test-XXXXXX", "/tmp");
    assert_non_null(mkdtemp(f->directory));
    unsetenv("CREDENTIALS_DIRECTORY");
    unsetenv("STATE_DIRECTORY");
    *state = f;
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    config_free(f->config);
    config_report_deinit(&f->report);
    nftw(f->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static char *path_in(const struct fixture *f, const char *name)
{
    struct strbuf path = STRBUF_INIT;
    strbuf_addf(&path, "%s/%s", f->directory, name);
    return strbuf_steal(&path);
}

static void make_directory(const struct fixture *f, const char *name)
{
    _cleanup_free_ char *path = path_in(f, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void write_bytes(const struct fixture *f, const char *name, const char *data, size_t size)
{
    _cleanup_free_ char *path = path_in(f, name);
    _cleanup_fclose_ FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    write_bytes(f, name, text, strlen(text));
}

static void load(struct fixture *f)
{
    _cleanup_free_ char *path = path_in(f, "holdfast.conf");

    f->config = config_free(f->config);
    config_report_deinit(&f->report);
    f->result = config_load_default(path, &f->config, &f->report);
    assert_int_equal(f->result == 0, f->report.n_errors == 0);
    assert_int_equal(f->result == 0, f->config != NULL);
}

/* Every problem on a line, without the directory. */
static char *problems(const struct fixture *f)
{
    struct strbuf all = STRBUF_INIT;
    size_t prefix = strlen(f->directory) + 1;

    for (size_t i = 0; i < f->report.n_problems; i++) {
        _cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
        config_problem_format(&f->report.problems[i], &line);
        bool has_prefix = strncmp(line.data, f->directory, prefix - 1) == 0;
        strbuf_addf(&all, "%s\n", line.data + (has_prefix ? prefix : 0));
    }
    return strbuf_steal(&all);
}

static void load_good(struct fixture *f, const char *text)
{
    write_file(f, "holdfast.conf", text);
    load(f);
    _cleanup_free_ char *all = problems(f);
    assert_string_equal(all, "");
}

/* Loads a text that is wrong, and looks for the message. */
static void assert_refused(struct fixture *f, const char *text, const char *message)
{
    write_file(f, "holdfast.conf", text);
    load(f);
    _cleanup_free_ char *all = problems(f);
    if (f->result == 0 || !strstr(all, message))
        fail_msg("expected \"%s\" for:\n%s\ngot:\n%s", message, text, all);
}

/* Adds a listener to `text`, so that it stands for a whole configuration; lines count from it. */
#define WITH_LISTENER(text) text "\n[Listener http]\n[Route /whole]\nRespond=204\n"

/* Looks up addresses, separated by blanks. */
static void assert_holds(const struct prefix_set *set, const char *in, const char *out)
{
    for (int expected = 0; expected < 2; expected++)
        for (struct slice rest = slice_of(expected ? in : out); rest.size > 0;) {
            struct ip_address address;
            assert_true(ip_address_parse(slice_split(&rest, ' '), &address));
            assert_int_equal(prefix_set_contains(set, &address), expected);
        }
}

static void test_everything(void **state)
{
    struct fixture *f = *state;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    strbuf_addf(
        &text,
        "[Gateway]\nThreads=3\nDrainSec=20s\nQuietSec=0\nAccessLog=journal\nMaxBodySize=1M\n"
        "HeadTimeoutSec=1s\nBodyTimeoutSec=2s\nIdleTimeoutSec=3s\nSendTimeoutSec=infinity\n"
        "MaxConnections=500\nHandshakeTimeoutSec=4s\nBodyMinRate=2K\nSendMinRate=0\n"
        "ReloadTimeoutSec=45s\nMaxGenerations=3\nMaxHeadSize=32K\nMaxHeaders=50\nBodyMemorySize="
        "2M\nMaxBufferedSize=3G\n"
        "RateLimitClients=2048\n"
        "[Listener http]\nMaxConnections=40\nMaxConnectionsPerSource=7\n"
        "[Listener https]\nProtocol=https\nTLSCertificate=/a.crt\nTLSCertificate=/b.crt\nTLSKey=/a.key\n"
        "TLSKey=/b.key\nTLSMinimumVersion=1.3\nTLSClientCA=/ca.crt\nTLSClientVerify=required\nHTTP2=no\n"
        "TLSOCSPResponse=-\nTLSOCSPResponse=/b.ocsp\nTLSRequireSNI=yes\nTLSTicketRotateSec=1h\n"
        "TLSClientCRL=/crl.pem\n"
        "MaxBodySize=5K\nIdleTimeoutSec=9s\nAllowFrom=192.0.2.0/24 localhost\nAllowFrom=unix\nDenyFrom=any\n"
        "TrustedProxies=10.0.8.0/24 ::1\nProxyProtocol=yes\nProxyProtocolFrom=10.0.7.0/24\n"
        "[Upstream orders]\nTarget=unix:/run/o.sock\nTarget=127.0.0.1:9001 weight=2\nTarget=[::1]:9002\n"
        "Target=unix:@abstract weight=0\nBalance=round-robin\nHealthPath=/healthz?x=1\nConnectTimeoutSec=1s\n"
        "FirstByteTimeoutSec=2s\nBetweenBytesTimeoutSec=3s\nPoolIdleSec=4s\nPoolSize=0\n"
        "[Upstream many]\nTarget=apps.example.com:80 unit=own.service weight=7\n"
        "Target=srv:_http._tcp.example.com\nUnit=app.service\nBalance=hash cookie:session\nSticky=S\n"
        "SlowStartSec=30s\nMaxRequests=5\nMaxConnections=infinity\nHealthCheck=connect\n"
        "HealthIntervalSec=1s\nHealthTimeoutSec=2s\nHealthRise=3\nHealthFall=4\nHealthStartSec=5s\n"
        "MaxFailures=0\nBreaker=time\nBreakerWindow=10\nBreakerMinimumCalls=11\nBreakerFailureRate=12%%\n"
        "BreakerSlowCallRate=13\nBreakerSlowCallSec=14s\nBreakerOpenSec=15s\nBreakerHalfOpenCalls=16\n"
        "HoldSec=17s\nHoldMax=18\nHoldMaxSize=19K\nHoldRate=20\nRetryBudget=21\nRetryMinimum=0\n"
        "MaxTries=23\nTryTimeoutSec=22s\n"
        "[Route Shop.Example.com/api/:id]\nMethods=GET POST\nMethods=PUT\nUpstream=orders\nMaxBodySize=2M\n"
        "RequestTimeoutSec=7s\nReplayIdempotencyKey=yes\nUpstreamHeaders=yes\nAllowFrom=2001:db8::/32\n"
        "DenyFrom=link-local\n"
        "RateLimit=100/s\nRateLimit=7/min  by=header:X-Api-Key burst=9\nRateLimit=1000/h\n"
        "RateLimitHeaders=yes\n"
        "RequireClientCertificate=yes\nClientCertificateFields=all\n"
        "[Route *.Example.org/files/*path]\nStatic=%s/\nStaticIndex=a.html b.html\nStaticIndex=c.html\n"
        "StaticSymlinks=follow\n"
        "[Route /text]\nRespond=200 \"a \\\"b\\\"\\\\\\n\"\nRespondType=text/html; charset=utf-8\n"
        "[Route /old]\nRedirect=308 https://example.com/new\n"
        "[Check a]\nConnect=redis.example:6379\nTimeoutSec=3s\nRequired=no\n"
        "[Check b]\nHttp=http://127.0.0.1:81/p?q\n"
        "[Check c]\nHttp=unix:/run/c.sock:/live\n"
        "[Check d]\nPath=/var access=rx\n"
        "[Check e]\nUnit=postgresql@15-main.service\n"
        "[Check f]\nHttp=http://db.example\n",
        f->directory);
    load_good(f, text.data);

    const struct gateway_config *g = &f->config->gateway;
    assert_int_equal(g->threads, 3);
    assert_int_equal(g->drain, 20 * USEC_PER_SEC);
    assert_int_equal(g->quiet, 0);
    assert_int_equal(g->access_log, ACCESS_LOG_JOURNAL);
    assert_int_equal(g->max_body_size, 1 << 20);
    assert_int_equal(g->max_head_size, 32 << 10);
    assert_int_equal(g->body_memory_size, 2 << 20);
    assert_int_equal(g->max_buffered_size, UINT64_C(3) << 30);
    assert_int_equal(g->max_headers, 50);
    assert_int_equal(g->max_connections, 500);
    assert_int_equal(g->handshake_timeout, 4 * USEC_PER_SEC);
    assert_int_equal(g->rate_clients, 2048);
    assert_int_equal(g->head_timeout, USEC_PER_SEC);
    assert_int_equal(g->body_min_rate, 2048);
    assert_int_equal(g->send_min_rate, 0);
    assert_int_equal(g->body_timeout, 2 * USEC_PER_SEC);
    assert_int_equal(g->idle_timeout, 3 * USEC_PER_SEC);
    assert_true(g->send_timeout == USEC_INFINITY);
    assert_int_equal(g->reload_timeout, 45 * USEC_PER_SEC);
    assert_int_equal(g->max_generations, 3);
    assert_string_equal(g->state_directory, "/var/lib/holdfast");
    assert_int_equal(g->place.line, 1);

    assert_int_equal(f->config->n_listeners, 2);
    const struct listener_config *http = &f->config->listeners[0], *https = &f->config->listeners[1];
    assert_string_equal(http->name, "http");
    assert_int_equal(http->max_connections, 40);
    assert_int_equal(http->max_per_source, 7);
    assert_int_equal(http->index, 0);
    assert_int_equal(http->protocol, LISTENER_HTTP);
    assert_true(http->http2);
    assert_int_equal(http->idle_timeout, 3 * USEC_PER_SEC);
    assert_int_equal(http->max_body_size, 2 << 20); /* what the most demanding route needs */
    assert_int_equal(https->index, 1);
    assert_int_equal(https->protocol, LISTENER_HTTPS);
    assert_int_equal(https->n_certificates, 2);
    assert_string_equal(https->certificates[1].certificate, "/b.crt");
    assert_string_equal(https->certificates[1].key, "/b.key");
    const unsigned line = https->certificates[0].certificate_place.line;
    assert_int_equal(https->certificates[1].certificate_place.line, line + 1);
    assert_int_equal(https->certificates[1].key_place.line, line + 3);
    assert_int_equal(https->tls_minimum, TLS_VERSION_1_3);
    assert_string_equal(https->client_ca, "/ca.crt");
    assert_int_equal(https->client_verify, CLIENT_VERIFY_REQUIRED);
    assert_null(https->certificates[0].ocsp);
    assert_string_equal(https->certificates[1].ocsp, "/b.ocsp");
    assert_true(https->tls_require_sni);
    assert_false(http->tls_require_sni);
    assert_int_equal(https->ticket_lifetime, 3600 * USEC_PER_SEC);
    assert_int_equal(http->ticket_lifetime, 12 * 3600 * USEC_PER_SEC);
    assert_string_equal(https->client_crl, "/crl.pem");
    assert_false(https->http2);
    assert_int_equal(https->max_body_size, 5 << 10);
    assert_int_equal(https->idle_timeout, 9 * USEC_PER_SEC);
    assert_holds(&https->access.allow, "192.0.2.7 127.0.0.1 ::1", "192.0.3.1 ::2");
    assert_true(https->access.allow.has_unix);
    assert_holds(&https->access.deny, "192.0.2.7 ::2", "");
    assert_true(https->proxy_protocol);
    assert_holds(&https->proxy_protocol_from, "10.0.7.1", "10.0.8.1");
    assert_holds(&https->trusted_proxies, "10.0.8.1 ::1", "10.0.9.0");

    assert_int_equal(f->config->n_upstreams, 2);
    const struct upstream_config *many = f->config->upstreams[1];
    assert_int_equal(many->targets[0].address.size, 0);
    assert_string_equal(many->targets[0].address.text, "apps.example.com:80");
    assert_false(many->targets[0].is_service);
    assert_int_equal(many->targets[0].weight, 7);
    assert_string_equal(many->targets[0].unit, "own.service");
    assert_true(many->targets[1].is_service);
    assert_string_equal(many->targets[1].unit, "app.service");
    assert_int_equal(many->n_slots, 2 + UPSTREAM_SLOTS_NAMED);
    assert_int_equal(many->balance.how, BALANCE_HASH);
    assert_int_equal(many->balance.hash_by, HASH_BY_COOKIE);
    assert_string_equal(many->balance.hash_name, "session");
    assert_string_equal(many->sticky, "S");
    assert_int_equal(many->slow_start, 30 * USEC_PER_SEC);
    assert_int_equal(many->max_requests, 5);
    assert_int_equal(many->max_connections, 0);
    assert_int_equal(many->health.check, HEALTH_CHECK_CONNECT);
    assert_int_equal(many->health.interval, USEC_PER_SEC);
    assert_int_equal(many->health.timeout, 2 * USEC_PER_SEC);
    assert_int_equal(many->health.rise, 3);
    assert_int_equal(many->health.fall, 4);
    assert_int_equal(many->health.start_period, 5 * USEC_PER_SEC);
    assert_int_equal(many->health.max_failures, 0);
    assert_int_equal(many->breaker.window, BREAKER_TIME);
    assert_int_equal(many->breaker.size, 10);
    assert_int_equal(many->breaker.minimum_calls, 11);
    assert_int_equal(many->breaker.failure_rate, 12);
    assert_int_equal(many->breaker.slow_rate, 13);
    assert_int_equal(many->breaker.slow_call, 14 * USEC_PER_SEC);
    assert_int_equal(many->breaker.open, 15 * USEC_PER_SEC);
    assert_int_equal(many->breaker.half_open, 16);
    assert_int_equal(many->hold, 17 * USEC_PER_SEC);
    assert_int_equal(many->hold_max, 18);
    assert_int_equal(many->hold_max_size, 19 << 10);
    assert_int_equal(many->hold_rate, 20);
    assert_int_equal(many->retry_budget, 21);
    assert_int_equal(many->retry_minimum, 0);
    assert_int_equal(many->max_tries, 23);
    assert_int_equal(many->try_timeout, 22 * USEC_PER_SEC);
    const struct upstream_config *u = f->config->upstreams[0];
    assert_int_equal(u->n_slots, 4 + UPSTREAM_SLOTS_ADDED);
    assert_int_equal(u->health.check, HEALTH_CHECK_HTTP);
    assert_int_equal(u->health.status_first, 200);
    assert_int_equal(u->health.status_last, 399);
    assert_int_equal(u->breaker.window, BREAKER_OFF);
    assert_int_equal(u->hold, 10 * USEC_PER_SEC);
    assert_int_equal(u->n_targets, 4);
    assert_string_equal(u->targets[0].address.text, "unix:/run/o.sock");
    assert_int_equal(u->targets[0].address.sockaddr.ss_family, AF_UNIX);
    assert_int_equal(u->targets[0].weight, 1);
    const struct sockaddr_in *in = (const struct sockaddr_in *)&u->targets[1].address.sockaddr;
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(ntohs(in->sin_port), 9001);
    assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(u->targets[1].weight, 2);
    assert_int_equal(u->targets[1].index, 1);
    assert_int_equal(u->targets[1].place.line, u->targets[0].place.line + 1);
    assert_int_equal(u->targets[2].address.sockaddr.ss_family, AF_INET6);
    assert_int_equal(u->targets[3].weight, 0);
    assert_string_equal(u->health.path, "/healthz?x=1");
    assert_int_equal(u->connect_timeout, USEC_PER_SEC);
    assert_int_equal(u->first_byte_timeout, 2 * USEC_PER_SEC);
    assert_int_equal(u->between_bytes_timeout, 3 * USEC_PER_SEC);
    assert_int_equal(u->pool_idle_timeout, 4 * USEC_PER_SEC);
    assert_int_equal(u->pool_size, 0);

    assert_int_equal(f->config->n_routes, 4);
    const struct route_config *r = f->config->routes[0];
    assert_string_equal(r->pattern, "Shop.Example.com/api/:id");
    assert_string_equal(r->host, "shop.example.com");
    assert_string_equal(r->path, "/api/:id");
    assert_int_equal(r->methods, METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_POST) | METHOD_BIT(METHOD_PUT));
    assert_int_equal(r->kind, ROUTE_UPSTREAM);
    assert_ptr_equal(r->upstream, u);
    assert_int_equal(r->max_body_size, 2 << 20);
    assert_int_equal(r->request_timeout, 7 * USEC_PER_SEC);
    assert_true(r->replay_idempotency_key);
    assert_true(r->tell_upstream);
    assert_holds(&r->access.allow, "2001:db8::1", "2001:db9::1");
    assert_holds(&r->access.deny, "169.254.0.1 fe80::1", "2001:db8::1");
    assert_true(r->tell_rate_limits);
    assert_int_equal(r->n_rate_limits, 3);
    assert_string_equal(r->rate_limits[0].text, "100/s burst=100 by=client");
    assert_int_equal(r->rate_limits[0].rate.count, 100);
    assert_int_equal(r->rate_limits[0].rate.burst, 100);
    assert_int_equal(r->rate_limits[0].rate.period, USEC_PER_SEC);
    assert_null(r->rate_limits[0].header);
    assert_string_equal(r->rate_limits[0].name, "client");
    assert_string_equal(r->rate_limits[1].name, "X-Api-Key");
    assert_string_equal(r->rate_limits[2].name, "client-2");
    assert_string_equal(r->rate_limits[1].text, "7/min burst=9 by=header:X-Api-Key");
    assert_int_equal(r->rate_limits[1].rate.period, 60 * USEC_PER_SEC);
    assert_string_equal(r->rate_limits[1].header, "X-Api-Key");
    assert_int_equal(r->rate_limits[1].index, 1);
    assert_int_equal(f->config->n_rate_limits, 3);
    assert_true(r->require_certificate);
    assert_int_equal(r->certificate_fields, CLIENT_CERTIFICATE_FIELDS_ALL);
    r = f->config->routes[1];
    assert_string_equal(r->host, "*.example.org");
    assert_int_equal(r->kind, ROUTE_STATIC);
    assert_string_equal(r->files.root, f->directory);
    assert_string_equal(r->files.index[0], "a.html");
    assert_string_equal(r->files.index[1], "b.html");
    assert_string_equal(r->files.index[2], "c.html");
    assert_null(r->files.index[3]);
    assert_int_equal(r->files.symlinks, SYMLINKS_FOLLOW);
    assert_int_equal(r->methods, METHOD_ALL);
    assert_int_equal(r->max_body_size, 1 << 20);
    r = f->config->routes[2];
    assert_int_equal(r->kind, ROUTE_RESPOND);
    assert_int_equal(r->respond.status, 200);
    assert_string_equal(r->respond.body, "a \"b\"\\\n");
    assert_string_equal(r->respond.content_type, "text/html; charset=utf-8");
    r = f->config->routes[3];
    assert_int_equal(r->kind, ROUTE_REDIRECT);
    assert_int_equal(r->respond.status, 308);
    assert_string_equal(r->respond.location, "https://example.com/new");
    assert_int_equal(r->index, 3);

    assert_int_equal(f->config->n_checks, 6);
    const struct check_config *c = f->config->checks;
    assert_int_equal(c[0].kind, CHECK_CONNECT);
    assert_int_equal(c[0].address.size, 0);
    assert_string_equal(c[0].address.text, "redis.example:6379");
    assert_int_equal(c[0].timeout, 3 * USEC_PER_SEC);
    assert_false(c[0].required);
    assert_int_equal(c[1].kind, CHECK_HTTP);
    assert_string_equal(c[1].http_host, "127.0.0.1:81");
    assert_string_equal(c[1].http_path, "/p?q");
    assert_true(c[1].required);
    assert_int_equal(c[1].timeout, 5 * USEC_PER_SEC);
    assert_string_equal(c[2].address.text, "unix:/run/c.sock");
    assert_string_equal(c[2].http_host, "localhost");
    assert_string_equal(c[2].http_path, "/live");
    assert_int_equal(c[3].kind, CHECK_PATH);
    assert_string_equal(c[3].target, "/var");
    assert_int_equal(c[3].path_mode, R_OK | X_OK);
    assert_int_equal(c[4].kind, CHECK_UNIT);
    assert_string_equal(c[4].target, "postgresql@15-main.service");
    assert_string_equal(c[5].address.text, "db.example:80");
    assert_string_equal(c[5].http_path, "/");
}

static void test_defaults(void **state)
{
    struct fixture *f = *state;

    load_good(f, "[Listener http]\n[Upstream u]\nTarget=127.0.0.1:1\n[Route /]\nUpstream=u\n[Route "
                 "/t]\nRespond=200\n");
    assert_true(f->config->gateway.threads >= 1);
    assert_true(f->config->gateway.drain == USEC_INFINITY);
    assert_int_equal(f->config->gateway.quiet, 300 * USEC_PER_MSEC);
    assert_int_equal(f->config->gateway.max_body_size, 64 << 20);
    assert_int_equal(f->config->gateway.max_head_size, 16 << 10);
    assert_int_equal(f->config->gateway.body_memory_size, 1 << 20);
    assert_int_equal(f->config->gateway.max_buffered_size, 1 << 30);
    assert_int_equal(f->config->gateway.max_headers, 100);
    assert_int_equal(f->config->gateway.rate_clients, 16384);
    assert_int_equal(f->config->listeners[0].max_body_size, 64 << 20);
    assert_int_equal(f->config->upstreams[0]->pool_size, 32);
    assert_true(f->config->routes[0]->request_timeout == USEC_INFINITY);
    assert_string_equal(f->config->routes[0]->files.index[0], "index.html");
    assert_null(f->config->routes[0]->files.index[1]);
    assert_string_equal(f->config->routes[1]->respond.body, "");
    assert_string_equal(f->config->routes[1]->respond.content_type, "text/plain; charset=utf-8");
}

static void test_addresses(void **state)
{
    struct fixture *f = *state;

    load_good(f, "[Listener http]\nAllowFrom=192.0.2.0/24\nAllowFrom=\nAllowFrom=::1 10.0.0.0/8\n"
                 "DenyFrom=any\nDenyFrom=\n[Route /]\nRespond=204\nDenyFrom=10.0.0.1\n");
    const struct listener_config *http = &f->config->listeners[0];
    assert_holds(&http->access.allow, "::1 10.0.0.1", "192.0.2.1"); /* an empty value forgets */
    assert_true(prefix_set_is_empty(&http->access.deny));
    assert_holds(&f->config->routes[0]->access.deny, "10.0.0.1", "10.0.0.2");

    assert_refused(f, "[Listener http]\nAllowFrom=::1 192.0.2.1/24\n[Route /]\nRespond=204\n",
                   ":2: [Listener http] AllowFrom=::1 192.0.2.1/24: \"192.0.2.1/24\" has bits set beyond its "
                   "length; is 192.0.2.0/24 meant, or 192.0.2.1 alone?");
    assert_refused(f, WITH_LISTENER("[Route /]\nRespond=204\nDenyFrom=example.com"),
                   "\"example.com\" is neither an address or prefix");
    assert_refused(f, "[Listener http]\nProxyProtocol=yes\n[Route /]\nRespond=204\n",
                   ":2: [Listener http] ProxyProtocol=yes: ProxyProtocolFrom= is missing");
    assert_refused(f, "[Listener http]\nProxyProtocolFrom=any\n[Route /]\nRespond=204\n",
                   "this means something with ProxyProtocol=yes only");
}

static void test_syntax(void **state)
{
    struct fixture *f = *state;

    /* A byte order mark, CRLF, blanks, comments, continued lines, a last line without a newline. */
    load_good(
        f,
        "\xef\xbb\xbf; comment\r\n  [Gateway]  \r\n\tThreads = 2 \r\n# comment\r\n[ Listener \t http ]\n"
        "[Route /]\nMethods=GET \\\n# between\n; and again\n  POST\\\n\nRespond=200 \"# no = [comment];\"");
    assert_int_equal(f->config->gateway.threads, 2);
    assert_string_equal(f->config->listeners[0].name, "http");
    assert_int_equal(f->config->routes[0]->methods, METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_POST));
    assert_string_equal(f->config->routes[0]->respond.body, "# no = [comment];");

    assert_refused(f, WITH_LISTENER("[Gateway\nThreads=x"),
                   ":1: \"[Gateway\": a section header does not end in ']'");
    /* What follows a header that was refused belongs to nothing, and is not complained about once more. */
    assert_int_equal(f->report.n_errors, 1);
    assert_refused(f, WITH_LISTENER("[Gateway]\nThreads"),
                   ":2: [Gateway]: \"Threads\": neither a [section], nor Key=value");
    assert_refused(f, WITH_LISTENER("[Gateway]\n=5"), ":2: [Gateway]: \"=5\": nothing stands before the '='");
    assert_refused(f, WITH_LISTENER("Threads=2"), ":1: Threads=2: this stands before the first section");
    assert_refused(f, WITH_LISTENER("\n[Gateway]\n#\xff"),
                   ":3: [Gateway]: \"#\\xff\": the line is not valid UTF-8");
    assert_refused(f, WITH_LISTENER("[Gateway]\nThreads=\x1b[2J"),
                   ":2: [Gateway]: \"Threads=\\x1b[2J\": the line contains a control");

    static const char with_nul[] = "[Gateway]\nThreads=2\0 3\n";
    write_bytes(f, "holdfast.conf", with_nul, sizeof(with_nul) - 1);
    load(f);
    _cleanup_free_ char *all = problems(f);
    assert_non_null(strstr(all, "holdfast.conf:2: [Gateway]: \"Threads=2\": the line contains a NUL byte"));
}

static void test_long_lines(void **state)
{
    struct fixture *f = *state;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    strbuf_add_string(&text, "[Listener http]\n[Route /]\nRespond=200 \"");
    for (unsigned i = 0; i < 10 << 20; i++)
        strbuf_add_char(&text, 'x');
    strbuf_add_string(&text, "\"\n[Gateway]\nThreads=0\n");
    assert_refused(f, text.data, "holdfast.conf:3: [Route /]: \"Respond=200 \"xxx");
    _cleanup_free_ char *all = problems(f);
    assert_non_null(strstr(all, "the line is longer than 65535 bytes\n"));
    assert_non_null(strstr(all, ":5: [Gateway] Threads=0: out of range"));
    assert_true(strlen(all) < 1500);

    /* Continued lines are one line. */
    strbuf_clear(&text);
    strbuf_add_string(&text, "[Gateway]\nThreads=\\\n");
    for (unsigned i = 0; i < 4000; i++)
        strbuf_add_string(&text, "0000000000000000000\\\n");
    assert_refused(f, text.data, "longer than 65535 bytes");

    /* The longest text that a response may have, and one byte more. */
    for (size_t more = 0; more <= 1; more++) {
        strbuf_clear(&text);
        strbuf_add_string(&text, "[Listener http]\n[Route /]\nRespond=200 \"");
        for (size_t i = 0; i < 16384 + more; i++)
            strbuf_add_char(&text, 'y');
        strbuf_add_char(&text, '"');
        if (more) {
            assert_refused(f, text.data, "the text is longer than 16K");
        } else {
            load_good(f, text.data);
            assert_int_equal(strlen(f->config->routes[0]->respond.body), 16384);
        }
    }
}

static void test_merging(void **state)
{
    struct fixture *f = *state;

    write_file(f, "holdfast.conf",
               "[Listener http]\nIdleTimeoutSec=5s\n[Upstream u]\nTarget=127.0.0.1:1\nPoolSize=3\n"
               "[Route /]\nUpstream=u\nMethods=GET\n");
    make_directory(f, "conf.d");
    write_file(f, "conf.d/20-second.conf",
               "[Upstream u]\nPoolSize=\nTarget=\nTarget=127.0.0.1:3\nTarget=127.0.0.1:4\n");
    write_file(f, "conf.d/10-first.conf",
               "[Upstream u]\nPoolSize=9\nTarget=127.0.0.1:2\n[Listener http]\nIdleTimeoutSec=6s\n"
               "[Route /]\nMethods=POST\nRespond=200\n");
    write_file(f, "conf.d/.hidden.conf", "nonsense");
    write_file(f, "conf.d/README", "nonsense");
    load(f);
    assert_int_equal(f->result, 0);
    assert_int_equal(f->config->n_upstreams, 1);
    assert_int_equal(f->config->upstreams[0]->pool_size, 32); /* an empty value brings the default back */
    assert_int_equal(f->config->upstreams[0]->n_targets, 2);  /* and empties a list */
    assert_string_equal(f->config->upstreams[0]->targets[0].address.text, "127.0.0.1:3");
    assert_int_equal(f->config->upstreams[0]->place.line, 3);
    assert_non_null(strstr(f->config->upstreams[0]->targets[0].place.file, "20-second.conf"));
    assert_int_equal(f->config->n_listeners, 1);
    assert_int_equal(f->config->listeners[0].idle_timeout, 6 * USEC_PER_SEC);
    /* Routes never merge: one pattern may go two ways. */
    assert_int_equal(f->config->n_routes, 2);
    assert_int_equal(f->config->routes[0]->methods, METHOD_BIT(METHOD_GET));
    assert_int_equal(f->config->routes[1]->methods, METHOD_BIT(METHOD_POST));
    assert_non_null(f->config->files[0]);
    assert_non_null(strstr(f->config->files[1], "10-first.conf"));
    assert_non_null(strstr(f->config->files[2], "20-second.conf"));
    assert_null(f->config->files[3]);
}

static void test_masking(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *main_file = path_in(f, "holdfast.conf"), *etc = path_in(f, "etc"),
                        *run = path_in(f, "run"), *usr = path_in(f, "usr"), *absent = path_in(f, "absent"),
                        *null = path_in(f, "etc/c.conf");
    const char *const directories[] = {etc, absent, run, usr, NULL};

    write_file(f, "holdfast.conf", "[Listener http]\n");
    make_directory(f, "etc");
    make_directory(f, "run");
    make_directory(f, "usr");
    write_file(f, "etc/a.conf", "[Route /a-etc]\nRespond=200\n");
    write_file(f, "run/a.conf", "[Route /a-run]\nRespond=200\n");
    write_file(f, "usr/a.conf", "[Route /a-usr]\nRespond=200\n");
    write_file(f, "run/b.conf", "");
    write_file(f, "usr/b.conf", "[Route /b-usr]\nRespond=200\n");
    assert_int_equal(symlink("/dev/null", null), 0);
    write_file(f, "usr/c.conf", "[Route /c-usr]\nRespond=200\n");
    write_file(f, "usr/d.conf", "[Route /d-usr]\nRespond=200\n");
    write_file(f, "etc/e.conf", "[Route /e-etc]\nRespond=200\n");

    const struct config_source source = {main_file, directories};
    assert_int_equal(config_load(&source, &f->config, &f->report), 0);
    assert_int_equal(f->config->n_routes, 3);
    assert_string_equal(f->config->routes[0]->path, "/a-etc");
    assert_string_equal(f->config->routes[1]->path, "/d-usr");
    assert_string_equal(f->config->routes[2]->path, "/e-etc");
}

static void test_bad_files(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *link = path_in(f, "conf.d/b.conf"), *fifo = path_in(f, "conf.d/c.conf"),
                        *main_file = path_in(f, "holdfast.conf");

    load(f);
    _cleanup_free_ char *missing = problems(f);
    assert_non_null(strstr(missing, "holdfast.conf: cannot be read: No such file or directory\n"));

    write_file(f, "holdfast.conf", WITH_LISTENER(""));
    make_directory(f, "conf.d");
    make_directory(f, "conf.d/a.conf");
    assert_int_equal(symlink("/nowhere/at/all", link), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    load(f);
    _cleanup_free_ char *all = problems(f);
    assert_int_equal(f->report.n_errors, 3);
    assert_non_null(strstr(all, "conf.d/a.conf: a directory, not a file\n"));
    assert_non_null(strstr(all, "conf.d/b.conf: a link that leads nowhere"));
    assert_non_null(strstr(all, "conf.d/c.conf: a special file, not a file\n"));

    assert_int_equal(remove(main_file), 0);
    assert_int_equal(mkfifo(main_file, 0600), 0);
    load(f);
    _cleanup_free_ char *special = problems(f);
    assert_non_null(strstr(special, "holdfast.conf: a special file, not a regular one\n"));
}

/* Each text is wrong in one way; the message says where, what and what would be right. */
static void test_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {WITH_LISTENER("[Gateway]\nThread=2"),
         ":2: [Gateway] Thread=2: unknown option, is Threads= meant? (accepted: Threads=, "},
        {WITH_LISTENER("[Gateway]\nTarget=x"),
         ":2: [Gateway] Target=x: an option of [Upstream], not of [Gateway]"},
        {WITH_LISTENER("[Gateway]\nXyzzy=x"), ":2: [Gateway] Xyzzy=x: unknown option (accepted: "},
        {WITH_LISTENER("[Upstreem x]"), ":1: [Upstreem x]: unknown section, is [Upstream …] meant?"},
        {WITH_LISTENER("[]"), ":1: []: unknown section (accepted: [Gateway], [Listener NAME]"},
        {WITH_LISTENER("[Gateway x]"), "this section has no name"},
        {WITH_LISTENER("[Upstream]"), "the name is missing"},
        {WITH_LISTENER("[Upstream a b]"), "not a name"},
        {WITH_LISTENER("[Route]"), "the pattern is missing"},
        {WITH_LISTENER("[Gateway]\nThreads=0"), "Threads=0: out of range (accepted: auto, or 1 to 256)"},
        {WITH_LISTENER("[Gateway]\nThreads=two"),
         "Threads=two: not a valid value (accepted: auto, or 1 to 256)"},
        {WITH_LISTENER("[Gateway]\nMaxBodySize=99999999T"), "too large"},
        {WITH_LISTENER("[Gateway]\nMaxHeadSize=1023"),
         "out of range (accepted: bytes from 1K to 1M, with K or M as suffix)"},
        {WITH_LISTENER("[Gateway]\nMaxHeadSize=infinity"), "out of range"},
        {WITH_LISTENER("[Gateway]\nMaxHeadSize=some"), "not a valid value"},
        {WITH_LISTENER("[Gateway]\nMaxHeaders=9"), "out of range (accepted: 10 to 1000)"},
        {WITH_LISTENER("[Gateway]\nMaxHeaders=1001"), "out of range"},
        {WITH_LISTENER("[Gateway]\nIdleTimeoutSec=10us"), "too short"},
        {WITH_LISTENER("[Gateway]\nHandshakeTimeoutSec=0"), "too short"},
        {WITH_LISTENER("[Gateway]\nMaxConnections=0"), "out of range (accepted: auto, or 1 to 1000000)"},
        {WITH_LISTENER("[Gateway]\nMaxConnections=infinity"), "not a valid value"},
        {WITH_LISTENER("[Listener s]\nMaxConnectionsPerSource=0"), "out of range"},
        {WITH_LISTENER("[Gateway]\nBodyMinRate=infinity"), "too large (accepted: bytes a second"},
        {WITH_LISTENER("[Gateway]\nSendMinRate=2G"), "too large"},
        {WITH_LISTENER("[Gateway]\nSendMinRate=-1"), "not a valid value"},
        {WITH_LISTENER("[Gateway]\nDrainSec=infinity"), "too long"},
        {WITH_LISTENER("[Gateway]\nAccessLog=on"),
         "AccessLog=on: not a valid value (accepted: off, journal or stderr)"},
        {"[Route /]\nRespond=204\n", "there is no listener"},
        {WITH_LISTENER("[Listener admin]"),
         "[Listener admin]: the socket of this name is that of the admin API"},
        {WITH_LISTENER("[Listener s]\nProtocol=https"),
         ":2: [Listener s] Protocol=https: https needs TLSCertificate="},
        {WITH_LISTENER("[Listener s]\nProtocol=https\nTLSCertificate=/a\nTLSCertificate=/b\nTLSKey=/a"),
         ":4: [Listener s] TLSCertificate=/b: there is no TLSKey= for this certificate"},
        {WITH_LISTENER("[Listener s]\nProtocol=https\nTLSCertificate=/a\nTLSKey=/a\nTLSKey=/b"),
         ":5: [Listener s] TLSKey=/b: there is no TLSCertificate= for this key"},
        {WITH_LISTENER("[Listener s]\nTLSKey=/a\nTLSCertificate=/b"),
         ":2: [Listener s] TLSKey=/a: this means something with Protocol=https only"},
        {WITH_LISTENER("[Listener s]\nTLSCertificate=a/b"),
         "neither an absolute path nor the name of a credential"},
        {WITH_LISTENER("[Listener s]\nTLSMinimumVersion=1.1"), "(accepted: 1.2 or 1.3)"},
        {WITH_LISTENER(
             "[Listener s]\nProtocol=https\nTLSCertificate=/a\nTLSKey=/a\nTLSClientVerify=required"),
         "TLSClientCA= is missing"},
        {WITH_LISTENER("[Listener s]\nProtocol=https\nTLSCertificate=/a\nTLSKey=/a\nTLSClientCRL=/c"),
         ":5: [Listener s] TLSClientCRL=/c: TLSClientCA= is missing"},
        {WITH_LISTENER(
             "[Listener "
             "s]\nProtocol=https\nTLSCertificate=/a\nTLSKey=/a\nTLSOCSPResponse=-\nTLSOCSPResponse=/b"),
         ":6: [Listener s] TLSOCSPResponse=/b: there is no TLSCertificate= for this OCSP response"},
        {WITH_LISTENER("[Listener s]\nTLSOCSPResponse=-"), "this means something with Protocol=https only"},
        {WITH_LISTENER("[Listener s]\nTLSTicketRotateSec=500ms"), "too short (accepted: 0, or a time span"},
        {WITH_LISTENER("[Listener s]\nTLSTicketRotateSec=8d"), "too long"},
        {WITH_LISTENER("[Listener s]\nTLSTicketRotateSec=soon"), "(accepted: 0, or a time span of 1s to 7d"},
        {WITH_LISTENER("[Upstream u]"),
         ":1: [Upstream u]: the upstream has no target (accepted: Target=ADDRESS"},
        {WITH_LISTENER("[Upstream u]\nTarget=local/host:80"), "not an address"},
        {WITH_LISTENER("[Upstream u]\nTarget=srv:"), "after srv: stands the name of SRV records"},
        {WITH_LISTENER("[Upstream u]\nTarget=localhost:80\nTarget=localhost:80"),
         "the same address is a target already, at "},
        {WITH_LISTENER("[Upstream u]\nTarget=localhost:80 unit=x"), "a unit's name ends in .service"},
        {WITH_LISTENER("[Upstream u]\nBalance=hash"), "hash client, hash header:NAME"},
        {WITH_LISTENER("[Upstream u]\nBalance=hash header:"), "the name after the colon is missing"},
        {WITH_LISTENER("[Upstream u]\nBalance=hash cookie:a b"),
         "the name after the colon is missing, or is none"},
        {WITH_LISTENER("[Upstream u]\nSticky=a;b"), "the name of a cookie"},
        {WITH_LISTENER("[Upstream u]\nTarget=a:1\nHealthCheck=http"), "http needs HealthPath="},
        {WITH_LISTENER("[Upstream u]\nTarget=a:1\nHealthStatus=200"),
         "this means something with HealthCheck=http only"},
        {WITH_LISTENER("[Upstream u]\nHealthPath=/\nHealthStatus=300-200"),
         "the second status is less than the first"},
        {WITH_LISTENER("[Upstream u]\nTarget=a:1\nHealthRise=3"),
         "this means something with HealthPath=, or HealthCheck=connect, only"},
        {WITH_LISTENER("[Upstream u]\nTarget=a:1\nBreakerWindow=10"),
         "this means something with Breaker=count or Breaker=time only"},
        {WITH_LISTENER("[Upstream u]\nBreaker=count\nBreakerFailureRate=0"), "1 to 100, in percent"},
        {WITH_LISTENER("[Upstream u]\nTarget=a:1\nHoldSec=0\nHoldMax=5"), "nothing is held with HoldSec=0"},
        {WITH_LISTENER("[Upstream u]\nHoldSec=2h"), "too long"},
        {WITH_LISTENER("[Gateway]\nRateLimitClients=1000"), "out of range (accepted: 1024 to 1048576)"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRateLimit=many"),
         "it begins with a number and a unit of time"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRateLimit=burst=5 1/s"), "it begins with a number"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRateLimit=0/s"), "the rate is 1 to 1000000"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRateLimit=1000001/s"), "the rate is 1 to 1000000"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRateLimit=1/d"), "the unit behind the slash is s, min or h"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRateLimit=1/s burst=0"), "burst= is 1 to 1000000"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRateLimit=1/s burst"), "\"burst\" is not understood"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRateLimit=1/s by=cookie"), "by= is client or header:NAME"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRateLimit=1/s by=header:"),
         "behind by=header: stands the name of a field"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRateLimit=1/s by=header:a:b"), "the name of a field"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRateLimit=1/s\nRateLimit=1/s burst=1 by=client"),
         "the route has this limit already"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRateLimit=1/s\nRateLimit=2/s\nRateLimit=3/s\nRateLimit=4/s\n"
                       "RateLimit=5/s\nRateLimit=6/s\nRateLimit=7/s\nRateLimit=8/s\nRateLimit=9/s"),
         "a route has at most 8 of these"},
        {WITH_LISTENER(
             "[Gateway]\nRateLimitClients=1048576\n[Route /]\nRespond=200\nRateLimit=1/s\nRateLimit=2/s\n"
             "RateLimit=3/s\nRateLimit=4/s\nRateLimit=5/s\nRateLimit=6/s\nRateLimit=7/s\nRateLimit=8/s\n"
             "[Route /a]\nRespond=200\nRateLimit=1/s\nRateLimit=2/s\nRateLimit=3/s\nRateLimit=4/s\n"
             "RateLimit=5/s\nRateLimit=6/s\nRateLimit=7/s\nRateLimit=8/s\n"
             "[Route /b]\nRespond=200\nRateLimit=1/s\nRateLimit=2/s\nRateLimit=3/s\nRateLimit=4/s\n"
             "RateLimit=5/s\nRateLimit=6/s\nRateLimit=7/s\nRateLimit=8/s\n"
             "[Route /c]\nRespond=200\nRateLimit=1/s\nRateLimit=2/s\nRateLimit=3/s\nRateLimit=4/s\n"
             "RateLimit=5/s\nRateLimit=6/s\nRateLimit=7/s\nRateLimit=8/s\n[Route /d]\nRespond=200\n"
             "RateLimit=1/s"),
         "[Route /d] RateLimit=1/s: with this, the tables of all rate limits together are larger than 1G"},
        {WITH_LISTENER("[Route /]\nRespond=200\nClientCertificateFields=all"),
         "this means something with Upstream= only"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRequireClientCertificate=maybe"), "(accepted: yes or no)"},
        {WITH_LISTENER("[Route /]\nRespond=200\nReplayIdempotencyKey=yes"),
         "this means something with Upstream= only"},
        {WITH_LISTENER("[Upstream u]\nTarget=127.0.0.1"), "the port is missing"},
        {WITH_LISTENER("[Upstream u]\nTarget=[::1]"), "the port is missing"},
        {WITH_LISTENER("[Upstream u]\nTarget=::1:80"), "an IPv6 address stands between '[' and ']'"},
        {WITH_LISTENER("[Upstream u]\nTarget=[::g]:80"), "not an IPv6 address"},
        {WITH_LISTENER("[Upstream u]\nTarget=127.0.0.256:80"), "not an IPv4 address"},
        {WITH_LISTENER("[Upstream u]\nTarget=127.0.0.1:65536"), "the port is not a number from 1 to 65535"},
        {WITH_LISTENER("[Upstream u]\nTarget=127.0.0.1:0"), "the port is not a number from 1 to 65535"},
        {WITH_LISTENER("[Upstream u]\nTarget=/run/x.sock"), "\"unix:\" is missing"},
        {WITH_LISTENER("[Upstream u]\nTarget=unix:x.sock"), "begins with '/'"},
        {WITH_LISTENER("[Upstream u]\nTarget=127.0.0.1:1 weight=257"),
         "the weight is not a number from 0 to 256"},
        {WITH_LISTENER("[Upstream u]\nTarget=127.0.0.1:1 wait=1"), "\"wait=1\" is not understood"},
        {WITH_LISTENER("[Upstream u]\nTarget=127.0.0.1:1 weight=1 x"), "\"x\" is not understood"},
        {WITH_LISTENER("[Check d]\nPath=/var a\tb"), ": \"a\\x09b\" is not understood"},
        {WITH_LISTENER("[Upstream u]\nTarget=127.0.0.1:1\nTarget=127.0.0.1:1 weight=2"),
         "the same address is a target already, at "},
        {WITH_LISTENER("[Upstream u]\nHealthPath=healthz"), "a path that begins with '/'"},
        {WITH_LISTENER("[Upstream orders]\nTarget=127.0.0.1:1\n[Route /]\nUpstream=oders"),
         ":4: [Route /] Upstream=oders: there is no such upstream, is orders meant? (accepted: orders)"},
        {WITH_LISTENER("[Route /]\nUpstream=x"), "there is no [Upstream …] section at all"},
        {WITH_LISTENER("[Route /]"),
         ":1: [Route /]: exactly one of these must be given (accepted: Upstream=, Static="},
        {WITH_LISTENER("[Route /]\nRespond=200\nRedirect=301 /x"),
         ":3: [Route /] Redirect=301 /x: only one of these may be given, and Respond= is at "},
        {WITH_LISTENER("[Route /]\nStatic=relative"), "not an absolute path"},
        {WITH_LISTENER("[Route /]\nStatic=/nowhere/at/all"),
         "Static=/nowhere/at/all: No such file or directory"},
        {WITH_LISTENER("[Route /]\nStatic=/dev/null"), "Static=/dev/null: not a directory"},
        {WITH_LISTENER("[Route /]\nStatic=/\nStaticIndex=a/b"),
         "not the name of a file within the directory"},
        {WITH_LISTENER("[Route /]\nStatic=/\nRespondType=text/html"),
         "this means something with Respond= only"},
        {WITH_LISTENER("[Route /]\nRespond=200\nStaticSymlinks=never"),
         "this means something with Static= only"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRequestTimeoutSec=1s"),
         "this means something with Upstream= only"},
        {WITH_LISTENER("[Route /]\nRespond=199"), "the status is out of range"},
        {WITH_LISTENER("[Route /]\nRespond=600"), "the status is out of range"},
        {WITH_LISTENER("[Route /]\nRespond=301"), "a redirect is made with Redirect="},
        {WITH_LISTENER("[Route /]\nRespond=ok"),
         "Respond=ok: not a valid value (accepted: a status from 200"},
        {WITH_LISTENER("[Route /]\nRespond=204 \"x\""), "a response with this status has no body"},
        {WITH_LISTENER("[Route /]\nRespond=200 x"), "the text does not begin with a double quote"},
        {WITH_LISTENER("[Route /]\nRespond=200 \"x"), "the text does not end in a double quote"},
        {WITH_LISTENER("[Route /]\nRespond=200 \"x\" y"), "something follows the closing double quote"},
        {WITH_LISTENER("[Route /]\nRespond=200 \"\\x\""), "after a backslash only"},
        {WITH_LISTENER("[Route /]\nRespond=200\nRespondType=html"), "a media type"},
        {WITH_LISTENER("[Route /]\nRedirect=200 /x"), "the status is not that of a redirect"},
        {WITH_LISTENER("[Route /]\nRedirect=301"), "the status is not followed by a URL"},
        {WITH_LISTENER("[Route /]\nRedirect=301 //evil.example"), "the status is not followed by a URL"},
        {WITH_LISTENER("[Route /]\nRedirect=301 ftp://x/"), "the status is not followed by a URL"},
        {WITH_LISTENER("[Route /]\nRedirect=301 /a b"), "the status is not followed by a URL"},
        {WITH_LISTENER("[Route /]\nRespond=200\nMethods=GET get"), "unknown method \"get\""},
        {WITH_LISTENER("[Route example.com]\nRespond=200"), "the pattern has no path"},
        {WITH_LISTENER("[Route example.com:80/]\nRespond=200"), "a host is written without a port here"},
        {WITH_LISTENER("[Route exa mple.com/]\nRespond=200"), "\"exa mple.com\" is not a host"},
        {WITH_LISTENER("[Route *example.com/]\nRespond=200"), "is not a host"},
        {WITH_LISTENER("[Route a.*.com/]\nRespond=200"), "is not a host"},
        {WITH_LISTENER("[Route */]\nRespond=200"), "is not a host"},
        {WITH_LISTENER("[Route /a?b]\nRespond=200"), "a character that no path contains"},
        {WITH_LISTENER("[Check c]"),
         "[Check c]: exactly one of these must be given (accepted: Connect=, Http=, Path= or Unit=)"},
        {WITH_LISTENER("[Check c]\nPath=/a\nUnit=a.service"),
         "only one of these may be given, and Path= is at "},
        {WITH_LISTENER("[Check c]\nConnect=redis"), "the port is missing"},
        {WITH_LISTENER("[Check c]\nHttp=https://x/"), "https is not supported here"},
        {WITH_LISTENER("[Check c]\nHttp=x"), "neither http:// nor unix: stands at the beginning"},
        {WITH_LISTENER("[Check c]\nHttp=unix:/run/x"), "\":/path\" is missing"},
        {WITH_LISTENER("[Check c]\nHttp=http://u@x/"), "a user or password in the URL is not supported"},
        {WITH_LISTENER("[Check c]\nPath=/a access=rz"),
         "access= is followed by some of the letters r, w and x"},
        {WITH_LISTENER("[Check c]\nPath=a"), "not an absolute path"},
        {WITH_LISTENER("[Check c]\nUnit=postgresql"), "a unit's name ends in .service"},
        {WITH_LISTENER("[Check c]\nUnit=a/b.service"), "not a unit name"},
        {WITH_LISTENER("[Check c]\nUnit=a.service\nTimeoutSec=infinity"), "too long"},
        {WITH_LISTENER("[Check c]\nUnit=a.service\nRequired=perhaps"),
         "Required=perhaps: not a valid value (accepted: yes or no)"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_refused(f, cases[i].text, cases[i].message);
}

static void test_all_problems_are_listed(void **state)
{
    struct fixture *f = *state;

    write_file(f, "holdfast.conf", "[Gateway]\nThreads=x\nFoo=1\n[Listener a]\nHTTP2=x\n[Bar]\n[Route /]\n");
    load(f);
    assert_int_equal(f->report.n_errors, 5);
    for (size_t i = 0; i < f->report.n_problems; i++) {
        assert_non_null(f->report.problems[i].file);
        assert_int_not_equal(f->report.problems[i].line, 0);
    }

    /* But a file of nothing else is not repeated to the last line. */
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    for (unsigned i = 0; i < 5000; i++)
        strbuf_add_string(&text, "nonsense\n");
    write_file(f, "holdfast.conf", text.data);
    load(f);
    assert_true(f->report.n_problems < 1100);
    assert_int_equal(f->report.n_errors, 5001);
    assert_string_equal(f->report.problems[f->report.n_problems - 1].message,
                        "more problems were found than are listed");
}

static void test_warnings(void **state)
{
    struct fixture *f = *state;

    write_file(f, "holdfast.conf", "[Listener http]\n");
    load(f);
    assert_int_equal(f->result, 0);
    _cleanup_free_ char *all = problems(f);
    assert_string_equal(all, "holdfast.conf: warning: there is no [Route …]: every request gets a 404\n");
}

static void test_credentials(void **state)
{
    struct fixture *f = *state;

    setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x", 1);
    setenv("STATE_DIRECTORY", "/state/a:/state/b", 1);
    load_good(f, WITH_LISTENER("[Listener s]\nProtocol=https\nTLSCertificate=tls.crt\nTLSKey=tls.key"));
    assert_string_equal(f->config->listeners[0].certificates[0].certificate, "/run/credentials/x/tls.crt");
    assert_string_equal(f->config->listeners[0].certificates[0].key, "/run/credentials/x/tls.key");
    assert_string_equal(f->config->gateway.state_directory, "/state/a");
}

static void test_many_routes(void **state)
{
    struct fixture *f = *state;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    strbuf_add_string(&text, "[Listener http]\n");
    for (unsigned i = 0; i < 100000; i++)
        strbuf_addf(&text, "[Route /r%u]\nRespond=204\n", i);
    load_good(f, text.data);
    assert_int_equal(f->config->n_routes, 100000);
    strbuf_add_string(&text, "[Route /more]\nRespond=204\n[Route /most]\nRespond=204\n");
    assert_refused(f, text.data, "[Route /more]: there are more than 100000 routes\n");
    assert_int_equal(f->report.n_errors, 1);
}

/* The table is what manual, completion and messages go by, so it has to be whole. That each default is
 * accepted by its own parser is seen whenever a section is begun. */
static void test_table(void **state)
{
    size_t n;
    const struct config_option *options = config_options(&n);

    for (size_t i = 0; i < n; i++) {
        const struct config_option *o = &options[i];
        assert_true(strlen(o->help) > 0 && strlen(o->accepted) > 0);
        assert_ptr_equal(config_option_find(o->section, o->key), o); /* so no key is there twice */
        for (size_t j = 0; o->choices && o->choices[j]; j++)
            assert_non_null(strstr(o->accepted, o->choices[j]));
        assert_true(!(o->flags & OPTION_DERIVED) || o->fallback);
    }
    assert_null(config_option_find(SECTION_GATEWAY, "threads"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_syntax, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_merging, setup, teardown),
        cmocka_unit_test_setup_teardown(test_masking, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_problems_are_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_warnings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_credentials, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_routes, setup, teardown),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
