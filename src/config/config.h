#pragma once
/* The configuration of one process: read once, checked, immutable from then on, shared by all threads.
 *
 * Objects refer to each other by pointer; everything is owned by struct config. Each object keeps the place
 * it was declared at, for messages. */

#include <sys/socket.h>

#include "util/clock.h"
#include "util/macros.h"
#include "util/prefix.h"
#include "util/rate.h"
#include "config/report.h"

enum listener_protocol {
    LISTENER_HTTP,
    LISTENER_HTTPS,
    _LISTENER_PROTOCOL_MAX,
};

enum tls_version {
    TLS_VERSION_1_2,
    TLS_VERSION_1_3,
    _TLS_VERSION_MAX,
};

enum client_verify {
    CLIENT_VERIFY_NONE,
    CLIENT_VERIFY_OPTIONAL,
    CLIENT_VERIFY_REQUIRED,
    _CLIENT_VERIFY_MAX,
};

/* What targets are told of a client's certificate. */
enum client_certificate_fields {
    CLIENT_CERTIFICATE_FIELDS_NONE,
    CLIENT_CERTIFICATE_FIELDS_NAMES, /* whose it is */
    CLIENT_CERTIFICATE_FIELDS_ALL,   /* and the certificate itself */
    _CLIENT_CERTIFICATE_FIELDS_MAX,
};

enum access_log {
    ACCESS_LOG_OFF,
    ACCESS_LOG_JOURNAL,
    ACCESS_LOG_STDERR,
    _ACCESS_LOG_MAX,
};

/* What a static route does with symbolic links: never follow; follow while the result stays beneath the
 * root; follow anywhere. */
enum symlinks {
    SYMLINKS_NEVER,
    SYMLINKS_BENEATH,
    SYMLINKS_FOLLOW,
    _SYMLINKS_MAX,
};

enum balance {
    BALANCE_ROUND_ROBIN,
    BALANCE_LEAST_CONNECTIONS,
    BALANCE_RANDOM_TWO,
    BALANCE_HASH,
    _BALANCE_MAX,
};

/* What BALANCE_HASH goes by. */
enum hash_by {
    HASH_BY_CLIENT, /* its address */
    HASH_BY_HEADER,
    HASH_BY_COOKIE,
    _HASH_BY_MAX,
};

/* How a target is asked for its health. */
enum health_check {
    HEALTH_CHECK_OFF,
    HEALTH_CHECK_CONNECT,
    HEALTH_CHECK_HTTP,
    _HEALTH_CHECK_MAX,
};

/* What a breaker's sliding window holds. */
enum breaker_window {
    BREAKER_OFF,
    BREAKER_COUNT, /* the last so many calls */
    BREAKER_TIME,  /* those of the last so many seconds */
    _BREAKER_WINDOW_MAX,
};

struct gateway_config {
    unsigned threads; /* never 0: "auto" is resolved to the number of usable CPUs */
    usec_t drain;     /* DrainSec=; USEC_INFINITY: auto */
    enum access_log access_log;
    uint64_t max_body_size;     /* default for listeners and routes */
    uint64_t body_memory_size;  /* BodyMemorySize=: of one body in memory, beyond that it is on disk */
    uint64_t max_buffered_size; /* MaxBufferedSize=: of all bodies, in memory and on disk */
    unsigned max_connections;   /* MaxConnections=: 0: auto */
    uint64_t max_head_size;     /* MaxHeadSize=: bytes of a request's head, decoded */
    unsigned max_headers;       /* MaxHeaders=: fields in it */
    unsigned rate_clients;      /* RateLimitClients=: how many each RateLimit= knows apart */
    usec_t handshake_timeout;   /* HandshakeTimeoutSec=: of TLS */
    usec_t head_timeout;        /* HeadTimeoutSec=: from the first byte of a request head to its end */
    usec_t body_timeout;        /* BodyTimeoutSec=: of a body that does not come, or too slowly */
    uint64_t body_min_rate;     /* BodyMinRate=: bytes a second; 0: any */
    usec_t idle_timeout;        /* IdleTimeoutSec=: keep-alive connection without a request */
    usec_t send_timeout;        /* SendTimeoutSec=: of a response that is not taken, or too slowly */
    uint64_t send_min_rate;     /* SendMinRate=: bytes a second; 0: any */
    usec_t quiet;               /* QuietSec=: how long idle connections may still bring a request at stop */
    usec_t reload_timeout;      /* ReloadTimeoutSec=: how long a successor may take until it is ready */
    unsigned max_generations;   /* MaxGenerations=: with those that still drain */
    char *state_directory;      /* $STATE_DIRECTORY, else /var/lib/holdfast */
    char *temporary_directory;  /* $TMPDIR, else /var/tmp */
    struct config_place place;
};

