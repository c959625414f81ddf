#include "ctl/client.h"
#include "ctl/json.h"
#include "ctl/table.h"

/* The one verb whose failure is an answer: a probe gets its line on standard output in every case. */
static int tell(const struct ctl_options *options, bool healthy, const char *reason)
{
    if (options->json) {
        json_t *object = json_object();
        json_object_set_new(object, "healthy", json_boolean(healthy));
        json_object_set_new(object, "reason", json_string(reason));
        json_print(object);
        json_decref(object);
    } else {
        print_coloured(options, healthy ? COLOUR_GREEN : COLOUR_RED, healthy ? "healthy" : "unhealthy");
        printf(": ");
        print_coloured(options, COLOUR_NONE, reason);
        putchar('\n');
    }
    return healthy ? CTL_OK : CTL_FAILED;
}

int ctl_health(const struct ctl_options *options, char **arguments)
{
    _cleanup_strbuf_ struct strbuf reason = STRBUF_INIT;
    struct client_answer answer = {0};
    json_t *health = NULL;
    bool healthy = false;

    if (client_get(options, "/v1/health", &answer, &reason) == 0)
        health = client_parse(options, &answer, &reason);
    if (health) {
        char uptime[FORMAT_DURATION_MAX];
        healthy = answer.status == 200 && json_is_true(json_object_get(health, "ready"));
        if (json_is_string(json_object_get(health, "state")))
            strbuf_addf(&reason, "%s, generation %" PRIu64 ", up %s", json_get_string(health, "state"),
                        json_get_u64(health, "generation"), json_format_usec(uptime, health, "uptime_usec"));
        else
            strbuf_addf(&reason, "status %ld from %s", answer.status, options->admin);
    }
    int result = tell(options, healthy, strbuf_string(&reason));
    json_decref(health);
    strbuf_deinit(&answer.body);
    return result;
}
