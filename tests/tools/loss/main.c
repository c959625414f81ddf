/* loss: the client that judges whether requests are lost. It keeps connections alive, never retries, and says
 * of every request how it ended. See --help. */

#include "report.h"

static int report(struct run *run)
{
    int r = run_close_files(run);
    if (r < 0)
        return r;
    if (run->options->json)
        r = report_print_json(run, stdout);
    else
        report_print(run, stdout);
    if (r == 0 && fflush(stdout) != 0)
        r = -errno;
    return r;
}

int main(int argc, char **argv)
{
    struct options options;
    int r = options_parse(&options, argc, argv);
    if (r != 0)
        return r < 0 ? 2 : 0;

    _cleanup_(run_deinit)
    struct run run;
    r = run_init(&run, &options);
    if (r < 0)
        return 2;
    r = run_loop(&run);
    if (r == 0)
        r = report(&run);
    if (r < 0) {
        fprintf(stderr, "loss: %s\n", strerror(-r));
        return 2;
    }
    return tally_lost(&run.tally) == 0 ? 0 : 1;
}
