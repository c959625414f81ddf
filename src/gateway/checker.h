#pragma once
/* Asks targets for their health: the control thread's clients. When, the roster says (upstream/vitals.h);
 * what it means, too. Traffic is never delayed: workers see what comes of it. */

#include "http/loop.h"
#include "upstream/roster.h"

struct checker;

/* What it is given must outlive it. */
int checker_new(struct checker **ret, const struct config *config, struct roster *roster, struct loop *loop)
    _warn_unused_;
/* Accepts NULL, returns NULL. */
struct checker *checker_free(struct checker *checker);
/* Begins what is due; returns when to call again. What is under way goes on by itself, on the loop. */
usec_t checker_step(struct checker *checker, usec_t now);
