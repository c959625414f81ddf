#pragma once
/* One request to the admin API over its Unix socket. */

#include <jansson.h>

#include "ctl/ctl.h"
#include "util/strbuf.h"

struct client_answer {
    long status;
    struct strbuf body;
};

/* GETs `path`. Any complete answer, whatever its status, is 0. Otherwise a negative errno, and one line for
 * people in `reason`: what is wrong with the socket and what to do. The caller frees both. */
int client_get(const struct ctl_options *options, const char *path, struct client_answer *ret,
               struct strbuf *reason) _warn_unused_;

/* The same by POST, without a body: the answer may take as long as what is asked for. */
int client_post(const struct ctl_options *options, const char *path, struct client_answer *ret,
                struct strbuf *reason) _warn_unused_;

/* As client_get(), for verbs that can do nothing but show it: a failure, or a status other than 200, is told
 * on stderr. */
int client_get_or_tell(const struct ctl_options *options, const char *path, struct client_answer *ret)
    _warn_unused_;
/* The same by POST, for verbs that change something: `path` has the query. */
int client_post_or_tell(const struct ctl_options *options, const char *path, struct client_answer *ret)
    _warn_unused_;
/* Adds "?name=value" to a path, or "&name=value" to one that has a query. */
void client_add_parameter(struct strbuf *path, const char *name, const char *value);
/* The answer as a JSON object; the caller drops the reference. NULL when it is none; the reason is added. */
json_t *client_parse(const struct ctl_options *options, const struct client_answer *answer,
                     struct strbuf *reason);
