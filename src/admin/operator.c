/* What the operator changes while the gateway runs. A change is made in the roster, made to last by the
 * gateway, and only then answered with 200; where it cannot last it is taken back. Since all of this happens
 * in one call on the control thread, changes come one after the other, whoever makes them. */

#include "admin/audit.h"
#include "admin/query.h"
#include "admin/reply.h"
#include "admin/verbs.h"
#include "config/address.h"
#include "journal/fields.h"
#include "util/parse.h"
#include "util/suggest.h"

#define WEIGHT_MAX 256

struct operation {
    const struct admin_options *options;
    const struct handler_request *request;
    struct handler_reply *reply;
    const struct upstream_config *upstream;
    const char *verb;            /* NULL: only a weight */
    const char *address;         /* as it was given */
    const char *address_problem; /* why that is no address, or NULL */
    struct address_config parsed;
    int weight;                         /* -1: not given */
    const struct target_config *target; /* … which has that address; NULL: none */
    struct roster_view view;            /* of it, as it was before */
};

static bool refuse(const struct operation *operation, const char *format, ...) _printf_(2, 3);
static bool refuse(const struct operation *operation, const char *format, ...)
{
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&text, format, args);
    va_end(args);
    reply_problem(operation->reply, operation->request, 400, "%s", strbuf_string(&text));
    return false;
}

/* --- what is meant ----------------------------------------------------------------------------------------
 */

static bool is_possible(const struct operation *operation)
{
    const struct admin_options *options = operation->options;
    const char *reason = options->busy ? options->busy(options->userdata) : NULL;
    if (reason)
        reply_problem(operation->reply, operation->request, 409, "%s: nothing was changed, try again later",
                      reason);
    return !reason;
}

static bool find_upstream(struct operation *operation, const char *name)
{
    const struct config *config = operation->options->config;
    struct suggestion suggestion;
    suggest_init(&suggestion, name);
    for (size_t i = 0; i < config->n_upstreams; i++) {
        if (streq(config->upstreams[i]->name, name)) {
            operation->upstream = config->upstreams[i];
            return true;
        }
        suggest_consider(&suggestion, config->upstreams[i]->name);
    }
    if (suggestion.best)
        reply_problem(operation->reply, operation->request, 404,
                      "there is no upstream '%s': did you mean '%s'?", name, suggestion.best);
    else
        reply_problem(operation->reply, operation->request, 404,
                      "there is no upstream '%s': GET /v1/upstreams lists them", name);
    return false;
}

/* The target with that address, however it is spelt. */
static void find_target(struct operation *operation)
{
    struct roster *roster = operation->options->roster;
    const usec_t now = now_monotonic();
    struct roster_view view;
    for (unsigned slot = 0; slot < roster_n_slots(roster, operation->upstream); slot++) {
        if (!roster_view(roster, operation->upstream, slot, now, &view))
            continue;
        const struct address_config *address = &view.target->address;
        if (!streq(address->text, operation->address) &&
            (operation->address_problem || address->size == 0 || !address_eq(address, &operation->parsed)))
            continue;
        operation->target = view.target;
        operation->view = view;
        return;
    }
}

static bool refuse_unknown_target(const struct operation *operation)
{
    struct roster *roster = operation->options->roster;
    struct roster_slot slot;
    struct suggestion suggestion;
    for (size_t i = 0; i < operation->upstream->n_targets; i++)
        if (streq(operation->upstream->targets[i].address.text, operation->address))
            return refuse(operation, "%s is a name: each address that it stands for is a target of its own",
                          operation->address);
    suggest_init(&suggestion, operation->address);
    for (unsigned i = 0; i < roster_n_slots(roster, operation->upstream); i++)
        if (roster_look(roster, operation->upstream, i, &slot))
            suggest_consider(&suggestion, slot.target->address.text);
    if (suggestion.best)
        reply_problem(operation->reply, operation->request, 404,
                      "'%s' is no target of %s: did you mean '%s'?", operation->address,
                      operation->upstream->name, suggestion.best);
    else
        reply_problem(operation->reply, operation->request, 404,
                      "'%s' is no target of %s: GET /v1/upstreams lists them", operation->address,
                      operation->upstream->name);
    return false;
}

/* --- changing ---------------------------------------------------------------------------------------------
 */

