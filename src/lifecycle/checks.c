#include <poll.h>

#include "lifecycle/checks.h"
#include "lifecycle/probe.h"
#include "util/parse.h"
#include "util/strbuf.h"

#define RETRY_INTERVAL (100 * USEC_PER_MSEC)
#define PROGRESS_INTERVAL (250 * USEC_PER_MSEC)

/* A check on its way: a probe under way, or a pause until the next. */
struct attempt {
    const struct check_config *check;
    struct check_result *result;
    bool over;
    struct probe *probe; /* NULL during the pause */
    usec_t began;
    usec_t deadline;
    usec_t next_try;
    char *last_reason; /* why the try before failed */
};

static void finish(struct attempt *attempt, usec_t now, bool passed, char *reason)
{
    attempt->over = true;
    attempt->probe = probe_free(attempt->probe);
    attempt->result->passed = passed;
    attempt->result->duration = usec_sub(now, attempt->began);
    attempt->result->reason = reason;
}

/* The time is over: says what was waited for, and what the try before came to when there was one. */
static void time_out(struct attempt *attempt, usec_t now)
{
    char timeout[FORMAT_DURATION_MAX];
    struct strbuf reason = STRBUF_INIT;
    if (attempt->last_reason)
        strbuf_add_string(&reason, attempt->last_reason);
    else
        strbuf_addf(&reason, "%s within %s", probe_waits_for(attempt->probe),
                    format_duration(timeout, attempt->check->timeout));
    finish(attempt, now, false, strbuf_steal(&reason));
}

static void step(struct attempt *attempt, usec_t now)
{
    if (!attempt->probe && now >= attempt->next_try &&
        (now < attempt->deadline || attempt->result->tries == 0)) {
        attempt->probe = probe_new(attempt->check);
        attempt->result->tries++;
    }
    if (attempt->probe) {
        char *reason = NULL;
        switch (probe_step(attempt->probe, &reason)) {
        case PROBE_PASSED:
            finish(attempt, now, true, NULL);
            return;
        case PROBE_FAILED:
            attempt->probe = probe_free(attempt->probe);
            free(attempt->last_reason);
            attempt->last_reason = reason;
            attempt->next_try = usec_add(now, RETRY_INTERVAL);
            break;
        case PROBE_PENDING:
            break;
        default:
            WRONG("probe result");
        }
    }
    if (now >= attempt->deadline)
        time_out(attempt, now);
}

/* Waits until something can go on, or it is time to tell of progress. */
static void wait_for_any(const struct attempt *attempts, size_t n, struct pollfd *poll_for)
{
    usec_t until = USEC_INFINITY;
    nfds_t n_poll = 0;
    for (size_t i = 0; i < n; i++) {
        if (attempts[i].over)
            continue;
        usec_t due = attempts[i].next_try;
        if (attempts[i].probe) {
            probe_prepare(attempts[i].probe, &poll_for[n_poll], &due);
            if (poll_for[n_poll].fd >= 0)
                n_poll++;
        }
        until = usec_min(until, usec_min(due, attempts[i].deadline));
    }
    const usec_t wait = usec_min(usec_sub(until, now_monotonic()), PROGRESS_INTERVAL);
    /* An interrupted or failed poll only means that everything is looked at again. */
    (void)poll(poll_for, n_poll, (int)((wait + USEC_PER_MSEC - 1) / USEC_PER_MSEC));
}

size_t checks_run(const struct config *config, struct check_result *results,
                  bool (*on_progress)(void *userdata, size_t running), void *userdata)
{
    const size_t n = config->n_checks;
    _cleanup_free_ struct attempt *attempts = xcalloc(n, sizeof(*attempts));
    _cleanup_free_ struct pollfd *poll_for = xcalloc(n, sizeof(*poll_for));
    const usec_t began = now_monotonic();
    for (size_t i = 0; i < n; i++) {
        const struct check_config *check = &config->checks[i];
        results[i] = (struct check_result){.check = check};
        attempts[i] = (struct attempt){.check = check,
                                       .result = &results[i],
                                       .began = began,
                                       .deadline = usec_add(began, check->timeout)};
    }

    for (;;) {
        size_t running = 0;
        for (size_t i = 0; i < n; i++) {
            if (!attempts[i].over)
                step(&attempts[i], now_monotonic());
            running += !attempts[i].over;
        }
        if (running == 0)
            break;
        if (on_progress && !on_progress(userdata, running)) {
            for (size_t i = 0; i < n; i++)
                if (!attempts[i].over)
                    finish(&attempts[i], now_monotonic(), false,
                           xstrdup("given up: the gateway was told to stop"));
            break;
        }
        wait_for_any(attempts, n, poll_for);
    }

    size_t failed = 0;
    for (size_t i = 0; i < n; i++) {
        free(attempts[i].last_reason);
        failed += results[i].check->required && !results[i].passed;
    }
    return failed;
}

void checks_results_deinit(struct check_result *results, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(results[i].reason);
        results[i].reason = NULL;
    }
}