struct certificate_config {
    char *certificate; /* path, PEM, leaf first */
    char *key;         /* path, PEM */
    char *ocsp;        /* path, DER, or NULL */
    struct config_place certificate_place, key_place, ocsp_place;
};

struct listener_config {
    char *name; /* the descriptor's name */
    unsigned index;
    enum listener_protocol protocol;
    struct certificate_config *certificates;
    size_t n_certificates;
    enum tls_version tls_minimum;
    bool tls_require_sni;
    usec_t ticket_lifetime; /* TLSTicketRotateSec=; 0: no tickets */
    char *client_ca;
    char *client_crl;
    enum client_verify client_verify;
    bool http2;
    struct prefix_access access;           /* AllowFrom=, DenyFrom= */
    struct prefix_set trusted_proxies;     /* TrustedProxies= */
    bool proxy_protocol;                   /* ProxyProtocol=: each connection begins with its header */
    struct prefix_set proxy_protocol_from; /* ProxyProtocolFrom=: who may speak it */
    unsigned max_connections;              /* MaxConnections=: 0: no limit */
    unsigned max_per_source;               /* MaxConnectionsPerSource=: 0: no limit */
    uint64_t max_body_size;
    usec_t idle_timeout;
    struct config_place place;
};

/* An address as written: unix:/path, unix:@abstract, 1.2.3.4:80, [::1]:80. */
struct address_config {
    char *text;
    struct sockaddr_storage sockaddr;
    socklen_t size;
};

/* Where requests may be sent. Beside those of the configuration there are some that come and go while a
 * process runs: what a host name stands for, and what the operator adds (upstream/roster.h). All have an
 * index less than the upstream's n_slots. */
struct target_config {
    struct address_config address; /* of size 0: a name, which stands for addresses and is none itself */
    bool is_service;               /* the name is that of SRV records */
    unsigned index;                /* within the upstream */
    unsigned weight;               /* 0 to 256, default 1 */
    char *unit;                    /* the systemd unit behind it, or NULL */
    struct config_place place;
};

/* Frees what it holds, not itself. */
void target_deinit(struct target_config *target);

/* See upstream/breaker.h. */
struct breaker_config {
    enum breaker_window window;
    unsigned size;          /* BreakerWindow=: calls, or seconds */
    unsigned minimum_calls; /* BreakerMinimumCalls= */
    unsigned failure_rate;  /* BreakerFailureRate=, percent */
    unsigned slow_rate;     /* BreakerSlowCallRate=, percent */
    usec_t slow_call;       /* BreakerSlowCallSec=: calls that take longer are slow */
    usec_t open;            /* BreakerOpenSec= */
    unsigned half_open;     /* BreakerHalfOpenCalls= */
};

/* See upstream/vitals.h. */
struct health_config {
    enum health_check check;
    char *path; /* HealthPath= */
    unsigned status_first, status_last;
    usec_t interval, timeout, start_period;
    unsigned rise, fall;
    unsigned max_failures; /* MaxFailures=: tries in a row; 0: they do not count */
};

#define UPSTREAM_SLOTS_LIMIT 512

struct upstream_config {
    char *name;
    unsigned index;
    struct target_config *targets;
    size_t n_targets;
    size_t n_slots; /* at least n_targets, at most UPSTREAM_SLOTS_LIMIT; see struct target_config */
    struct {
        enum balance how;
        enum hash_by hash_by;
        char *hash_name; /* of the header or cookie */
    } balance;
    char *unit;               /* Unit=: of targets that name none, or NULL */
    char *sticky;             /* Sticky=: the cookie's name, or NULL */
    usec_t slow_start;        /* SlowStartSec=, 0: none */
    unsigned max_requests;    /* MaxRequests=: at once and target; 0: no limit */
    unsigned max_connections; /* MaxConnections=: idle ones too; 0: no limit */
    struct health_config health;
    struct breaker_config breaker;
    usec_t hold;                  /* HoldSec=, 0: not at all */
    unsigned hold_max;            /* HoldMax=: requests */
    uint64_t hold_max_size;       /* HoldMaxSize=: bytes of them */
    unsigned hold_rate;           /* HoldRate=: how many go out a second */
    unsigned retry_budget;        /* RetryBudget=: percent of the requests */
    unsigned retry_minimum;       /* RetryMinimum=: a second, in any case */
    unsigned max_tries;           /* MaxTries=: of which something was sent */
    usec_t try_timeout;           /* TryTimeoutSec=: from picking a target to its response's head */
    usec_t connect_timeout;       /* ConnectTimeoutSec= */
    usec_t first_byte_timeout;    /* FirstByteTimeoutSec=: request sent to response head */
    usec_t between_bytes_timeout; /* BetweenBytesTimeoutSec= */
    usec_t pool_idle_timeout;     /* PoolIdleSec=: pooled connection unused */
    unsigned pool_size;           /* PoolSize=: idle connections kept per target and worker */
    struct config_place place;
};

