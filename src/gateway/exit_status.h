#pragma once

/* Exit statuses, as sysexits.h and systemd.exec(5) name them. */
enum {
    EXIT_USAGE_ERROR = 64,
    EXIT_UNAVAILABLE = 69, /* a required check has failed */
    EXIT_SOFTWARE_ERROR = 70,
    EXIT_CONFIG_ERROR = 78,
};
