#include "options.h"

#include <getopt.h>
#include <math.h>

static const char help[] =
    "Usage: loss [OPTION]... TARGET\n"
    "Send HTTP/1.1 requests over keep-alive connections, never retry one, and account for how each ended.\n"
    "\n"
    "TARGET is 127.0.0.1:8080, [::1]:8080, localhost:8080, unix:/path or unix:@abstract.\n"
    "\n"
    "  -c, --connections=N       connections, each with one request at a time [64]\n"
    "  -n, --requests=N          end after N requests\n"
    "  -d, --duration=SECONDS    end after this time [10, if neither -n nor --idle]\n"
    "      --think=MIN[-MAX]     pause before each request, uniform, in ms [0]\n"
    "      --rate=R              R requests per second over all connections; latency counts from when a\n"
    "                            request was due\n"
    "      --per-connection=N    close a connection (from this side) after N requests\n"
    "\n"
    "      --path=PATH           [/]\n"
    "      --host=NAME           the Host field [localhost]\n"
    "      --method=METHOD       [GET, POST if there is a body]\n"
    "      --body=BYTES          size of the request body, which begins with the request's id\n"
    "      --header='NAME: VALUE'  a further field; may be repeated\n"
    "      --idempotency-key     a field of that name: the request's id, quoted\n"
    "      --verify              the response body must contain the request's id (in its first 4096 bytes)\n"
    "      --verify-echo         the response body must be the request body\n"
    "      --timeout=SECONDS     for a response, from its request [30]\n"
    "      --connect-timeout=SECONDS  [5]\n"
    "\n"
    "      --idle=N              open N connections, send one request on each, keep them idle; at SIGUSR1 "
    "(or\n"
    "                            after --idle-for=SECONDS) send another on each, and end\n"
    "      --at-once             with --idle: the other requests all at the same time, not 64 at a time\n"
    "      --outcomes=FILE       a line for each request: its id, its status or how else it ended, the "
    "microseconds\n"
    "                            that took, the number of the connection\n"
    "      --ledger=FILE         write the ids of requests answered 2xx, one per line\n"
    "      --json                the report as JSON\n"
    "      --progress            a line per second on stderr\n"
    "      --seed=N              of think times [1]\n"
    "      --help\n"
    "\n"
    "Every request has a unique X-Request-ID. A request is lost unless a whole response comes that is not a\n"
    "5xx. A connection that the server closes between two requests is a forced reconnect: announced (with\n"
    "Connection: close) or not. The end of a connection seen before a byte of the next request was written\n"
    "loses nothing; after that it does. SIGINT and SIGTERM end the run when the requests in progress are\n"
    "done; a second one at once.\n"
    "\n"
    "Exit status: 0 no request was lost, 1 some were, 2 usage or a failure of the client itself.\n";

static int fail(const char *option, const char *value, const char *accepted)
{
    fprintf(stderr, "loss: %s: '%s' is not %s\n", option, value, accepted);
    return -EINVAL;
}

static int parse_count(const char *option, const char *value, uint64_t min, uint64_t max, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(value, &end, 10);
    if (errno != 0 || *end != '\0' || end == value || value[0] == '-' || n < min || n > max) {
        fprintf(stderr, "loss: %s: '%s' is not a number from %llu to %llu\n", option, value,
                (unsigned long long)min, (unsigned long long)max);
        return -EINVAL;
    }
    *ret = n;
    return 0;
}

static int parse_real(const char *option, const char *value, double *ret)
{
    char *end;
    double x = strtod(value, &end);
    if (end == value || *end != '\0' || !isfinite(x) || x < 0 || x > 1e9)
        return fail(option, value, "a non-negative number");
    *ret = x;
    return 0;
}

static int parse_seconds(const char *option, const char *value, usec_t *ret)
{
    double seconds;
    int r = parse_real(option, value, &seconds);
    if (r == 0)
        *ret = (usec_t)(seconds * (double)USEC_PER_SEC);
    return r;
}

