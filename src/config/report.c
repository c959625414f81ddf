#include "config/report.h"

#include "util/parse.h"

/* A file of nothing but mistakes must not fill memory and journal: further problems are counted only. */
#define PROBLEMS_MAX 1000
/* What is shown of a value. */
#define VALUE_SHOWN_MAX 120

/* Copies text for a line on a terminal: control characters and bytes that are not UTF-8 become \xNN, and what
 * is longer than `max` bytes ends in "…". */
static char *printable(const char *text, size_t max)
{
    struct strbuf out = STRBUF_INIT;
    size_t size = strlen(text), shown = MIN(size, max);

    while (shown < size && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
        shown--;
    bool is_utf8 = utf8_is_valid(text, shown);
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f || (c >= 0x80 && !is_utf8))
            strbuf_addf(&out, "\\x%02x", c);
        else
            strbuf_add_char(&out, (char)c);
    }
    if (shown < size)
        strbuf_add_string(&out, "…");
    return strbuf_steal(&out);
}

static char *printable_or_null(const char *text, size_t max)
{
    return text ? printable(text, max) : NULL;
}

static struct config_problem *append(struct config_report *report)
{
    report->problems = xrealloc(report->problems, report->n_problems + 1, sizeof(*report->problems));
    struct config_problem *problem = &report->problems[report->n_problems++];
    *problem = (struct config_problem){0};
    return problem;
}

void config_report_add(struct config_report *report, bool is_error, struct config_place place,
                       const char *section, const char *key, const char *value, const char *accepted,
                       const char *format, ...)
{
    if (is_error)
        report->n_errors++;
    if (report->n_problems > PROBLEMS_MAX)
        return;
    if (report->n_problems == PROBLEMS_MAX) {
        struct config_problem *last = append(report);
        last->is_error = true;
        last->message = xstrdup("more problems were found than are listed");
        return;
    }

    struct strbuf message = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&message, format, args);
    va_end(args);

    struct config_problem *problem = append(report);
    problem->is_error = is_error;
    problem->file = printable_or_null(place.file, SIZE_MAX);
    problem->line = place.line;
    problem->section = printable_or_null(section, VALUE_SHOWN_MAX);
    problem->key = printable_or_null(key, VALUE_SHOWN_MAX);
    problem->value = printable_or_null(value, VALUE_SHOWN_MAX);
    problem->accepted = printable_or_null(accepted, SIZE_MAX);
    problem->message = printable_or_null(strbuf_string(&message), SIZE_MAX); /* it may quote what was found */
    strbuf_deinit(&message);
}

void config_problem_format(const struct config_problem *problem, struct strbuf *out)
{
    if (problem->file && problem->line > 0)
        strbuf_addf(out, "%s:%u: ", problem->file, problem->line);
    else if (problem->file)
        strbuf_addf(out, "%s: ", problem->file);
    if (!problem->is_error)
        strbuf_add_string(out, "warning: ");
    if (problem->section)
        strbuf_addf(out, "[%s]%s", problem->section, problem->key ? " " : ": ");
    if (problem->key)
        strbuf_addf(out, "%s=%s: ", problem->key, problem->value ? problem->value : "");
    else if (problem->value)
        strbuf_addf(out, "\"%s\": ", problem->value);
    strbuf_add_string(out, problem->message);
    if (problem->accepted)
        strbuf_addf(out, " (accepted: %s)", problem->accepted);
}

void config_report_deinit(struct config_report *report)
{
    for (size_t i = 0; i < report->n_problems; i++) {
        struct config_problem *problem = &report->problems[i];
        free(problem->file);
        free(problem->section);
        free(problem->key);
        free(problem->value);
        free(problem->message);
        free(problem->accepted);
    }
    free(report->problems);
    *report = (struct config_report)CONFIG_REPORT_INIT;
}
