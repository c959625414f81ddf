#pragma once
/* What was found wrong with a configuration: for each problem the place, the key, the value that was found,
 * what is wrong with it, and what is accepted. */

#include "util/macros.h"
#include "util/strbuf.h"

struct config_place {
    const char *file; /* owned by the config or the report; NULL: not from a file */
    unsigned line;    /* 0: the file as a whole */
};

struct config_problem {
    bool is_error; /* else a warning: nothing is refused because of it */
    char *file;
    unsigned line;
    char *section;  /* "Listener http" or NULL */
    char *key;      /* or NULL */
    char *value;    /* or NULL; long or binary values are shortened and escaped */
    char *message;  /* one sentence, lower case, no full stop */
    char *accepted; /* what would be right, or NULL */
};

struct config_report {
    struct config_problem *problems;
    size_t n_problems;
    size_t n_errors;
};

#define CONFIG_REPORT_INIT \
    {                      \
        NULL, 0, 0         \
    }

/* Adds a problem; every string is copied, section, key, value and accepted may be NULL. */
void config_report_add(struct config_report *report, bool is_error, struct config_place place,
                       const char *section, const char *key, const char *value, const char *accepted,
                       const char *format, ...) _printf_(8, 9);
/* One problem on one line for people: "FILE:LINE: [Section] Key=value: message (accepted: …)". */
void config_problem_format(const struct config_problem *problem, struct strbuf *out);
void config_report_deinit(struct config_report *report);
