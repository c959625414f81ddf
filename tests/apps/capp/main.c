#include <getopt.h>

#include "app.h"

static const char help[] =
    "Usage: capp [OPTION]...\n"
    "An HTTP/1.1 app for tests. GET /help lists its endpoints.\n"
    "\n"
    "      --listen=ADDRESS     127.0.0.1:9001, [::1]:9001, unix:/path; may be repeated; sockets passed by\n"
    "                           systemd are served as well\n"
    "      --name=NAME          said in X-App and by GET / [capp]\n"
    "      --ledger=FILE        where /ledger writes\n"
    "      --prefix=/PATH       taken off the paths of requests that have it\n"
    "      --max-requests=N     close a connection, unannounced, after N requests\n"
    "      --idle-timeout=MS    close a connection, unannounced, when it was idle so long\n"
    "      --start-delay=MS     listen, and be ready, so late\n"
    "      --drain-timeout=MS   after SIGTERM, give up what still runs then [30000]\n"
    "      --work=MS            work so long on each request, on one at a time\n"
    "      --broken             answer 500 to everything, until POST /break?on=0\n"
    "      --help\n";

static int parse_number(const char *option, const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || n > 1000000000) {
        fprintf(stderr, "capp: --%s: '%s' is not a number\n", option, text);
        return -EINVAL;
    }
    *ret = n;
    return 0;
}

static int parse(struct app_options *o, int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},
        {"name", required_argument, NULL, 'n'},
        {"ledger", required_argument, NULL, 'L'},
        {"max-requests", required_argument, NULL, 'm'},
        {"idle-timeout", required_argument, NULL, 'i'},
        {"start-delay", required_argument, NULL, 's'},
        {"prefix", required_argument, NULL, 'p'},
        {"drain-timeout", required_argument, NULL, 'd'},
        {"work", required_argument, NULL, 'w'},
        {"broken", no_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option, index = 0;
    while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
        uint64_t n = 0;
        if (strchr("misdw", option) && parse_number(options[index].name, optarg, &n) < 0)
            return -EINVAL;
        if (option == 'l' && o->n_listen < APP_LISTENERS)
            o->listen[o->n_listen++] = optarg;
        else if (option == 'n')
            o->name = optarg;
        else if (option == 'L')
            o->ledger = optarg;
        else if (option == 'p')
            o->prefix = optarg;
        else if (option == 'm')
            o->max_requests = n;
        else if (option == 'i')
            o->idle_timeout = n * USEC_PER_MSEC;
        else if (option == 's')
            o->start_delay = n * USEC_PER_MSEC;
        else if (option == 'd')
            o->drain_timeout = n * USEC_PER_MSEC;
        else if (option == 'w')
            o->work = n * USEC_PER_MSEC;
        else if (option == 'b')
            o->broken = true;
        else if (option == 'h') {
            fputs(help, stdout);
            return 1;
        } else
            return -EINVAL;
    }
    if (optind != argc) {
        fprintf(stderr, "capp: '%s' is not an option\n", argv[optind]);
        return -EINVAL;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct app_options options = {
        .name = "capp",
        .idle_timeout = USEC_INFINITY,
        .drain_timeout = 30 * USEC_PER_SEC,
    };
    int r = parse(&options, argc, argv);
    if (r != 0)
        return r < 0 ? 2 : 0;

    _cleanup_(app_deinit)
    struct app app;
    r = app_init(&app, &options);
    if (r == 0)
        r = app_loop(&app);
    if (r < 0)
        fprintf(stderr, "capp: %s\n", strerror(-r));
    return r < 0 ? 1 : 0;
}
