#include "gateway/tell.h"

#include "journal/fields.h"

void tell_on_stderr(const struct config_report *report)
{
    for (size_t i = 0; i < report->n_problems; i++) {
        _cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
        config_problem_format(&report->problems[i], &line);
        fprintf(stderr, "%s\n", strbuf_string(&line));
    }
}

void tell_in_short(const struct config_report *report, struct strbuf *out)
{
    enum { SIZE_MAX_SHORT = 16 * 1024 }; /* a message has a bound, and a reader, too */
    size_t n = 0;
    for (size_t i = 0; i < report->n_problems; i++) {
        if (!report->problems[i].is_error)
            continue;
        if (out->size > SIZE_MAX_SHORT)
            break;
        if (n++ > 0)
            strbuf_add_string(out, "\n");
        config_problem_format(&report->problems[i], out);
    }
    if (n < report->n_errors)
        strbuf_addf(out, "\n… and %zu more", report->n_errors - n);
}

static void add_if_known(struct journal_record *record, const char *name, const char *value)
{
    if (value)
        journal_add_string(record, name, value);
}

static void tell(struct journal *journal, const struct config_problem *problem,
                 enum journal_event error_event)
{
    struct journal_record record;
    journal_begin(&record, problem->is_error ? error_event : EVENT_CONFIG_WARNING);
    add_if_known(&record, FIELD_FILE, problem->file);
    if (problem->line > 0)
        journal_add_u64(&record, FIELD_LINE, problem->line);
    add_if_known(&record, FIELD_SECTION, problem->section);
    add_if_known(&record, FIELD_KEY, problem->key);
    add_if_known(&record, FIELD_VALUE, problem->value);
    journal_add_string(&record, FIELD_REASON, problem->message);

    _cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
    config_problem_format(problem, &line);
    journal_send(journal, &record, "%s", strbuf_string(&line));
}

void tell_problems(struct journal *journal, const struct config_report *report,
                   enum journal_event error_event)
{
    if (!journal_is_native(journal)) {
        journal_flush(journal, USEC_PER_SEC); /* what was said before comes first */
        tell_on_stderr(report);
        return;
    }
    for (size_t i = 0; i < report->n_problems; i++)
        tell(journal, &report->problems[i], error_event);
}
