#pragma once
/* The record of who has changed something, or was not let. Private to admin/. */

#include "admin/verbs.h"
#include "journal/journal.h"

/* Begins a record of `event` with who asks. */
void audit_begin(struct journal_record *record, enum journal_event event,
                 const struct handler_request *request);
/* Completes and sends it; `what` says what is wanted, in words: "operator (UID 0, GID 0, PID 12): reload". */
void audit_send(struct journal *journal, struct journal_record *record, const struct handler_request *request,
                const char *what);
/* The whole record of a change that has no more to say than the name of its verb. */
void audit_change(const struct admin *admin, const struct handler_request *request, const char *verb);
/* Somebody wanted to change something and may not. Limited in rate. */
void audit_refused(struct admin *admin, const struct handler_request *request, const char *reason);