static int parse_think(const char *option, const char *value, usec_t *ret_min, usec_t *ret_max)
{
    double min, max;
    char *end;
    min = max = strtod(value, &end);
    if (end != value && *end == '-' && end[1] != '\0')
        max = strtod(end + 1, &end);
    if (end == value || *end != '\0' || !(min >= 0) || !(max >= min) || max > 1e6)
        return fail(option, value, "MS or MIN-MAX, in milliseconds");
    *ret_min = (usec_t)(min * (double)USEC_PER_MSEC);
    *ret_max = (usec_t)(max * (double)USEC_PER_MSEC);
    return 0;
}

static int add_header(struct options *o, const char *option, const char *value)
{
    if (!strchr(value, ':') || strpbrk(value, "\r\n"))
        return fail(option, value, "'NAME: VALUE'");
    if (o->n_headers == OPTIONS_HEADERS)
        return fail(option, value, "accepted: too many of them");
    o->headers[o->n_headers++] = value;
    return 0;
}

enum {
    OPT_THINK = 256,
    OPT_RATE,
    OPT_PER_CONNECTION,
    OPT_PATH,
    OPT_HOST,
    OPT_METHOD,
    OPT_BODY,
    OPT_HEADER,
    OPT_IDEMPOTENCY_KEY,
    OPT_VERIFY,
    OPT_VERIFY_ECHO,
    OPT_TIMEOUT,
    OPT_CONNECT_TIMEOUT,
    OPT_IDLE,
    OPT_IDLE_FOR,
    OPT_AT_ONCE,
    OPT_OUTCOMES,
    OPT_LEDGER,
    OPT_JSON,
    OPT_PROGRESS,
    OPT_SEED,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"connections", required_argument, NULL, 'c'},
    {"requests", required_argument, NULL, 'n'},
    {"duration", required_argument, NULL, 'd'},
    {"think", required_argument, NULL, OPT_THINK},
    {"rate", required_argument, NULL, OPT_RATE},
    {"per-connection", required_argument, NULL, OPT_PER_CONNECTION},
    {"path", required_argument, NULL, OPT_PATH},
    {"host", required_argument, NULL, OPT_HOST},
    {"method", required_argument, NULL, OPT_METHOD},
    {"body", required_argument, NULL, OPT_BODY},
    {"header", required_argument, NULL, OPT_HEADER},
    {"idempotency-key", no_argument, NULL, OPT_IDEMPOTENCY_KEY},
    {"verify", no_argument, NULL, OPT_VERIFY},
    {"verify-echo", no_argument, NULL, OPT_VERIFY_ECHO},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"connect-timeout", required_argument, NULL, OPT_CONNECT_TIMEOUT},
    {"idle", required_argument, NULL, OPT_IDLE},
    {"idle-for", required_argument, NULL, OPT_IDLE_FOR},
    {"at-once", no_argument, NULL, OPT_AT_ONCE},
    {"outcomes", required_argument, NULL, OPT_OUTCOMES},
    {"ledger", required_argument, NULL, OPT_LEDGER},
    {"json", no_argument, NULL, OPT_JSON},
    {"progress", no_argument, NULL, OPT_PROGRESS},
    {"seed", required_argument, NULL, OPT_SEED},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

