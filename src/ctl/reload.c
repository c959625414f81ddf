#include "ctl/client.h"
#include "ctl/json.h"

/* The lines of a reason, the first behind the program's name. */
static void tell_failure(long status, const char *detail)
{
    if (!detail)
        ctl_error("the reload failed with status %ld, and no reason was given", status);
    else
        ctl_error("the reload %s: %s%s", status == 409 ? "was refused" : "failed, the old process serves on",
                  strchr(detail, '\n') ? "\n" : "", detail);
}

static void print_outcome(const struct ctl_options *options, const json_t *value)
{
    if (options->json) {
        json_print(value);
        return;
    }
    char start[FORMAT_DURATION_MAX], hand_over[FORMAT_DURATION_MAX];
    const usec_t ms = USEC_PER_MSEC;
    printf("generation %" PRIu64 " serves: ready after %s, leading %s later\n",
           json_get_u64(value, "generation"),
           format_duration(start, json_get_u64(value, "start_usec") / ms * ms),
           format_duration(hand_over, json_get_u64(value, "hand_over_usec") / ms * ms));
}

int ctl_reload(const struct ctl_options *options, char **arguments)
{
    struct client_answer answer = {0};
    _cleanup_strbuf_ struct strbuf reason = STRBUF_INIT;
    int status = CTL_FAILED;
    json_t *value = NULL;
    const int r = client_post(options, "/v1/reload", &answer, &reason);
    if (r == 0)
        value = client_parse(options, &answer, &reason);
    if (!value) {
        ctl_error("%s", strbuf_string(&reason));
    } else if (answer.status != 200) {
        tell_failure(answer.status, json_string_value(json_object_get(value, "detail")));
    } else {
        print_outcome(options, value);
        status = CTL_OK;
    }
    json_decref(value);
    strbuf_deinit(&answer.body);
    return status;
}
