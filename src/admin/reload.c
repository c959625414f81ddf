#include "admin/audit.h"
#include "admin/reply.h"
#include "admin/verbs.h"

/* Who waits for the outcome. */
struct waiting {
    struct handler_ticket *ticket;
};

#define REASON_MAX (64 * 1024)

/* Lines may be many: those of a configuration's errors. */
static json_t *text_of(const char *reason)
{
    char *text = xstrdup(reason);
    for (char *p = text; *p; p++)
        if (((unsigned char)*p < 0x20 && *p != '\n') || *p == 0x7f)
            *p = '?';
    json_t *value = reply_json_text(slice_of(text), REASON_MAX);
    free(text);
    return value;
}

static void fill_in(struct handler_reply *reply, const struct admin_reload *outcome)
{
    json_t *value = json_object();
    if (outcome->generation == 0) {
        json_object_set_new(value, "type", json_string("about:blank"));
        json_object_set_new(value, "title", json_string("The reload has failed"));
        json_object_set_new(value, "status", json_integer(500));
        json_object_set_new(value, "detail", text_of(outcome->reason));
        reply_json(reply, 500, value);
        reply->content_type = "application/problem+json";
        return;
    }
    json_object_set_new(value, "generation", reply_json_u64(outcome->generation));
    json_object_set_new(value, "start_usec", reply_json_u64(outcome->start));
    json_object_set_new(value, "hand_over_usec", reply_json_u64(outcome->hand_over));
    reply_json(reply, 200, value);
}

static void on_done(void *userdata, const struct admin_reload *outcome)
{
    struct waiting *waiting = userdata;
    struct handler_reply reply = {.status = 500};
    fill_in(&reply, outcome);
    handler_complete(waiting->ticket, &reply);
    free(waiting);
}

void admin_reload(const struct admin *admin, const struct handler_request *request,
                  struct handler_reply *reply)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    if (!admin->options.reload) {
        reply_problem(reply, request, 404, "nothing here can be reloaded");
        return;
    }
    struct waiting *waiting = xcalloc(1, sizeof(*waiting));
    const int r = admin->options.reload(admin->options.userdata, on_done, waiting, &error);
    if (r < 0) {
        free(waiting);
        const bool conflict = r == -EALREADY || r == -EBUSY;
        reply_problem(reply, request, conflict ? 409 : 500, "%s", strbuf_string(&error));
        return;
    }
    audit_change(admin, request, "reload");
    waiting->ticket = handler_defer(request);
    reply->deferred = true;
}
