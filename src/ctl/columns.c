#include "ctl/columns.h"

void column_count(struct table *table, uint64_t n)
{
    table_add(table, COLOUR_NONE, "%" PRIu64, n);
}

void column_failures(struct table *table, uint64_t n)
{
    table_add(table, n > 0 ? COLOUR_RED : COLOUR_NONE, "%" PRIu64, n);
}

void column_quantiles(struct table *table, const json_t *object, uint64_t count)
{
    static const char *const keys[] = {"p50_usec", "p99_usec"};
    char buffer[FORMAT_DURATION_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        table_add(table, COLOUR_NONE, "%s", count > 0 ? json_format_usec(buffer, object, keys[i]) : "-");
}

void column_observed(struct table *table, const json_t *target)
{
    const char *observed = json_get_string(target, "observed");
    const enum colour colour = streq(observed, "up")     ? COLOUR_GREEN
                               : streq(observed, "down") ? COLOUR_RED
                                                         : COLOUR_NONE;
    table_add(table, colour, "%s", observed);
}

uint64_t failed_tries(const json_t *target)
{
    /* A try that the client did not wait for says nothing about the target. */
    const json_t *outcomes = json_object_get(target, "by_outcome");
    const uint64_t tries = json_get_u64(target, "tries");
    const uint64_t good = json_get_u64(outcomes, "ok") + json_get_u64(outcomes, "cancelled");
    return tries > good ? tries - good : 0;
}
