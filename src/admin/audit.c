#include "admin/audit.h"

#include "journal/fields.h"

/* Records of refused attempts in a second. */
#define REFUSED_PER_SECOND 5

void audit_begin(struct journal_record *record, enum journal_event event,
                 const struct handler_request *request)
{
    const struct credentials *peer = request->peer;
    journal_begin(record, event);
    if (peer->pid == 0)
        return;
    journal_add_u64(record, FIELD_OPERATOR_UID, peer->uid);
    journal_add_u64(record, FIELD_OPERATOR_GID, peer->gid);
    journal_add_u64(record, FIELD_OPERATOR_PID, (uint64_t)peer->pid);
}

void audit_send(struct journal *journal, struct journal_record *record, const struct handler_request *request,
                const char *what)
{
    const struct credentials *peer = request->peer;
    if (peer->pid == 0)
        journal_send(journal, record, "operator (not known): %s", what);
    else
        journal_send(journal, record, "operator (UID %u, GID %u, PID %d): %s", (unsigned)peer->uid,
                     (unsigned)peer->gid, (int)peer->pid, what);
}

void audit_change(const struct admin *admin, const struct handler_request *request, const char *verb)
{
    struct journal_record record;
    audit_begin(&record, EVENT_OPERATOR, request);
    journal_add_string(&record, FIELD_VERB, verb);
    audit_send(admin->options.journal, &record, request, verb);
}

void audit_refused(struct admin *admin, const struct handler_request *request, const char *reason)
{
    struct journal_record record;
    if (!allowance_take(&admin->refused, REFUSED_PER_SECOND, now_monotonic()))
        return;
    const uint64_t withheld = allowance_take_withheld(&admin->refused);
    _cleanup_strbuf_ struct strbuf what = STRBUF_INIT;
    strbuf_addf(&what, "%.*s was refused: %s", (int)request->path.size, request->path.data, reason);
    audit_begin(&record, EVENT_OPERATOR_REFUSED, request);
    journal_add(&record, FIELD_PATH, request->path);
    journal_add_string(&record, FIELD_REASON, reason);
    if (withheld > 0)
        journal_add_u64(&record, FIELD_WITHHELD, withheld);
    audit_send(admin->options.journal, &record, request, strbuf_string(&what));
}
