#pragma once
/* The account of a run. */

#include "run.h"

void report_print(const struct run *run, FILE *out);
/* Returns 0 or a negative errno. */
int report_print_json(const struct run *run, FILE *out) _warn_unused_;
