#include "ctl/client.h"
#include "ctl/columns.h"

/* Says which upstreams let requests wait: an operator who has paused one should not forget it. */
static void print_waiting(const struct ctl_options *options, const json_t *upstreams)
{
    size_t i;
    json_t *upstream;
    json_array_foreach(upstreams, i, upstream)
    {
        const bool paused = json_is_true(json_object_get(upstream, "paused"));
        const uint64_t held = json_get_u64(upstream, "held");
        if (!paused && held == 0)
            continue;
        _cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
        strbuf_addf(&line, "%s", json_get_string(upstream, "name"));
        if (paused)
            strbuf_add_string(&line, " is paused");
        if (held > 0)
            strbuf_addf(&line, ": %" PRIu64 " request%s", held, held == 1 ? " waits" : "s wait");
        print_coloured(options, COLOUR_YELLOW, strbuf_string(&line));
        putchar('\n');
    }
}

static void add_ready(struct table *table, const json_t *target)
{
    const json_t *ready = json_object_get(target, "ready");
    if (json_is_boolean(ready))
        table_add(table, json_is_true(ready) ? COLOUR_GREEN : COLOUR_RED, "%s",
                  json_is_true(ready) ? "yes" : "no");
    else
        table_add(table, COLOUR_NONE, "-");
}

/* Words of which `normal` needs no attention. */
static void add_word(struct table *table, const char *word, const char *normal)
{
    table_add(table, streq(word, normal) || streq(word, "-") ? COLOUR_NONE : COLOUR_YELLOW, "%s", word);
}

static void add_target(struct table *table, const json_t *upstream, const json_t *target)
{
    const char *why = json_get_string(target, "why");
    const uint64_t tries = json_get_u64(target, "tries");
    table_add(table, COLOUR_NONE, "%s", json_get_string(upstream, "name"));
    table_add(table, COLOUR_NONE, "%s", json_get_string(target, "address"));
    add_ready(table, target);
    add_word(table, json_get_string(target, "wanted"), "ready");
    column_observed(table, target);
    add_word(table, json_get_string(json_object_get(target, "breaker"), "state"), "closed");
    column_count(table, json_get_u64(target, "weight"));
    column_count(table, json_get_u64(target, "active"));
    column_count(table, json_get_u64(target, "idle"));
    column_count(table, tries);
    column_failures(table, failed_tries(target));
    column_quantiles(table, target, tries);
    table_add(table, COLOUR_NONE, "%s", *why ? why : "-");
}

static void print_upstreams(const struct ctl_options *options, const json_t *upstreams)
{
    static const struct table_column columns[] = {
        {"UPSTREAM"},     {"TARGET"},       {"READY"},        {"WANTED"},     {"OBSERVED"},
        {"BREAKER"},      {"WEIGHT", true}, {"ACTIVE", true}, {"IDLE", true}, {"TRIES", true},
        {"FAILED", true}, {"P50", true},    {"P99", true},    {"WHY"}};
    _cleanup_table_ struct table *table = table_new(columns, ARRAY_SIZE(columns));
    size_t i, j;
    json_t *upstream, *target;
    json_array_foreach(upstreams, i, upstream) json_array_foreach(json_object_get(upstream, "targets"), j,
                                                                  target) add_target(table, upstream, target);
    table_print(table, options);
    print_waiting(options, upstreams);
}

int ctl_upstreams(const struct ctl_options *options, char **arguments)
{
    _cleanup_strbuf_ struct strbuf reason = STRBUF_INIT;
    struct client_answer answer = {0};
    int result = CTL_FAILED;

    if (client_get_or_tell(options, "/v1/upstreams", &answer) == 0) {
        json_t *value = client_parse(options, &answer, &reason);
        if (!value) {
            ctl_error("%s", strbuf_string(&reason));
        } else {
            if (options->json)
                json_print(value);
            else
                print_upstreams(options, json_object_get(value, "upstreams"));
            result = CTL_OK;
        }
        json_decref(value);
    }
    strbuf_deinit(&answer.body);
    return result;
}
