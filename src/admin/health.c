#include "admin/reply.h"
#include "admin/verbs.h"

void admin_livez(const struct admin *admin, const struct handler_request *request,
                 struct handler_reply *reply)
{
    /* Answered on the thread that feeds the watchdog: that there is an answer is the answer. */
    reply_text(reply, 200, "ok");
}

void admin_readyz(const struct admin *admin, const struct handler_request *request,
                  struct handler_reply *reply)
{
    struct admin_snapshot snapshot;
    admin_take_snapshot(admin, &snapshot);
    if (snapshot.state == ADMIN_RUNNING)
        reply_text(reply, 200, "ok");
    else
        reply_text(reply, 503, "%s", admin_state_to_string(snapshot.state));
}

void admin_health(const struct admin *admin, const struct handler_request *request,
                  struct handler_reply *reply)
{
    struct admin_snapshot snapshot;
    admin_take_snapshot(admin, &snapshot);
    bool ready = snapshot.state == ADMIN_RUNNING;

    json_t *health = json_object();
    json_object_set_new(health, "live", json_true());
    json_object_set_new(health, "ready", json_boolean(ready));
    json_object_set_new(health, "state", json_string(admin_state_to_string(snapshot.state)));
    json_object_set_new(health, "status", reply_json_string(snapshot.status_text));
    json_object_set_new(health, "generation", reply_json_u64(snapshot.generation));
    json_object_set_new(health, "version", reply_json_string(snapshot.version));
    json_object_set_new(health, "uptime_usec", reply_json_u64(snapshot.uptime));
    reply_json(reply, ready ? 200 : 503, health);
}
