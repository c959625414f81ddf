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

/* Accepts from the start: that a gateway is starting is an answer too. */
int control_new(struct control **ret, const struct control_options *options) _warn_unused_;
/* Ends what connections are left. Accepts NULL, returns NULL. */
struct control *control_free(struct control *control);
