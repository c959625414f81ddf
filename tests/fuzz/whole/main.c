/* A client that is wrong in every way, against a whole gateway.
 *
 *   whole --http-port PORT --https-port PORT --http PATH --admin PATH [--seed N] [--inputs N] [--threads N]
 *   whole … --script N [--dump]     plays one script again, or writes its inputs to stdout
 *
 * After each thousand inputs it asks as a client that means well, and writes a line "inputs N scripts N".
 * Exit status 0: all were sent, and every question was answered. Otherwise, and when it is told to end
 * (SIGTERM), it names the scripts that ran last. */

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "player.h"
#include "util/parse.h"

#define THREADS_MAX 32
#define REMEMBERED 4

struct options {
    struct stream_addresses addresses;
    uint64_t seed, inputs, script, threads;
    bool one, dump;
};

static struct options options = {.seed = 1, .inputs = 5000, .threads = 8};
static _Atomic uint64_t n_scripts, n_inputs;
static atomic_bool failed;
/* What each thread has played last, the latest first. */
static _Atomic uint64_t latest[THREADS_MAX][REMEMBERED];

static void tell_latest(void)
{
    for (unsigned i = 0; i < options.threads; i++)
        for (unsigned j = 0; j < REMEMBERED; j++)
            if (latest[i][j])
                dprintf(STDOUT_FILENO, "latest %" PRIu64 "\n", latest[i][j] - 1);
}

static void on_term(int signal)
{
    tell_latest();
    _exit(1);
}

static void fail(const char *what, uint64_t number)
{
    if (atomic_exchange(&failed, true))
        return;
    printf("failed seed %" PRIu64 " script %" PRIu64 ": %s\n", options.seed, number, what);
    fflush(stdout);
    tell_latest();
}

static bool play(uint64_t number, size_t *ret_inputs)
{
    struct script script;

    script_begin(&script, options.seed, number);
    switch (player_play(&script, &options.addresses, ret_inputs)) {
    case PLAYED_STUCK:
        fail("it has neither answered nor closed", number);
        return false;
    case PLAYED_ALONE:
        fail("nobody takes connections", number);
        return false;
    default:
        return true;
    }
}

/* Everything is still served. */
static void ask(uint64_t number)
{
    static const struct {
        enum script_place place;
        const char *target;
    } questions[] = {{SCRIPT_UNIX, "/hello"},
                     {SCRIPT_TCP, "/static/page.html"},
                     {SCRIPT_TLS, "/hello"},
                     {SCRIPT_UNIX, "/headers"},
                     {SCRIPT_ADMIN, "/v1/status"}};

    for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
        if (!player_ask(&options.addresses, questions[i].place, questions[i].target, number)) {
            fail(questions[i].target, number);
            return;
        }
}

static void count(uint64_t number, size_t inputs)
{
    const uint64_t before = atomic_fetch_add(&n_inputs, inputs), after = before + inputs;

    if (before / 1000 == after / 1000)
        return;
    ask(number);
    printf("inputs %" PRIu64 " scripts %" PRIu64 "\n", after / 1000 * 1000, atomic_load(&n_scripts));
    fflush(stdout);
}

static void *run(void *argument)
{
    _Atomic uint64_t *mine = argument;

    while (!atomic_load(&failed) && atomic_load(&n_inputs) < options.inputs) {
        const uint64_t number = atomic_fetch_add(&n_scripts, 1);
        size_t inputs;
        for (unsigned j = REMEMBERED - 1; j > 0; j--)
            mine[j] = mine[j - 1];
        mine[0] = number + 1;
        if (play(number, &inputs))
            count(number, inputs);
    }
    return NULL;
}

static void run_all(void)
{
    pthread_t threads[THREADS_MAX];

    for (unsigned i = 0; i < options.threads; i++)
        if (pthread_create(&threads[i], NULL, run, latest[i]) != 0)
            abort();
    for (unsigned i = 0; i < options.threads; i++)
        pthread_join(threads[i], NULL);
    if (!failed)
        ask(0);
    printf("inputs %" PRIu64 " scripts %" PRIu64 "\n", n_inputs, n_scripts);
}

static void dump(void)
{
    _cleanup_strbuf_ struct strbuf input = STRBUF_INIT;
    struct script script;
    bool pause;

    script_begin(&script, options.seed, options.script);
    fprintf(stderr, "%s, %s\n", script_place_to_string(script.place), script.is_http2 ? "HTTP/2" : "HTTP/1");
    while (script_next(&script, &input, &pause))
        fwrite(input.data, 1, input.size, stdout);
}

static uint64_t number_of(const char *text, uint64_t max)
{
    uint64_t n;

    if (parse_u64(text, 0, max, &n) < 0) {
        fprintf(stderr, "whole: \"%s\" is not a number from 0 to %" PRIu64 "\n", text, max);
        exit(2);
    }
    return n;
}

static void parse(int argc, char **argv)
{
    static const struct option known[] = {{"http-port", required_argument, NULL, 'h'},
                                          {"https-port", required_argument, NULL, 's'},
                                          {"http", required_argument, NULL, 'u'},
                                          {"admin", required_argument, NULL, 'a'},
                                          {"seed", required_argument, NULL, 'S'},
                                          {"inputs", required_argument, NULL, 'n'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"script", required_argument, NULL, 'o'},
                                          {"dump", no_argument, NULL, 'd'},
                                          {0}};

    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;)
        switch (c) {
        case 'h':
            options.addresses.http_port = (unsigned)number_of(optarg, 65535);
            break;
        case 's':
            options.addresses.https_port = (unsigned)number_of(optarg, 65535);
            break;
        case 'u':
            options.addresses.http_path = optarg;
            break;
        case 'a':
            options.addresses.admin_path = optarg;
            break;
        case 'S':
            options.seed = number_of(optarg, UINT64_MAX);
            break;
        case 'n':
            options.inputs = number_of(optarg, UINT64_MAX);
            break;
        case 't':
            options.threads = MAX(number_of(optarg, THREADS_MAX), 1u);
            break;
        case 'o':
            options.script = number_of(optarg, UINT64_MAX);
            options.one = true;
            break;
        case 'd':
            options.dump = true;
            break;
        default:
            exit(2);
        }
}

int main(int argc, char **argv)
{
    size_t inputs;

    parse(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_term);
    if (options.dump) {
        dump();
        return 0;
    }
    if (!options.addresses.http_port || !options.addresses.https_port || !options.addresses.http_path ||
        !options.addresses.admin_path) {
        fputs("whole: --http-port, --https-port, --http and --admin are needed\n", stderr);
        return 2;
    }
    options.addresses.tls = SSL_CTX_new(TLS_client_method());
    if (options.one)
        (void)play(options.script, &inputs);
    else
        run_all();
    SSL_CTX_free(options.addresses.tls);
    return failed ? 1 : 0;
}
