#pragma once
/* The admin API on its socket: a server on the control thread's loop. Where no descriptor has its name there
 * is none, and everything here does nothing. */

#include "admin/admin.h"
#include "http/loop.h"
#include "journal/journal.h"
#include "lifecycle/descriptors.h"

struct control;

struct control_options {
    struct admin_options admin;
    struct loop *loop;
    struct journal *journal;
    const struct descriptors *descriptors;
};

int control_new(struct control **ret, const struct control_options *options) _warn_unused_;
/* From now on the API answers: from the start, since that a gateway is starting is an answer too; but where
 * there is a predecessor it is that one's until we lead. */
int control_accept(struct control *control) _warn_unused_;
/* Answers what has been asked, and leaves the rest to the successor. */
void control_retire(struct control *control);
/* Ends what connections are left. Accepts NULL, returns NULL. */
struct control *control_free(struct control *control);
