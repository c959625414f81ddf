#pragma once
/* The composition root: owns every part, builds them in order and tears them down in reverse. */

#include "gateway/exit_status.h"
#include "lifecycle/descriptors.h"
#include "util/macros.h"

struct gateway;

struct gateway_options {
    const char *config_file;         /* NULL: the installed configuration */
    struct descriptors *descriptors; /* borrowed */
    int channel;                     /* to the predecessor, -1: there is none; consumed */
};

/* Builds all parts. On failure the reasons have been told, and the exit status is returned as a positive
 * number. */
int gateway_new(struct gateway **ret, const struct gateway_options *options) _warn_unused_;
/* Runs until it was told to stop and has drained. Returns the exit status. */
int gateway_run(struct gateway *gateway) _warn_unused_;
struct gateway *gateway_free(struct gateway *gateway);

/* All that needs no descriptors: prints every problem on stderr and returns the exit status. */
int gateway_check(const char *config_file);
