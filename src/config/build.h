#pragma once
/* From the draft to the configuration: what one section says about another is resolved and checked. */

#include "config/draft.h"

/* Moves the sections' objects into `config`, whatever is wrong with them; what is wrong goes to the draft's
 * report. */
void config_build(struct draft *draft, struct config *config);
