#include "report.h"

#include <jansson.h>

#define SHOWN_LOSSES 10

static double seconds(usec_t t)
{
    return (double)t / (double)USEC_PER_SEC;
}

static double milliseconds(usec_t t)
{
    return (double)t / (double)USEC_PER_MSEC;
}

static double request_rate(const struct tally *tally)
{
    usec_t took = usec_sub(tally->ended, tally->started);
    return took > 0 ? (double)tally->requests / seconds(took) : 0;
}

static void print_outcomes(const struct tally *tally, FILE *out)
{
    for (enum outcome outcome = 0; outcome < _OUTCOME_MAX; outcome++) {
        if (tally->outcomes[outcome] == 0)
            continue;
        fprintf(out, "  %-16s %10llu%s", outcome_to_string(outcome),
                (unsigned long long)tally->outcomes[outcome], outcome_is_lost(outcome) ? "  lost" : "");
        if (outcome <= OUTCOME_5XX)
            for (int status = 100 * (outcome - OUTCOME_2XX + 2), end = status + 100; status < end; status++)
                if (tally->statuses[status] > 0)
                    fprintf(out, "  %d:%llu", status, (unsigned long long)tally->statuses[status]);
        fputc('\n', out);
    }
}

static void print_losses(const struct tally *tally, FILE *out)
{
    for (size_t i = 0; i < tally->n_losses && i < SHOWN_LOSSES; i++) {
        const struct loss *loss = &tally->losses[i];
        fprintf(out, "  lost at %.3f s, after %.1f ms, on a %s connection: %s", seconds(loss->at),
                milliseconds(loss->after), loss->reused ? "kept" : "new", outcome_to_string(loss->outcome));
        if (loss->status > 0)
            fprintf(out, " (%d)", loss->status);
        if (loss->os_error != 0)
            fprintf(out, " (%s)", strerror(loss->os_error));
        fprintf(out, ", id %s\n", loss->id);
    }
    if (tally->n_losses > SHOWN_LOSSES)
        fprintf(out, "  and more; --json lists %d\n", TALLY_LOSSES);
}

void report_print(const struct run *run, FILE *out)
{
    const struct tally *tally = &run->tally;
    const struct histogram *latency = &tally->latency;
    fprintf(out, "%llu requests in %.2f s over %u connections to %s: %.0f/s, %llu lost\n",
            (unsigned long long)tally->requests, seconds(usec_sub(tally->ended, tally->started)),
            run->options->connections, run->options->target, request_rate(tally),
            (unsigned long long)tally_lost(tally));
    print_outcomes(tally, out);
    fprintf(out, "forced reconnects: %llu announced, %llu unannounced; %llu connects\n",
            (unsigned long long)tally->closed_announced, (unsigned long long)tally->closed_unannounced,
            (unsigned long long)tally->connects);
    if (tally->unsolicited > 0)
        fprintf(out, "bytes that answer no request: %llu times\n", (unsigned long long)tally->unsolicited);
    if (run->options->idle)
        fprintf(out, "idle: %llu of %u still open, %llu answered without a reconnect, %llu after one\n",
                (unsigned long long)run->still_open, run->options->connections,
                (unsigned long long)run->answered_reused, (unsigned long long)run->answered_reconnected);
    fprintf(out, "latency: p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, p99.9 %.3f ms, max %.3f ms\n",
            milliseconds(histogram_quantile(latency, 500)), milliseconds(histogram_quantile(latency, 900)),
            milliseconds(histogram_quantile(latency, 990)), milliseconds(histogram_quantile(latency, 999)),
            milliseconds(latency->max));
    fprintf(out, "longest stall: %.3f ms; longest time without any answer: %.3f ms\n",
            milliseconds(tally->stall), milliseconds(tally->gap));
    print_losses(tally, out);
}

static json_t *outcomes_to_json(const struct tally *tally)
{
    json_t *object = json_object();
    for (enum outcome outcome = 0; outcome < _OUTCOME_MAX; outcome++)
        json_object_set_new(object, outcome_to_string(outcome),
                            json_integer((json_int_t)tally->outcomes[outcome]));
    return object;
}

static json_t *statuses_to_json(const struct tally *tally)
{
    json_t *object = json_object();
    for (unsigned status = 0; status < ARRAY_SIZE(tally->statuses); status++) {
        char name[16];
        snprintf(name, sizeof(name), "%u", status);
        if (tally->statuses[status] > 0)
            json_object_set_new(object, name, json_integer((json_int_t)tally->statuses[status]));
    }
    return object;
}

static json_t *latency_to_json(const struct histogram *latency)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "min", (json_int_t)latency->min, "mean",
                     (json_int_t)histogram_mean(latency), "p50", (json_int_t)histogram_quantile(latency, 500),
                     "p90", (json_int_t)histogram_quantile(latency, 900), "p99",
                     (json_int_t)histogram_quantile(latency, 990), "p99.9",
                     (json_int_t)histogram_quantile(latency, 999), "max", (json_int_t)latency->max);
}

static json_t *losses_to_json(const struct tally *tally)
{
    json_t *array = json_array();
    for (size_t i = 0; i < tally->n_losses; i++) {
        const struct loss *loss = &tally->losses[i];
        json_array_append_new(array,
                              json_pack("{s:s, s:s, s:i, s:f, s:f, s:I, s:b, s:s}", "id", loss->id, "outcome",
                                        outcome_to_string(loss->outcome), "status", loss->status, "at_s",
                                        seconds(loss->at), "wall_s", seconds(loss->wall), "after_us",
                                        (json_int_t)loss->after, "reused", loss->reused, "error",
                                        loss->os_error ? strerror(loss->os_error) : ""));
    }
    return array;
}

static json_t *idle_to_json(const struct run *run)
{
    if (!run->options->idle)
        return json_null();
    return json_pack("{s:I, s:I, s:I}", "still_open", (json_int_t)run->still_open, "answered_reused",
                     (json_int_t)run->answered_reused, "answered_reconnected",
                     (json_int_t)run->answered_reconnected);
}

int report_print_json(const struct run *run, FILE *out)
{
    const struct tally *tally = &run->tally;
    json_t *report = json_pack(
        "{s:s, s:i, s:f, s:I, s:I, s:f, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:o, s:o}",
        "target", run->options->target, "connections", (int)run->options->connections, "duration_s",
        seconds(usec_sub(tally->ended, tally->started)), "requests", (json_int_t)tally->requests, "lost",
        (json_int_t)tally_lost(tally), "requests_per_second", request_rate(tally), "outcomes",
        outcomes_to_json(tally), "statuses", statuses_to_json(tally), "connects", (json_int_t)tally->connects,
        "forced_reconnects_announced", (json_int_t)tally->closed_announced, "forced_reconnects_unannounced",
        (json_int_t)tally->closed_unannounced, "unsolicited", (json_int_t)tally->unsolicited, "body_bytes",
        (json_int_t)tally->body_bytes, "latency_us", latency_to_json(&tally->latency), "stall_us",
        (json_int_t)tally->stall, "gap_us", (json_int_t)tally->gap, "idle", idle_to_json(run), "losses",
        losses_to_json(tally));
    if (!report)
        return -ENOMEM;
    int r = json_dumpf(report, out, JSON_INDENT(2)) < 0 || fputc('\n', out) == EOF ? -EIO : 0;
    json_decref(report);
    return r;
}
