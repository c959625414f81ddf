#pragma once
/* The part of config_build() that is about routes. */

#include "config/draft.h"

/* Needs config->upstreams, in the order of the draft's sections, and config->gateway. */
void build_routes(struct draft *draft, struct config *config);

/* Reports when not exactly one of several options is set. Returns the setting of the first, or NULL. */
const struct setting *section_require_one(const struct draft *draft, const struct section *section,
                                          const char *const *keys, const char *accepted);
