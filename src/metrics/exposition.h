#pragma once
/* The pieces of the Prometheus text format. */

#include "util/strbuf.h"

/* Adds name="value" with the value escaped; bytes that are not UTF-8 come out as U+FFFD. */
void exposition_add_label(struct strbuf *out, const char *name, const char *value);
/* Adds text as a HELP line may hold it. */
void exposition_add_help(struct strbuf *out, const char *help);