static int parse_option(struct options *o, int option, const char *name, const char *value)
{
    uint64_t n = 0;
    int r = 0;
    switch (option) {
    case 'c':
    case OPT_IDLE:
        r = parse_count(name, value, 1, 1000000, &n);
        o->connections = (unsigned)n;
        o->idle |= option == OPT_IDLE;
        return r;
    case 'n':
        return parse_count(name, value, 1, UINT64_MAX, &o->requests);
    case 'd':
        return parse_seconds(name, value, &o->duration);
    case OPT_THINK:
        return parse_think(name, value, &o->think_min, &o->think_max);
    case OPT_RATE:
        return parse_real(name, value, &o->rate);
    case OPT_PER_CONNECTION:
        return parse_count(name, value, 1, UINT64_MAX, &o->per_connection);
    case OPT_PATH:
        o->path = value;
        return value[0] != '/' || strpbrk(value, " \r\n") ? fail(name, value, "a path that begins with '/'")
                                                          : 0;
    case OPT_HOST:
        o->host = value;
        return strpbrk(value, " \r\n") ? fail(name, value, "a host name") : 0;
    case OPT_METHOD:
        o->method = value;
        return *value == '\0' || strpbrk(value, " \r\n") ? fail(name, value, "a method") : 0;
    case OPT_BODY:
        return parse_count(name, value, 0, UINT64_C(1) << 32, &o->body_size);
    case OPT_HEADER:
        return add_header(o, name, value);
    case OPT_IDEMPOTENCY_KEY:
        o->idempotency_key = true;
        return 0;
    case OPT_VERIFY:
        o->verify_id = true;
        return 0;
    case OPT_VERIFY_ECHO:
        o->verify_echo = true;
        return 0;
    case OPT_TIMEOUT:
        return parse_seconds(name, value, &o->timeout);
    case OPT_CONNECT_TIMEOUT:
        return parse_seconds(name, value, &o->connect_timeout);
    case OPT_IDLE_FOR:
        return parse_seconds(name, value, &o->idle_for);
    case OPT_AT_ONCE:
        o->at_once = true;
        return 0;
    case OPT_OUTCOMES:
        o->outcomes = value;
        return 0;
    case OPT_LEDGER:
        o->ledger = value;
        return 0;
    case OPT_JSON:
        o->json = true;
        return 0;
    case OPT_PROGRESS:
        o->progress = true;
        return 0;
    case OPT_SEED:
        return parse_count(name, value, 1, UINT64_MAX, &o->seed);
    case OPT_HELP:
        fputs(help, stdout);
        return 1;
    default: /* getopt has said what is wrong */
        fputs("Try 'loss --help'.\n", stderr);
        return -EINVAL;
    }
}

static const char *option_name(int option)
{
    for (const struct option *o = long_options; o->name; o++)
        if (o->val == option)
            return o->name;
    return "option";
}

int options_parse(struct options *ret, int argc, char **argv)
{
    *ret = (struct options){
        .host = "localhost",
        .path = "/",
        .connections = 64,
        .duration = USEC_INFINITY,
        .timeout = 30 * USEC_PER_SEC,
        .connect_timeout = 5 * USEC_PER_SEC,
        .idle_for = USEC_INFINITY,
        .seed = 1,
    };
    int option;
    while ((option = getopt_long(argc, argv, "c:n:d:", long_options, NULL)) != -1) {
        int r = parse_option(ret, option, option_name(option), optarg);
        if (r != 0)
            return r;
    }
    if (optind + 1 != argc) {
        fputs("loss: one TARGET is needed. Try 'loss --help'.\n", stderr);
        return -EINVAL;
    }
    ret->target = argv[optind];
    if (address_parse(ret->target, &ret->address) < 0)
        return fail("TARGET", ret->target, "HOST:PORT, [ADDRESS]:PORT or unix:PATH");
    if (ret->idle && (ret->requests || ret->duration != USEC_INFINITY || ret->rate > 0)) {
        fputs("loss: --idle sends two requests on each connection; --requests, --duration and --rate do not "
              "go with it\n",
              stderr);
        return -EINVAL;
    }
    if (ret->at_once && !ret->idle) {
        fputs("loss: --at-once goes with --idle only\n", stderr);
        return -EINVAL;
    }
    if (!ret->idle && ret->requests == 0 && ret->duration == USEC_INFINITY)
        ret->duration = 10 * USEC_PER_SEC;
    if (!ret->method)
        ret->method = ret->body_size > 0 ? "POST" : "GET";
    return 0;
}
