/* What the operator wants of upstreams, from the process that was told to all others. The generation that
 * leads keeps it in a file. Its successor is told of it by the predecessor, and reads the file where there is
 * none: after a stop, a restart or a crash. While a reload is under way nothing can be changed, so that what
 * the two know cannot differ. Generations that were replaced follow the file. */

#include "gateway/root.h"

#include "gateway/wanted.h"

void gateway_read_wanted(struct gateway *gateway)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    json_t *document;
    if (wanted_read(gateway->plan.config->gateway.state_directory, &document, &error) < 0) {
        journal_log(gateway->journal, EVENT_WARNING, "%s, ignoring: upstreams are %s", strbuf_string(&error),
                    gateway->replaced ? "as they were" : "as configured");
        return;
    }
    roster_import_wanted(gateway->roster, document, now_monotonic());
    json_decref(document);
}

int gateway_keep_wanted(void *userdata, struct strbuf *error)
{
    struct gateway *gateway = userdata;
    json_t *document = roster_export_wanted(gateway->roster);
    const int r = wanted_write(gateway->plan.config->gateway.state_directory, document, error);
    json_decref(document);
    return r;
}

const char *gateway_is_busy(void *userdata)
{
    const struct gateway *gateway = userdata;
    if (gateway->replaced)
        return "another generation leads by now";
    if (gateway->state < STATE_SERVING) /* what the process before this one knew is yet to come */
        return "the gateway is still starting";
    return succession_is_reloading(gateway->succession) ? "a reload is under way" : NULL;
}

static void on_changed(void *userdata)
{
    gateway_read_wanted(userdata);
}

void gateway_follow_wanted(struct gateway *gateway)
{
    const char *directory = gateway->plan.config->gateway.state_directory;
    const int r = wanted_watch(&gateway->wanted_watch, gateway->loop, directory, on_changed, gateway);
    if (r < 0)
        journal_log(gateway->journal, EVENT_WARNING,
                    "%s cannot be watched (%s): requests that wait here do not learn of a resume", directory,
                    strerrordesc_np(-r));
    else
        gateway_read_wanted(gateway); /* what has changed meanwhile */
}
