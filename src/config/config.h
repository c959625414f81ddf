#pragma once
/* The configuration of one process: read once, checked, immutable from then on, shared by all threads.
 *
 * Objects refer to each other by pointer; everything is owned by struct config. Each object keeps the place
 * it was declared at, for messages. */

#include <sys/socket.h>

#include "util/clock.h"
#include "util/macros.h"
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
    _BALANCE_MAX,
};

struct gateway_config {
    unsigned threads; /* never 0: "auto" is resolved to the number of usable CPUs */
    usec_t drain;     /* DrainSec=; USEC_INFINITY: auto */
    enum access_log access_log;
    uint64_t max_body_size;   /* default for listeners and routes */
    usec_t head_timeout;      /* HeadTimeoutSec=: from the first byte of a request head to its end */
    usec_t body_timeout;      /* BodyTimeoutSec=: between two arrivals of request body bytes */
    usec_t idle_timeout;      /* IdleTimeoutSec=: keep-alive connection without a request */
    usec_t send_timeout;      /* SendTimeoutSec=: response bytes that the client does not take */
    usec_t quiet;             /* QuietSec=: how long idle connections may still bring a request at stop */
    usec_t reload_timeout;    /* ReloadTimeoutSec=: how long a successor may take until it is ready */
    unsigned max_generations; /* MaxGenerations=: with those that still drain */
    char *state_directory;    /* $STATE_DIRECTORY, else /var/lib/holdfast */
    struct config_place place;
};

struct certificate_config {
    char *certificate; /* path, PEM, leaf first */
    char *key;         /* path, PEM */
    struct config_place certificate_place, key_place;
};

struct listener_config {
    char *name; /* the descriptor's name */
    unsigned index;
    enum listener_protocol protocol;
    struct certificate_config *certificates;
    size_t n_certificates;
    enum tls_version tls_minimum;
    char *client_ca;
    enum client_verify client_verify;
    bool http2;
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

struct target_config {
    struct address_config address;
    unsigned index;  /* within the upstream */
    unsigned weight; /* 0 to 256, default 1 */
    struct config_place place;
};

struct upstream_config {
    char *name;
    unsigned index;
    struct target_config *targets;
    size_t n_targets;
    enum balance balance;
    char *health_path;            /* or NULL; kept for health checks */
    usec_t connect_timeout;       /* ConnectTimeoutSec= */
    usec_t first_byte_timeout;    /* FirstByteTimeoutSec=: request sent to response head */
    usec_t between_bytes_timeout; /* BetweenBytesTimeoutSec= */
    usec_t pool_idle_timeout;     /* PoolIdleSec=: pooled connection unused */
    unsigned pool_size;           /* PoolSize=: idle connections kept per target and worker */
    struct config_place place;
};

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
    uint32_t methods; /* METHOD_* bits of router/method.h; all bits when Methods= is not given */
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