static void tell(const struct operation *operation)
{
    _cleanup_strbuf_ struct strbuf what = STRBUF_INIT;
    struct journal_record record;
    audit_begin(&record, EVENT_OPERATOR, operation->request);
    journal_add_string(&record, FIELD_UPSTREAM, operation->upstream->name);
    strbuf_add_string(&what, operation->upstream->name);
    if (operation->address) {
        journal_add_string(&record, FIELD_TARGET, operation->address);
        strbuf_addf(&what, " %s", operation->address);
    }
    strbuf_add_char(&what, ':');
    if (operation->verb) {
        journal_add_string(&record, FIELD_VERB, operation->verb);
        strbuf_addf(&what, " %s", operation->verb);
    }
    if (operation->weight >= 0) {
        journal_add_u64(&record, FIELD_WEIGHT, (uint64_t)operation->weight);
        strbuf_addf(&what, " weight=%d", operation->weight);
    }
    audit_send(operation->options->journal, &record, operation->request, strbuf_string(&what));
}

/* Makes the change, if `apply` allows it, and makes it last. False: the reply says why not, and nothing has
 * changed. */
static bool make(struct operation *operation, bool (*apply)(struct operation *operation))
{
    const struct admin_options *options = operation->options;
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    json_t *former = roster_export_wanted(options->roster), *wanted = NULL;
    bool done = apply(operation);
    if (done)
        wanted = roster_export_wanted(options->roster);
    if (done && !json_equal(former, wanted)) {
        done = !options->change || options->change(options->userdata, &error) >= 0;
        if (done) {
            tell(operation);
        } else {
            roster_import_wanted(options->roster, former, now_monotonic());
            reply_problem(operation->reply, operation->request, 500, "nothing was changed: %s",
                          strbuf_string(&error));
        }
    }
    json_decref(former);
    json_decref(wanted);
    return done;
}

/* --- pause and resume -------------------------------------------------------------------------------------
 */

static bool apply_pause(struct operation *operation)
{
    roster_pause(operation->options->roster, operation->upstream, true);
    return true;
}

static bool apply_resume(struct operation *operation)
{
    roster_pause(operation->options->roster, operation->upstream, false);
    return true;
}

static void pause_or_resume(struct operation *operation, bool (*apply)(struct operation *operation))
{
    struct query_parameter parameters[] = {{.name = "upstream", .required = true}};
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    if (!query_parse(operation->request->query, parameters, ARRAY_SIZE(parameters), &error))
        refuse(operation, "%s", strbuf_string(&error));
    else if (is_possible(operation) && find_upstream(operation, parameters[0].value) &&
             make(operation, apply))
        reply_json(operation->reply, 200, admin_upstream_json(operation->options, operation->upstream));
    query_deinit(parameters, ARRAY_SIZE(parameters));
}

void admin_pause(const struct admin *admin, const struct handler_request *request,
                 struct handler_reply *reply)
{
    struct operation operation = {&admin->options, request, reply, .verb = "pause", .weight = -1};
    pause_or_resume(&operation, apply_pause);
}

void admin_resume(const struct admin *admin, const struct handler_request *request,
                  struct handler_reply *reply)
{
    struct operation operation = {&admin->options, request, reply, .verb = "resume", .weight = -1};
    pause_or_resume(&operation, apply_resume);
}

/* --- targets ----------------------------------------------------------------------------------------------
 */

static bool apply_add(struct operation *operation)
{
    if (operation->target)
        return refuse(operation, "%s is a target of %s already", operation->target->address.text,
                      operation->upstream->name);
    if (operation->address_problem)
        return refuse(operation, "'%s' cannot be added: %s; accepted: " ADDRESS_ACCEPTED, operation->address,
                      operation->address_problem);
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    const struct target_config target = {.address = operation->parsed,
                                         .weight = operation->weight >= 0 ? (unsigned)operation->weight : 1};
    operation->target = roster_add(operation->options->roster, operation->upstream, &target, TARGET_ADDED,
                                   now_monotonic(), &error);
    return operation->target || refuse(operation, "%s", strbuf_string(&error));
}

