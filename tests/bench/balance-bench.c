/* What a pick costs, and what it is worth.
 *
 * Usage: balance-bench [cost] [shares] [slow]; all three without. Each prints a table:
 *
 *   cost    ALGORITHM TARGETS MEDIAN MINIMUM, over batches, nanoseconds of CPU time of a pick with its
 *           balance_begin() and balance_end()
 *   shares  how far 10,000 targets of weights 1 to 256 are from their share in the worst case, in percent; of
 *           round robin a percent is too much
 *   slow    ALGORITHM MEDIAN P99, milliseconds, of requests to four targets of which one is slow, in
 * simulated time; random-two must be better than round robin
 *
 * Exit status 1 when something is not as it must be. */

#include <math.h>

#include "upstream/balance.h"

#define TARGETS_MAX 10000

static const char *const names[_BALANCE_MAX] = {"round-robin", "least-connections", "random-two", "hash"};

static struct balance_set *make(enum balance how, unsigned n, unsigned weight_max)
{
    struct balance_set *set = balance_new(&(struct balance_options){.how = how, .n_slots = n, .seed = 1});

    for (unsigned i = 0; i < n; i++) {
        balance_add(set, i, i % weight_max + 1, balance_hash(&i, sizeof(i)));
        balance_set_usable(set, i, true, false, 0);
    }
    return set;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- cost ------------------------------------------------------------------------------------------------
 */

enum { BATCHES = 41, PICKS_PER_BATCH = 20000, IN_FLIGHT = 256 };

static double time_batch(struct balance_set *set, uint64_t *n_picks)
{
    static int in_flight[IN_FLIGHT];
    struct timespec begin, end;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    for (unsigned i = 0; i < PICKS_PER_BATCH; i++, (*n_picks)++) {
        int *place = &in_flight[*n_picks % IN_FLIGHT];
        if (*n_picks >= IN_FLIGHT)
            balance_end(set, (unsigned)*place);
        *place = balance_pick(set, &(struct balance_request){.hash = *n_picks});
        balance_begin(set, (unsigned)*place);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
           PICKS_PER_BATCH;
}

static bool show_cost(void)
{
    static const unsigned sizes[] = {4, 64, 1000, TARGETS_MAX};
    double batches[BATCHES];

    for (enum balance how = 0; how < _BALANCE_MAX; how++)
        for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
            struct balance_set *set = make(how, sizes[s], 3);
            uint64_t n_picks = 0;

            time_batch(set, &n_picks);
            for (unsigned i = 0; i < BATCHES; i++)
                batches[i] = time_batch(set, &n_picks);
            qsort(batches, BATCHES, sizeof(*batches), compare_doubles);
            printf("%-18s %6u %8.1f %8.1f\n", names[how], sizes[s], batches[BATCHES / 2], batches[0]);
            fflush(stdout);
            balance_free(set);
        }
    return true;
}

/* ---- shares ----------------------------------------------------------------------------------------------
 */

/* Of targets of `weight_min` and more. */
static double worst_share(const unsigned *picks, uint64_t n_picks, unsigned weight_min)
{
    double total = 0, worst = 0;

    for (unsigned i = 0; i < TARGETS_MAX; i++)
        total += i % 256 + 1;
    for (unsigned i = 0; i < TARGETS_MAX; i++) {
        double share = (double)n_picks * (i % 256 + 1) / total;
        if (i % 256 + 1 >= weight_min)
            worst = fmax(worst, fabs(picks[i] / share - 1));
    }
    return worst * 100;
}

static bool show_shares(void)
{
    static const enum balance hows[] = {BALANCE_ROUND_ROBIN, BALANCE_RANDOM_TWO, BALANCE_HASH};
    bool good = true;

    for (size_t h = 0; h < ARRAY_SIZE(hows); h++) {
        struct balance_set *set = make(hows[h], TARGETS_MAX, 256);
        unsigned *picks = xcalloc(TARGETS_MAX, sizeof(*picks));
        /* Round robin is within two picks at any time, so that weight 1 is to have two hundred. */
        const uint64_t n = UINT64_C(200) * TARGETS_MAX * 129 / (hows[h] == BALANCE_ROUND_ROBIN ? 1 : 16);

        for (uint64_t i = 0; i < n; i++)
            picks[balance_pick(set, &(struct balance_request){.hash = i})]++;
        double all = worst_share(picks, n, 1), heavy = worst_share(picks, n, 128);
        printf("%-18s %11lu picks: %6.2f %%, of weight 128 and more %6.2f %%\n", names[hows[h]],
               (unsigned long)n, all, heavy);
        fflush(stdout);
        if (hows[h] == BALANCE_ROUND_ROBIN && all > 1)
            good = false;
        free(picks);
        balance_free(set);
    }
    return good;
}

/* ---- a slow target ---------------------------------------------------------------------------------------
 */

/* Each target works on WORKERS requests at once and lets the others wait. A request takes SERVICE
 * milliseconds on average, of exponential distribution, and SLOWNESS times that at the slow target. Requests
 * come at random, so many that round robin does not quite overload the slow one. */
enum { TARGETS = 4, SLOW = 0, WORKERS = 8, SERVICE = 10, SLOWNESS = 5, REQUESTS = 200000 };
#define LOAD_OF_SLOW 0.9 /* in round robin */

struct running {
    double end;
    unsigned target;
};

static double random_exponential(uint64_t *random, double mean)
{
    return -mean * log(((double)(balance_random(random) >> 11) + 1) / (double)(UINT64_C(1) << 53));
}

/* What is in flight, in no order: there are never many. */
static void end_those_before(struct balance_set *set, struct running *running, size_t *n, double now)
{
    for (size_t i = 0; i < *n;)
        if (running[i].end <= now) {
            balance_end(set, running[i].target);
            running[i] = running[--*n];
        } else
            i++;
}

static void simulate(enum balance how, double *ret_median, double *ret_p99)
{
    struct balance_set *set = make(how, TARGETS, 1);
    struct running *running = xcalloc(REQUESTS, sizeof(*running));
    double *times = xcalloc(REQUESTS, sizeof(*times));
    double free_at[TARGETS][WORKERS] = {0}, now = 0;
    size_t n_running = 0;
    uint64_t random = 7; /* the same requests for each algorithm */

    for (unsigned i = 0; i < REQUESTS; i++) {
        now += random_exponential(&random, (double)SERVICE * SLOWNESS / WORKERS / TARGETS / LOAD_OF_SLOW);
        end_those_before(set, running, &n_running, now);
        double service = random_exponential(&random, SERVICE);
        unsigned target =
            (unsigned)balance_pick(set, &(struct balance_request){.hash = i, .now = (usec_t)(now * 1000)});
        balance_begin(set, target);

        double *worker = &free_at[target][0];
        for (unsigned w = 1; w < WORKERS; w++)
            if (free_at[target][w] < *worker)
                worker = &free_at[target][w];
        *worker = fmax(now, *worker) + service * (target == SLOW ? SLOWNESS : 1);
        times[i] = *worker - now;
        running[n_running++] = (struct running){*worker, target};
    }
    qsort(times, REQUESTS, sizeof(*times), compare_doubles);
    *ret_median = times[REQUESTS / 2];
    *ret_p99 = times[REQUESTS / 100 * 99];
    free(times);
    free(running);
    balance_free(set);
}

static bool show_slow(void)
{
    double p99[_BALANCE_MAX];

    for (enum balance how = 0; how < _BALANCE_MAX; how++) {
        double median;
        simulate(how, &median, &p99[how]);
        printf("%-18s %8.1f %8.1f\n", names[how], median, p99[how]);
    }
    return p99[BALANCE_RANDOM_TWO] < p99[BALANCE_ROUND_ROBIN];
}

/* ----------------------------------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    bool (*show)(void);
} tables[] = {{"cost", show_cost}, {"shares", show_shares}, {"slow", show_slow}};

int main(int argc, char **argv)
{
    int status = EXIT_SUCCESS;

    for (int i = 1; i < argc; i++) {
        bool is_known = false;
        for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
            is_known |= streq(argv[i], tables[t].name);
        if (!is_known) {
            fprintf(stderr, "usage: balance-bench [cost] [shares] [slow]\n");
            return 2;
        }
    }
    for (size_t t = 0; t < ARRAY_SIZE(tables); t++) {
        bool is_wanted = argc == 1;
        for (int i = 1; i < argc; i++)
            is_wanted |= streq(argv[i], tables[t].name);
        if (is_wanted && !tables[t].show()) {
            fprintf(stderr, "balance-bench: %s: not as it must be\n", tables[t].name);
            status = EXIT_FAILURE;
        }
    }
    return status;
}
