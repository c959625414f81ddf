#pragma once
/* What the verbs of holdfastctl share. */

#include "util/clock.h"
#include "util/macros.h"

/* Exit statuses. */
enum {
    CTL_OK = 0,
    CTL_FAILED = 1, /* refused or failed; the reason is on stderr */
    CTL_USAGE = 2,
};

struct ctl_options {
    const char *admin; /* path of the admin socket */
    usec_t timeout;    /* for an answer as a whole */
    bool json;
    bool is_terminal; /* standard output is: align columns */
    bool colours;
};

struct ctl_verb {
    const char *name;
    const char *arguments; /* as in the help, "" for none */
    int max_arguments;
    bool has_json; /* takes --json */
    /* `arguments` ends with NULL. Returns the exit status. */
    int (*run)(const struct ctl_options *options, char **arguments);
    const char *help;
    usec_t timeout; /* for the answer, where --timeout does not say; 0: the default */
};

/* The table of all verbs; ends with a row without a name. */
extern const struct ctl_verb ctl_verbs[];

/* Where to look, on stderr, after ctl_error() has told what is wrong with the command line; returns
 * CTL_USAGE.
 */
int ctl_usage_hint(void);

/* One line on stderr, with the program's name before it. */
void ctl_error(const char *format, ...) _printf_(1, 2);

int ctl_help(const struct ctl_options *options, char **arguments);
int ctl_status(const struct ctl_options *options, char **arguments);
int ctl_health(const struct ctl_options *options, char **arguments);
int ctl_metrics(const struct ctl_options *options, char **arguments);
int ctl_upstreams(const struct ctl_options *options, char **arguments);
int ctl_target(const struct ctl_options *options, char **arguments);
int ctl_pause(const struct ctl_options *options, char **arguments);
int ctl_resume(const struct ctl_options *options, char **arguments);
int ctl_reload(const struct ctl_options *options, char **arguments);
int ctl_check(const struct ctl_options *options, char **arguments);
