#pragma once
/* capp: an HTTP/1.1 app for the tests and the benchmark, in C: one thread, epoll, keep-alive. It serves each
 * shape that a response can have, and on request misbehaves in each way an app can. The list of endpoints is
 * in endpoints.c. */

#include "ledger.h"
#include "timers.h"
#include "util/list.h"
#include "util/slice.h"
#include "util/strbuf.h"

#define APP_LISTENERS 64

struct app_options {
    const char *name; /* says X-App in every response */
    const char *listen[APP_LISTENERS];
    size_t n_listen;
    const char *ledger;    /* or NULL */
    const char *prefix;    /* of paths, taken off if it is there; or NULL */
    uint64_t max_requests; /* per connection, which is then closed without a word; 0: any number */
    usec_t idle_timeout;   /* an idle connection is closed without a word; USEC_INFINITY: never */
    usec_t start_delay;    /* before it listens, and is ready */
    usec_t drain_timeout;  /* from SIGTERM to giving up what still runs */
    usec_t work;           /* on each request, during which nothing else is done */
    bool broken;           /* from the start */
};

struct app {
    const struct app_options *options;
    struct timers timers;
    struct ledger ledger;
    int epoll_fd, signal_fd;
    int listeners[APP_LISTENERS];
    size_t n_listeners;
    struct list connections;
    size_t n_connections;
    bool draining;
    bool unhealthy;    /* what /healthz says */
    bool broken;       /* everything is answered with 500 */
    uint64_t accepted; /* connections */
    uint64_t requests;
    uint64_t in_flight;
    uint64_t aborted; /* requests whose client went away before the response was whole */
    struct timer drain_timer;
};

/* Opens, or takes from systemd, what it listens on. Says what is wrong and returns a negative errno. */
int app_init(struct app *app, const struct app_options *options) _warn_unused_;
void app_deinit(struct app *app);
/* Until SIGTERM or SIGINT, and what was in progress then is done. */
int app_loop(struct app *app) _warn_unused_;