/* See http/rate_limit.h. */
struct rate_limit_config {
    struct rate rate;
    char *header;     /* by=header:NAME, or NULL: by=client */
    const char *unit; /* s, min or h */
    char *text;       /* all of it, in one spelling */
    char *name;       /* what responses call it: "client" or the header's, numbered if need be */
    unsigned index;   /* among those of all routes */
};

#define ROUTE_RATE_LIMITS_MAX 8
/* Bytes that a client takes in the table of a limit. */
#define RATE_LIMIT_CLIENT_SIZE 32

/* Frees what it holds, not itself. */
void rate_limit_deinit(struct rate_limit_config *limit);

enum route_kind {
    ROUTE_UPSTREAM,
    ROUTE_STATIC,
    ROUTE_RESPOND,
    ROUTE_REDIRECT,
};

struct route_config {
    char *pattern; /* as in the section's name: [host]/path; also the route's name in records and metrics */
    char *host;    /* "", "shop.example.com" or "*.example.com", lower case */
    char *path;    /* begins with '/' */
    unsigned index;
    uint32_t methods;            /* METHOD_* bits of router/method.h; all bits when Methods= is not given */
    struct prefix_access access; /* AllowFrom=, DenyFrom= */
    enum route_kind kind;
    struct upstream_config *upstream;
    struct {
        char *root;   /* absolute directory */
        char **index; /* NULL-terminated list of index file names; default index.html */
        enum symlinks symlinks;
    } files;
    struct {
        int status;
        char *body;
        char *content_type;
        char *location; /* redirects */
    } respond;
    uint64_t max_body_size;
    struct rate_limit_config *rate_limits; /* RateLimit=: each must pass */
    size_t n_rate_limits;
    bool tell_rate_limits;       /* RateLimitHeaders=: in each response */
    bool replay_idempotency_key; /* ReplayIdempotencyKey= */
    bool require_certificate;    /* RequireClientCertificate= */
    enum client_certificate_fields certificate_fields;
    bool tell_upstream;     /* UpstreamHeaders=: X-Holdfast-… in responses */
    usec_t request_timeout; /* RequestTimeoutSec=: from the whole request's arrival to the response's head */
    struct config_place place;
};

enum check_kind {
    CHECK_CONNECT,
    CHECK_HTTP,
    CHECK_PATH,
    CHECK_UNIT,
};

struct check_config {
    char *name;
    enum check_kind kind;
    char *target; /* as written */
    struct address_config
        address;     /* CONNECT and HTTP; a host name leaves size 0 and is resolved when it runs */
    char *http_host; /* HTTP: authority and path of the URL */
    char *http_path;
    int path_mode; /* PATH: R_OK|W_OK|X_OK, F_OK when only existence is asked */
    usec_t timeout;
    bool required;
    struct config_place place;
};

struct config {
    struct gateway_config gateway;
    struct listener_config *listeners;
    size_t n_listeners;
    struct upstream_config **upstreams;
    size_t n_upstreams;
    struct route_config **routes;
    size_t n_routes;
    size_t n_rate_limits; /* of all routes */
    struct check_config *checks;
    size_t n_checks;
    char **files; /* every file read, in order; NULL-terminated */
};

/* Where the configuration is: a main file, and the directories of its drop-ins, most important first. */
struct config_source {
    const char *file;
    const char *const *dropin_directories; /* NULL-terminated */
};

/* Reads and checks everything. All problems, not just the first, go to `report`; returns 0 and the
 * configuration when no error was reported, otherwise -EBADMSG and nothing. The caller frees the result. */
int config_load(const struct config_source *source, struct config **ret, struct config_report *report)
    _warn_unused_;

#define CONFIG_FILE_DEFAULT "/etc/holdfast/holdfast.conf"

/* The same, for `--config FILE` (FILE and conf.d/ beside it) or, with NULL, for the installed
 * configuration (CONFIG_FILE_DEFAULT; conf.d in /etc/holdfast, /run/holdfast, /usr/lib/holdfast). */
int config_load_default(const char *file, struct config **ret, struct config_report *report) _warn_unused_;

/* Accepts NULL. Returns NULL. */
struct config *config_free(struct config *config);
