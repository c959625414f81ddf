#include <getopt.h>
#include <stdarg.h>

#include "ctl/ctl.h"
#include "util/parse.h"
#include "util/suggest.h"

#define DEFAULT_ADMIN "/run/holdfast/admin.sock"
#define DEFAULT_TIMEOUT (5 * USEC_PER_SEC)

enum {
    OPTION_JSON = 256,
    OPTION_ADMIN,
    OPTION_TIMEOUT,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"admin", required_argument, NULL, OPTION_ADMIN}, {"help", no_argument, NULL, 'h'},
    {"json", no_argument, NULL, OPTION_JSON},         {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"version", no_argument, NULL, OPTION_VERSION},   {0},
};

void ctl_error(const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fputs("holdfastctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* The synopsis, and beside or, where that is too long, beneath it the lines of the help. */
static void print_help(const char *synopsis, const char *help)
{
    const int width = 14;
    printf("  %-*s", width, synopsis);
    if (strlen(synopsis) > (size_t)width)
        printf("\n  %-*s", width, "");
    for (const char *end; (end = strchr(help, '\n')); help = end + 1) {
        printf("  ");
        fwrite(help, 1, (size_t)(end - help), stdout);
        printf("\n  %-*s", width, "");
    }
    printf("  %s\n", help);
}

int ctl_help(const struct ctl_options *options, char **arguments)
{
    printf("Usage: holdfastctl [OPTIONS] VERB\n\nVerbs:\n");
    for (const struct ctl_verb *verb = ctl_verbs; verb->name; verb++) {
        char synopsis[64];
        snprintf(synopsis, sizeof(synopsis), "%s %s", verb->name, verb->arguments);
        print_help(synopsis, verb->help);
    }
    printf("\nOptions:\n"
           "  --admin PATH    the gateway's admin socket (default: $HOLDFAST_ADMIN,\n"
           "                  or " DEFAULT_ADMIN ")\n"
           "  --json          print JSON\n"
           "  --timeout TIME  wait that long for an answer, for example 500ms (default: 5s;\n"
           "                  reload: as long as it takes)\n"
           "  -h, --help      print this help\n"
           "  --version       print the version\n"
           "\nExit status: 0 done, 1 refused or failed, 2 usage.\n");
    return CTL_OK;
}

static const struct ctl_verb *find_verb(const char *name)
{
    for (const struct ctl_verb *verb = ctl_verbs; verb->name; verb++)
        if (streq(verb->name, name))
            return verb;
    return NULL;
}

int ctl_usage_hint(void)
{
    fprintf(stderr, "Try 'holdfastctl help'.\n");
    return CTL_USAGE;
}

static int unknown_verb(const char *name)
{
    struct suggestion suggestion;
    suggest_init(&suggestion, name);
    for (const struct ctl_verb *verb = ctl_verbs; verb->name; verb++)
        suggest_consider(&suggestion, verb->name);
    if (suggestion.best)
        ctl_error("there is no verb '%s'; did you mean '%s'?", name, suggestion.best);
    else
        ctl_error("there is no verb '%s'", name);
    return ctl_usage_hint();
}

static int run_verb(const struct ctl_options *options, char **words)
{
    if (!words[0]) {
        ctl_error("no verb given");
        return ctl_usage_hint();
    }
    const struct ctl_verb *verb = find_verb(words[0]);
    if (!verb)
        return unknown_verb(words[0]);
    int n = 0;
    while (words[1 + n])
        n++;
    if (n > verb->max_arguments) {
        ctl_error("%s takes %s, '%s' is too much", verb->name,
                  verb->max_arguments > 0 ? verb->arguments : "no argument", words[1 + verb->max_arguments]);
        return ctl_usage_hint();
    }
    if (options->json && !verb->has_json) {
        ctl_error("%s has no JSON form", verb->name);
        return ctl_usage_hint();
    }
    struct ctl_options own = *options;
    if (own.timeout == 0)
        own.timeout = verb->timeout != 0 ? verb->timeout : DEFAULT_TIMEOUT;
    return verb->run(&own, words + 1);
}

/* Options from the environment, for what the command line leaves open. */
static void take_environment(struct ctl_options *options)
{
    const char *admin = getenv("HOLDFAST_ADMIN");
    if (admin && *admin)
        options->admin = admin;

    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    options->is_terminal = isatty(STDOUT_FILENO);
    options->colours =
        options->is_terminal && !(no_colour && *no_colour) && terminal && !streq(terminal, "dumb");
}

/* What was printed must have arrived: a full disk is a failure too. */
static int finish_output(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        ctl_error("cannot write to standard output: %s", strerror(errno));
        return status == CTL_OK ? CTL_FAILED : status;
    }
    return status;
}

int main(int argc, char **argv)
{
    struct ctl_options options = {.admin = DEFAULT_ADMIN};
    take_environment(&options);

    for (int option; (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
        switch (option) {
        case OPTION_ADMIN:
            options.admin = optarg;
            break;
        case OPTION_JSON:
            options.json = true;
            break;
        case OPTION_TIMEOUT:
            if (parse_duration(optarg, &options.timeout) < 0 || options.timeout == 0) {
                ctl_error("--timeout=%s is not a time span; accepted: for example 500ms, 5s, infinity",
                          optarg);
                return CTL_USAGE;
            }
            break;
        case OPTION_VERSION:
            printf("holdfastctl " HOLDFAST_VERSION "\n");
            return finish_output(CTL_OK);
        case 'h':
            return finish_output(ctl_help(&options, NULL));
        default:
            return ctl_usage_hint();
        }
    }
    return finish_output(run_verb(&options, argv + optind));
}
