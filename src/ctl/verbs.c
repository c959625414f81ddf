#include "ctl/ctl.h"

/* help, holdfastctl.1 and holdfastctl.bash are held to this table by tests/lint/check-ctl-table. */
/* clang-format off */
const struct ctl_verb ctl_verbs[] = {
    {"status",    "",                      0,        true,  ctl_status,    "show state, listeners, routes, upstreams, and counters"},
    {"health",    "",                      0,        true,  ctl_health,    "say, also by the exit status, whether requests are taken"},
    {"metrics",   "",                      0,        false, ctl_metrics,   "print all counters in Prometheus' text format"},
    {"upstreams", "",                      0,        true,  ctl_upstreams, "show every target: what is wanted and observed of it"},
    {"target",    "NAME ADDRESS WORD...",  2 + 2,    true,  ctl_target,    "change a target of the upstream NAME; WORD is add, remove,\n"
                                                                           "ready, drain or down, and weight=N"},
    {"pause",     "NAME",                  1,        true,  ctl_pause,     "let the requests to the upstream NAME wait"},
    {"resume",    "NAME",                  1,        true,  ctl_resume,    "let them go on"},
    {"reload",    "",                      0,        true,  ctl_reload,    "let a new process take over, with the configuration of now", USEC_INFINITY},
    {"check",     "[FILE]",                1,        false, ctl_check,     "check the configuration, or FILE; changes nothing"},
    {"help",      "",                      0,        false, ctl_help,      "print this help"},
    {NULL},
};
/* clang-format on */
