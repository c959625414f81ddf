#pragma once
/* Tells the roster what state the units behind targets are in. Targets may come and go; systemd is spoken to
 * as soon as one has a unit, and not before. */

#include "http/loop.h"
#include "journal/journal.h"
#include "upstream/roster.h"

struct units;

/* What it is given must outlive it. */
struct units *units_new(const struct config *config, struct roster *roster, struct loop *loop,
                        struct journal *journal);
/* Accepts NULL, returns NULL. */
struct units *units_free(struct units *units);
/* Looks for targets that have come, and hears what systemd says; returns when to call again. The loop wakes
 * when systemd says something. */
usec_t units_step(struct units *units, usec_t now);
