#pragma once
/* The number of this process in the line of its predecessors, kept in the state directory. */

#include "util/macros.h"

/* Reads <directory>/generation, adds one, writes it back atomically. A missing, unreadable or hostile file
 * counts as 0 and a directory that cannot be written is not fatal: *ret is set in every case, the errno says
 * what was wrong. */
int generation_next(const char *directory, uint64_t *ret);

/* Leaves <directory>/running with our number, until generation_end() removes it. *ret_died is the number of a
 * predecessor that left one behind, having ended without a word; 0 when there is none. */
int generation_begin(const char *directory, uint64_t number, uint64_t *ret_died);
void generation_end(const char *directory);
