#pragma once
/* The number of this process in the line of its predecessors, kept in the state directory. */

#include "util/macros.h"

/* Reads <directory>/generation, adds one, writes it back atomically. A missing, unreadable or hostile file
 * counts as 0 and a directory that cannot be written is not fatal: *ret is set in every case, the errno says
 * what was wrong. */
int generation_next(const char *directory, uint64_t *ret);
