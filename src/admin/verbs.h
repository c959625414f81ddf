#pragma once
/* The handlers of the admin API's verbs, which the table in admin.c lists. Private to admin/. */

#include <jansson.h>

#include "admin/admin.h"
#include "journal/allowance.h"

struct admin {
    struct admin_options options;
    struct allowance refused; /* records of attempts that were */
};

typedef void (*admin_verb_handler)(const struct admin *admin, const struct handler_request *request,
                                   struct handler_reply *reply);

struct admin_verb {
    enum method method; /* a verb for GET also answers HEAD */
    const char *path;
    admin_verb_handler handle;
    bool mutating; /* it changes something: not for everybody */
    const char *help;
};

/* Asks the gateway. */
void admin_take_snapshot(const struct admin *admin, struct admin_snapshot *ret);

/* status.c */
void admin_status(const struct admin *admin, const struct handler_request *request,
                  struct handler_reply *reply);
/* health.c */
void admin_health(const struct admin *admin, const struct handler_request *request,
                  struct handler_reply *reply);
void admin_livez(const struct admin *admin, const struct handler_request *request,
                 struct handler_reply *reply);
void admin_readyz(const struct admin *admin, const struct handler_request *request,
                  struct handler_reply *reply);
/* upstreams.c: all upstreams and their targets, and one target; NULL when its slot is empty */
json_t *admin_upstreams_json(const struct admin_options *options);
json_t *admin_upstream_json(const struct admin_options *options, const struct upstream_config *upstream);
json_t *admin_target_json(const struct admin_options *options, const struct upstream_config *upstream,
                          unsigned slot);
void admin_upstreams(const struct admin *admin, const struct handler_request *request,
                     struct handler_reply *reply);
/* operator.c */
void admin_pause(const struct admin *admin, const struct handler_request *request,
                 struct handler_reply *reply);
void admin_resume(const struct admin *admin, const struct handler_request *request,
                  struct handler_reply *reply);
void admin_target(const struct admin *admin, const struct handler_request *request,
                  struct handler_reply *reply);
/* reload.c */
void admin_reload(const struct admin *admin, const struct handler_request *request,
                  struct handler_reply *reply);
/* hooks.c */
void admin_test_wedge(const struct admin *admin, const struct handler_request *request,
                      struct handler_reply *reply);
