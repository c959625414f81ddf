#include <getopt.h>

#include "gateway.h"
#include "lifecycle/spawn.h"

static const char usage[] =
    "Usage: holdfastd [--config FILE] [--check]\n"
    "\n"
    "The HTTP gateway. Its listening sockets come from systemd.\n"
    "\n"
    "  -c, --config FILE  read FILE and conf.d/ beside it instead of /etc/holdfast/holdfast.conf\n"
    "      --check        print what is wrong with the configuration, and exit\n"
    "  -h, --help         print this text\n"
    "      --version      print the version\n"
    "\n"
    "See holdfastd(8) and holdfast.conf(5).\n";

static const char how_to_start[] =
    "holdfastd: no listening sockets were passed. Start it by its sockets:\n"
    "\n"
    "    systemctl start holdfast.socket\n"
    "\n"
    "or, where systemd is not running, by hand:\n"
    "\n"
    "    systemd-socket-activate -l 127.0.0.1:8080 --fdname=http holdfastd --config FILE\n";

static int run(const char *config_file)
{
    struct descriptors descriptors = {0};
    const int channel = spawn_take_channel();
    const int r = descriptors_take(&descriptors);
    if (r == -ENOENT) {
        fputs(how_to_start, stderr);
        return EXIT_USAGE_ERROR;
    }
    if (r < 0) {
        fprintf(stderr, "holdfastd: cannot take the listening sockets: %s\n", strerrordesc_np(-r));
        return EXIT_SOFTWARE_ERROR;
    }
    const struct gateway_options options = {
        .config_file = config_file, .descriptors = &descriptors, .channel = channel};
    struct gateway *gateway = NULL;
    int status = gateway_new(&gateway, &options);
    if (status == 0)
        status = gateway_run(gateway);
    gateway_free(gateway);
    descriptors_deinit(&descriptors);
    return status;
}

int main(int argc, char **argv)
{
    enum { OPTION_CHECK = 256, OPTION_VERSION };
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, OPTION_CHECK},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {0},
    };
    spawn_remember(argv);
    const char *config_file = NULL;
    bool check = false;
    for (int c; (c = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            config_file = optarg;
            break;
        case OPTION_CHECK:
            check = true;
            break;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        case OPTION_VERSION:
            puts("holdfastd " HOLDFAST_VERSION);
            return EXIT_SUCCESS;
        default: /* getopt has said what is wrong */
            fputs("Try 'holdfastd --help'.\n", stderr);
            return EXIT_USAGE_ERROR;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "holdfastd: unexpected argument '%s'\nTry 'holdfastd --help'.\n", argv[optind]);
        return EXIT_USAGE_ERROR;
    }
    return check ? gateway_check(config_file) : run(config_file);
}
