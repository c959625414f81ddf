#pragma once
/* Problems of a configuration, told to whoever looks. */

#include "config/report.h"
#include "journal/journal.h"

/* The errors alone, a line each: for whoever asked for a reload. */
void tell_in_short(const struct config_report *report, struct strbuf *out);
/* One line on stderr each. */
void tell_on_stderr(const struct config_report *report);

/* Where stderr leads to the journal, one record each with its place in fields, errors as `error_event`;
 * elsewhere the same lines as above, for the fields would only say twice what stands in the line. */
void tell_problems(struct journal *journal, const struct config_report *report,
                   enum journal_event error_event);
