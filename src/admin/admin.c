#include "admin/access.h"
#include "admin/audit.h"
#include "admin/reply.h"
#include "admin/verbs.h"

/* Longer than any that means something. */
#define QUERY_MAX 4096

static void admin_index(const struct admin *admin, const struct handler_request *request,
                        struct handler_reply *reply);
static void admin_metrics(const struct admin *admin, const struct handler_request *request,
                          struct handler_reply *reply);

/* clang-format off */
static const struct admin_verb verbs[] = {
    {METHOD_GET,  "/",              admin_index,      false, "this list"},
    {METHOD_GET,  "/livez",         admin_livez,      false, "200 as long as the control thread answers"},
    {METHOD_GET,  "/readyz",        admin_readyz,     false, "200 while requests are taken, 503 while starting or draining"},
    {METHOD_GET,  "/metrics",       admin_metrics,    false, "counters for Prometheus"},
    {METHOD_GET,  "/v1/health",     admin_health,     false, "what /livez and /readyz say, and why"},
    {METHOD_GET,  "/v1/status",     admin_status,     false, "state, listeners, workers, routes, upstreams and their counters"},
    {METHOD_GET,  "/v1/upstreams",        admin_upstreams, false, "upstreams and targets: what is wanted and observed of each, breakers, requests that wait"},
    {METHOD_POST, "/v1/upstreams/pause",  admin_pause,  true,  "?upstream=NAME: its requests wait from now on"},
    {METHOD_POST, "/v1/upstreams/resume", admin_resume, true,  "?upstream=NAME: … and go on"},
    {METHOD_POST, "/v1/upstreams/target", admin_target, true,  "?upstream=NAME&address=ADDRESS&verb=add|remove|ready|drain|down&weight=N: verb, weight or both"},
    {METHOD_POST, "/v1/reload",     admin_reload,     true,  "start a successor, which takes over; answers when it has, or has failed to"},
#if HOLDFAST_HOOKS
    {METHOD_POST, "/v1/test/wedge", admin_test_wedge, true,  "?worker=N: block a worker for ever"},
#endif
};
/* clang-format on */

static const char *const state_names[_ADMIN_STATE_MAX] = {
    [ADMIN_STARTING] = "starting",
    [ADMIN_RUNNING] = "running",
    [ADMIN_DRAINING] = "draining",
};

const char *admin_state_to_string(enum admin_state state)
{
    assert(state < _ADMIN_STATE_MAX);
    return state_names[state];
}

struct admin *admin_new(const struct admin_options *options)
{
    struct admin *admin = xcalloc(1, sizeof(*admin));
    admin->options = *options;
    return admin;
}

struct admin *admin_free(struct admin *admin)
{
    free(admin);
    return NULL;
}

void admin_take_snapshot(const struct admin *admin, struct admin_snapshot *ret)
{
    *ret = (struct admin_snapshot){.drain_deadline = USEC_INFINITY};
    admin->options.snapshot(admin->options.userdata, ret);
}

static void admin_index(const struct admin *admin, const struct handler_request *request,
                        struct handler_reply *reply)
{
    if (accept_prefers_json(request->accept, false)) {
        json_t *list = json_array();
        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
            json_t *verb = json_object();
            json_object_set_new(verb, "method", json_string(method_to_string(verbs[i].method)));
            json_object_set_new(verb, "path", json_string(verbs[i].path));
            json_object_set_new(verb, "help", json_string(verbs[i].help));
            json_array_append_new(list, verb);
        }
        reply_json(reply, 200, list);
        return;
    }
    reply_text(reply, 200, "holdfast " HOLDFAST_VERSION ", admin API\n");
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        strbuf_addf(&reply->body, "%-4s  %-20s  %s\n", method_to_string(verbs[i].method), verbs[i].path,
                    verbs[i].help);
}

static void admin_metrics(const struct admin *admin, const struct handler_request *request,
                          struct handler_reply *reply)
{
    struct admin_snapshot snapshot;
    admin_take_snapshot(admin, &snapshot);
    roster_publish(admin->options.roster, now_monotonic());
    const struct metrics_process process = {
        .version = snapshot.version,
        .generation = snapshot.generation,
        .started_realtime = snapshot.started_realtime,
        .journal_dropped = snapshot.journal_dropped,
        .state = admin_state_to_string(snapshot.state),
        .lineage = snapshot.lineage,
        .places_taken = snapshot.places_taken,
        .places = snapshot.places,
        .body_memory = snapshot.body_memory,
        .body_disk = snapshot.body_disk,
    };
    reply->status = 200;
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    strbuf_clear(&reply->body);
    metrics_expose(admin->options.metrics, &process, &reply->body);
}

/* The Allow field for a path that has verbs for `methods`. Longer than any combination of the table. */
static const char *allow_field(uint32_t methods)
{
    switch (methods) {
    case METHOD_BIT(METHOD_GET):
        return "GET, HEAD";
    case METHOD_BIT(METHOD_POST):
        return "POST";
    case METHOD_BIT(METHOD_GET) | METHOD_BIT(METHOD_POST):
        return "GET, HEAD, POST";
    default:
        WRONG("methods of a verb");
    }
}

static bool has_a_form_of_ours(const struct handler_request *request, struct handler_reply *reply)
{
    if (request->query.size > QUERY_MAX)
        reply_problem(reply, request, 414, "a query has at most %d bytes here", QUERY_MAX);
    else if (request->body.size > 0)
        reply_problem(reply, request, 400, "no body is taken here: what is wanted goes into the query");
    else
        return true;
    return false;
}

static void run(struct admin *admin, const struct admin_verb *verb, const struct handler_request *request,
                struct handler_reply *reply)
{
    _cleanup_strbuf_ struct strbuf reason = STRBUF_INIT;
    if (verb->mutating && !access_may_change(&admin->options.owner, request, &reason)) {
        audit_refused(admin, request, strbuf_string(&reason));
        reply_problem(reply, request, 403, "%s", strbuf_string(&reason));
    } else if (has_a_form_of_ours(request, reply)) {
        verb->handle(admin, request, reply);
    }
}

bool admin_is_operator(void *userdata, const struct credentials *peer)
{
    const struct admin *admin = userdata;
    return access_is_operator(&admin->options.owner, peer);
}

void admin_handle(void *userdata, const struct handler_request *request, struct handler_reply *reply)
{
    struct admin *admin = userdata;
    _cleanup_strbuf_ struct strbuf reason = STRBUF_INIT;
    enum method method = request->method == METHOD_HEAD ? METHOD_GET : request->method;
    uint32_t methods = 0;

    if (!access_may_read(request, &reason)) {
        reply_problem(reply, request, 403, "%s", strbuf_string(&reason));
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        const struct admin_verb *verb = &verbs[i];
        if (!slice_eq(request->path, slice_of(verb->path)))
            continue;
        methods |= METHOD_BIT(verb->method);
        if (verb->method != method)
            continue;
        run(admin, verb, request, reply);
        return;
    }

    if (methods == 0) {
        reply_problem(reply, request, 404, "the admin API has no %.*s: GET / lists what it has",
                      (int)MIN(request->path.size, (size_t)200),
                      request->path.data ? request->path.data : "");
        return;
    }
    reply->allow = allow_field(methods);
    reply_problem(reply, request, 405, "%.*s takes %s, not %.*s", (int)MIN(request->path.size, (size_t)200),
                  request->path.data, reply->allow, (int)MIN(request->method_name.size, (size_t)40),
                  request->method_name.data ? request->method_name.data : "");
}