static bool apply_remove(struct operation *operation)
{
    if (operation->weight >= 0)
        return refuse(operation, "a target that is removed has no weight");
    if (operation->view.origin != TARGET_ADDED)
        return refuse(operation, "%s was not added here but %s: take it out there and reload, or say down",
                      operation->target->address.text,
                      operation->view.origin == TARGET_RESOLVED
                          ? "is what a name in the configuration stands for"
                          : "is in the configuration");
    const bool removed = roster_remove(operation->options->roster, operation->upstream, operation->target);
    return removed || refuse(operation, "%s cannot be removed", operation->target->address.text);
}

static bool apply_wanted(struct operation *operation)
{
    struct roster *roster = operation->options->roster;
    if (operation->verb)
        roster_want(roster, operation->upstream, operation->target, wanted_from_string(operation->verb));
    if (operation->weight >= 0)
        roster_set_weight(roster, operation->upstream, operation->target, (unsigned)operation->weight);
    return true;
}

static const struct target_verb {
    const char *name;
    bool (*apply)(struct operation *operation);
    bool needs_target;
} target_verbs[] = {
    {"add", apply_add, false},     {"remove", apply_remove, true}, {"ready", apply_wanted, true},
    {"drain", apply_wanted, true}, {"down", apply_wanted, true},
};
static const struct target_verb weight_alone = {NULL, apply_wanted, true};
#define TARGET_VERBS_ACCEPTED "verb=add, remove, ready, drain or down, weight=0 to 256, or both"

static const struct target_verb *find_verb(const struct operation *operation)
{
    struct suggestion suggestion;
    if (!operation->verb)
        return &weight_alone;
    suggest_init(&suggestion, operation->verb);
    for (size_t i = 0; i < ARRAY_SIZE(target_verbs); i++) {
        if (streq(target_verbs[i].name, operation->verb))
            return &target_verbs[i];
        suggest_consider(&suggestion, target_verbs[i].name);
    }
    if (suggestion.best)
        refuse(operation, "'%s' cannot be done to a target: did you mean '%s'?", operation->verb,
               suggestion.best);
    else
        refuse(operation, "'%s' cannot be done to a target; accepted: " TARGET_VERBS_ACCEPTED,
               operation->verb);
    return NULL;
}

static bool parse_weight(struct operation *operation, const char *text)
{
    uint64_t weight;
    operation->weight = -1;
    if (!text)
        return operation->verb ||
               refuse(operation, "what is to be done is missing; accepted: " TARGET_VERBS_ACCEPTED);
    if (parse_u64(text, 0, WEIGHT_MAX, &weight) < 0)
        return refuse(operation, "weight=%s is not a number from 0 to %d", text, WEIGHT_MAX);
    operation->weight = (int)weight;
    return true;
}

/* The target as it is now, or what is left to say of one that was removed. */
static json_t *outcome_json(const struct operation *operation)
{
    json_t *object = admin_target_json(operation->options, operation->upstream, operation->target->index);
    if (!object) {
        object = json_object();
        json_object_set_new(object, "address", reply_json_string(operation->target->address.text));
        json_object_set_new(object, "removed", json_true());
    }
    json_object_set_new(object, "upstream", reply_json_string(operation->upstream->name));
    return object;
}

static void change_target(struct operation *operation)
{
    const struct target_verb *verb = find_verb(operation);
    if (!verb)
        return;
    operation->address_problem = address_parse(operation->address, false, &operation->parsed);
    find_target(operation);
    if (verb->needs_target && !operation->target)
        refuse_unknown_target(operation);
    else if (make(operation, verb->apply))
        reply_json(operation->reply, 200, outcome_json(operation));
}

void admin_target(const struct admin *admin, const struct handler_request *request,
                  struct handler_reply *reply)
{
    struct query_parameter parameters[] = {
        {.name = "upstream", .required = true},
        {.name = "address", .required = true},
        {.name = "verb"},
        {.name = "weight"},
    };
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    struct operation operation = {&admin->options, request, reply};
    if (!query_parse(request->query, parameters, ARRAY_SIZE(parameters), &error)) {
        refuse(&operation, "%s", strbuf_string(&error));
    } else {
        operation.address = parameters[1].value;
        operation.verb = parameters[2].value;
        if (parse_weight(&operation, parameters[3].value) && is_possible(&operation) &&
            find_upstream(&operation, parameters[0].value))
            change_target(&operation);
    }
    free(operation.parsed.text);
    query_deinit(parameters, ARRAY_SIZE(parameters));
}
