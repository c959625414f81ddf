#pragma once
/* What the kernel says about this process. */

#include "util/macros.h"

struct process_usage {
    bool has_stat; /* the fields up to `threads` are set */
    double cpu_seconds;
    uint64_t virtual_memory;  /* bytes */
    uint64_t resident_memory; /* bytes */
    uint64_t threads;
    bool has_open_fds;
    uint64_t open_fds;
    bool has_max_fds;
    uint64_t max_fds;
};

/* Reads /proc/self; what cannot be read is left out. */
void process_usage_read(struct process_usage *ret);
/* Takes the fields of a line of /proc/PID/stat. False when it is not one. */
bool process_usage_parse_stat(struct process_usage *usage, const char *line);
