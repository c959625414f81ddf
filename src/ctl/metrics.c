#include "ctl/client.h"

int ctl_metrics(const struct ctl_options *options, char **arguments)
{
    struct client_answer answer = {0};
    int result = CTL_FAILED;
    if (client_get_or_tell(options, "/metrics", &answer) == 0) {
        fwrite(strbuf_string(&answer.body), 1, answer.body.size, stdout);
        result = CTL_OK;
    }
    strbuf_deinit(&answer.body);
    return result;
}
