#include "ctl/client.h"
#include "ctl/json.h"
#include "ctl/table.h"

/* Asks for a change and tells how it is then. */
static int change(const struct ctl_options *options, const char *path,
                  void (*describe)(const json_t *value, struct strbuf *text))
{
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    struct client_answer answer = {0};
    json_t *value = NULL;
    if (client_post_or_tell(options, path, &answer) == 0) {
        value = client_parse(options, &answer, &text);
        if (!value) {
            ctl_error("%s", strbuf_string(&text));
        } else if (options->json) {
            json_print(value);
        } else {
            describe(value, &text);
            print_coloured(options, COLOUR_NONE, strbuf_string(&text));
            putchar('\n');
        }
    }
    const int result = value ? CTL_OK : CTL_FAILED;
    json_decref(value);
    strbuf_deinit(&answer.body);
    return result;
}

static void describe_upstream(const json_t *upstream, struct strbuf *text)
{
    const uint64_t held = json_get_u64(upstream, "held");
    strbuf_addf(text, "%s %s", json_get_string(upstream, "name"),
                json_is_true(json_object_get(upstream, "paused")) ? "is paused" : "is not paused");
    if (held > 0)
        strbuf_addf(text, ": %" PRIu64 " request%s", held, held == 1 ? " waits" : "s wait");
}

static void describe_target(const json_t *target, struct strbuf *text)
{
    const char *why = json_get_string(target, "why");
    strbuf_addf(text, "%s %s: ", json_get_string(target, "upstream"), json_get_string(target, "address"));
    if (json_is_true(json_object_get(target, "removed"))) {
        strbuf_add_string(text, "removed");
        return;
    }
    strbuf_addf(text, "wanted %s, weight %" PRIu64 ", %s, %s", json_get_string(target, "wanted"),
                json_get_u64(target, "weight"), json_get_string(target, "observed"),
                json_is_true(json_object_get(target, "ready")) ? "takes requests" : "takes no requests");
    if (*why && !streq(why, "-"))
        strbuf_addf(text, " (%s)", why);
}

static int change_upstream(const struct ctl_options *options, const char *verb, char **arguments)
{
    if (!arguments[0]) {
        ctl_error("%s takes NAME, the name of an upstream", verb);
        return ctl_usage_hint();
    }
    _cleanup_strbuf_ struct strbuf path = STRBUF_INIT;
    strbuf_addf(&path, "/v1/upstreams/%s", verb);
    client_add_parameter(&path, "upstream", arguments[0]);
    return change(options, strbuf_string(&path), describe_upstream);
}

int ctl_pause(const struct ctl_options *options, char **arguments)
{
    return change_upstream(options, "pause", arguments);
}

int ctl_resume(const struct ctl_options *options, char **arguments)
{
    return change_upstream(options, "resume", arguments);
}

/* What a word is for: weight=N, or a verb, which the gateway knows. Each may be there once. */
static bool add_word(struct strbuf *path, const char *word, bool seen[2])
{
    const bool is_weight = strncmp(word, "weight=", 7) == 0;
    if (seen[is_weight])
        return false;
    seen[is_weight] = true;
    client_add_parameter(path, is_weight ? "weight" : "verb", is_weight ? word + 7 : word);
    return true;
}

int ctl_target(const struct ctl_options *options, char **arguments)
{
    if (!arguments[0] || !arguments[1] || !arguments[2]) {
        ctl_error(
            "target takes NAME ADDRESS WORD...: an upstream, a target of it, and what to do: add, remove, "
            "ready, drain, down, weight=N");
        return ctl_usage_hint();
    }
    _cleanup_strbuf_ struct strbuf path = STRBUF_INIT;
    strbuf_add_string(&path, "/v1/upstreams/target");
    client_add_parameter(&path, "upstream", arguments[0]);
    client_add_parameter(&path, "address", arguments[1]);
    bool seen[2] = {false, false};
    for (char **word = arguments + 2; *word; word++)
        if (!add_word(&path, *word, seen)) {
            ctl_error(
                "'%s': only one of add, remove, ready, drain and down, and one weight=N can be said at once",
                *word);
            return ctl_usage_hint();
        }
    return change(options, strbuf_string(&path), describe_target);
}
