#pragma once
/* Targets that are names: what each stands for is asked of the resolver, off every loop, and told to the
 * roster on the control thread. */

#include "http/loop.h"
#include "journal/journal.h"
#include "upstream/roster.h"

struct names;

/* NULL in *ret when no target is a name. What it is given must outlive it. */
int names_new(struct names **ret, const struct config *config, struct roster *roster, struct loop *loop,
              struct journal *journal) _warn_unused_;
/* Accepts NULL, returns NULL. */
struct names *names_free(struct names *names);
