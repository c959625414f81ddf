/* Any requests to the admin API, one after the other: each is answered, JSON is JSON, and nothing changes but
 * by whom and by what may change it; then it is kept.
 *
 * A request is a line of fields with tabs between them, of which the last may be missing: who asks (a letter
 * of `people`), method, path with query, Host, Accept, Origin, Sec-Fetch-Site, body. */

#include <jansson.h>

#include "admin/admin.h"
#include "config/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OWN_USER 990
#define OWN_GROUP 991

static gid_t member_groups[] = {100, OWN_GROUP};
static const struct person {
    char letter;
    bool is_operator;
    struct credentials credentials;
} people[] = {
    {'r', true, {.pid = 10}},
    {'o', true, {.pid = 10, .uid = OWN_USER, .gid = OWN_GROUP}},
    {'m', true, {.pid = 10, .uid = 1000, .gid = 1000, .groups = member_groups, .n_groups = 2}},
    {'s', false, {.pid = 10, .uid = 1000, .gid = 1000, .groups = member_groups, .n_groups = 1}},
    {'n', false, {.pid = 10, .uid = CREDENTIALS_NOBODY, .gid = CREDENTIALS_NOBODY}},
    {'?', false, {.pid = 0}},
};

static struct target_config targets[] = {
    {.address.text = (char *)"127.0.0.1:9001", .address.size = 1, .index = 0, .weight = 1},
    {.address.text = (char *)"app.example.com:80", .index = 1, .weight = 2},
};
static struct upstream_config orders = {.name = (char *)"orders",
                                        .index = 0,
                                        .targets = targets,
                                        .n_targets = 2,
                                        .n_slots = 6,
                                        .health = {.max_failures = 3, .rise = 1, .fall = 3}};
static struct upstream_config users = {.name = (char *)"users", .index = 1, .n_slots = 2};
static struct upstream_config *upstreams[] = {&orders, &users};
static struct config config = {.gateway.threads = 1, .upstreams = upstreams, .n_upstreams = 2};

struct gateway {
    struct roster *roster;
    json_t *kept; /* what was made to last */
    unsigned n_reloads;
    admin_reload_done done; /* whom the last one is told to */
    void *done_userdata;
};

static void snapshot(void *userdata, struct admin_snapshot *ret)
{
    *ret = (struct admin_snapshot){.state = ADMIN_RUNNING, .version = "1", .status_text = "Running"};
}

static int change(void *userdata, struct strbuf *error)
{
    struct gateway *gateway = userdata;
    json_decref(gateway->kept);
    gateway->kept = roster_export_wanted(gateway->roster);
    return 0;
}

static int reload(void *userdata, admin_reload_done done, void *done_userdata, struct strbuf *error)
{
    struct gateway *gateway = userdata;
    gateway->n_reloads++;
    gateway->done = done;
    gateway->done_userdata = done_userdata;
    return 0;
}

static void finish_reload(struct gateway *gateway, struct slice reason)
{
    if (!gateway->done)
        return;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    strbuf_add_slice(&text, reason);
    const struct admin_reload outcome = {.generation = reason.size % 2, .reason = strbuf_string(&text)};
    gateway->done(gateway->done_userdata, &outcome);
    gateway->done = NULL;
}

static void check_reply(const struct handler_request *request, const struct handler_reply *reply)
{
    if (reply->deferred)
        return;
    assert(reply->status >= 200 && reply->status < 600 && reply->content_type);
    assert((reply->status == 405) == (reply->allow != NULL));
    for (size_t i = 0; i < reply->body.size; i++)
        assert((unsigned char)reply->body.data[i] >= ' ' || reply->body.data[i] == '\n');
    if (strstr(reply->content_type, "json")) {
        json_t *json = json_loadb(reply->body.data, reply->body.size, JSON_REJECT_DUPLICATES, NULL);
        assert(json);
        if (reply->status >= 400)
            assert(streq(reply->content_type, "application/problem+json") &&
                   json_integer_value(json_object_get(json, "status")) == reply->status);
        json_decref(json);
    }
}

static void ask(struct gateway *gateway, struct admin *admin, struct slice line)
{
    const struct slice who = slice_split(&line, '\t'), method = slice_split(&line, '\t');
    struct slice target = slice_split(&line, '\t');
    const struct person *person = &people[ARRAY_SIZE(people) - 1];
    for (size_t i = 0; i < ARRAY_SIZE(people); i++)
        if (who.size == 1 && *who.data == people[i].letter)
            person = &people[i];
    struct handler_request request = {.method = method_from_slice(method),
                                      .method_name = method,
                                      .path = slice_split(&target, '?'),
                                      .query = target,
                                      .peer = &person->credentials};
    request.host = slice_split(&line, '\t');
    request.accept = slice_split(&line, '\t');
    request.origin = slice_split(&line, '\t');
    request.fetch_site = slice_split(&line, '\t');
    request.body = line;

    struct handler_reply reply = {.status = 0};
    json_t *before = roster_export_wanted(gateway->roster);
    const unsigned n_reloads = gateway->n_reloads;
    admin_handle(admin, &request, &reply);
    json_t *after = roster_export_wanted(gateway->roster);

    check_reply(&request, &reply);
    const bool changed = !json_equal(before, after) || gateway->n_reloads != n_reloads;
    assert(!changed || (person->is_operator && request.method == METHOD_POST && request.origin.size == 0 &&
                        request.fetch_site.size == 0 && request.body.size == 0));
    assert(json_equal(gateway->kept, after));
    finish_reload(gateway, request.query);
    json_decref(before);
    json_decref(after);
    strbuf_deinit(&reply.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 64 * 1024)
        return 0;
    struct gateway gateway = {0};
    struct metrics *metrics = metrics_new(&config, 1);
    gateway.roster = roster_new(&(struct roster_options){.config = &config, .metrics = metrics}, 0);
    gateway.kept = roster_export_wanted(gateway.roster);
    struct admin *admin = admin_new(&(struct admin_options){.owner = {OWN_USER, OWN_GROUP},
                                                            .config = &config,
                                                            .metrics = metrics,
                                                            .roster = gateway.roster,
                                                            .snapshot = snapshot,
                                                            .change = change,
                                                            .reload = reload,
                                                            .userdata = &gateway});
    struct slice rest = slice_make((const char *)data, size);
    while (rest.size > 0)
        ask(&gateway, admin, slice_split(&rest, '\n'));
    admin_free(admin);
    json_decref(gateway.kept);
    roster_free(gateway.roster);
    metrics_free(metrics);
    return 0;
}
