#pragma once
/* The table of all metrics: one row each. Private to metrics/.
 *
 * A row is either counted, in a cell per combination of its dimensions' values, or read from the process as
 * a whole when somebody asks. */

#include "metrics/metrics.h"
#include "metrics/process.h"

enum metric {
    METRIC_REQUESTS,
    METRIC_REQUEST_DURATION,
    METRIC_REQUEST_BYTES,
    METRIC_RESPONSE_BYTES,
    METRIC_REQUESTS_IN_FLIGHT,
    METRIC_REQUESTS_CUT,
    METRIC_BODY_SPILLS,
    METRIC_BODIES_REFUSED,
    METRIC_CLASS_TOTALS,
    METRIC_CONNECTIONS,
    METRIC_CONNECTIONS_TOTAL,
    METRIC_ACCEPT_PAUSES,
    METRIC_CLIENT_FAULTS,
    METRIC_REQUESTS_LIMITED,
    METRIC_RATE_LIMIT_EVICTED,
    METRIC_TRIES,
    METRIC_TRY_DURATION,
    METRIC_POOL_IDLE,
    METRIC_POOL_REUSED,
    METRIC_RETRIES,
    METRIC_HELD_TOTAL,
    METRIC_HOLD_EXPIRED,
    METRIC_HELD,
    METRIC_HELD_BYTES,
    METRIC_TARGET_READY,
    METRIC_BREAKER_STATE,
    METRIC_CERTIFICATE_EXPIRY,
    _METRIC_COUNTED_MAX,

    METRIC_BUILD_INFO = _METRIC_COUNTED_MAX,
    METRIC_STATE,
    METRIC_GENERATION,
    METRIC_START_TIME,
    METRIC_JOURNAL_DROPPED,
    METRIC_PLACES_TAKEN,
    METRIC_PLACES,
    METRIC_BODY_MEMORY,
    METRIC_BODY_DISK,
    METRIC_RELOADS,
    METRIC_RELOADS_FAILED,
    METRIC_RESTARTS,
    METRIC_CRASHES,
    METRIC_RELOAD_START,
    METRIC_RELOAD_HAND_OVER,
    METRIC_MOVED,
    METRIC_PARKED,
    METRIC_NOT_MOVED,
    METRIC_DRAINING,
    METRIC_PROCESS_CPU,
    METRIC_PROCESS_OPEN_FDS,
    METRIC_PROCESS_MAX_FDS,
    METRIC_PROCESS_VIRTUAL_MEMORY,
    METRIC_PROCESS_RESIDENT_MEMORY,
    METRIC_PROCESS_START_TIME,
    METRIC_PROCESS_THREADS,
    _METRIC_MAX,
};

enum metric_type {
    METRIC_COUNTER,
    METRIC_GAUGE,
    METRIC_HISTOGRAM, /* of durations */
    _METRIC_TYPE_MAX,
};

/* What a counted metric is told apart by. The values of each are bounded: by the configuration or by an enum,
 * never by what a client sends. */
enum metric_dimension {
    DIMENSION_NONE,
    DIMENSION_ROUTE,
    DIMENSION_METHOD,
    DIMENSION_CLASS,
    DIMENSION_LISTENER,
    DIMENSION_PROTOCOL,
    DIMENSION_UPSTREAM,
    DIMENSION_TARGET, /* of an upstream: gives two labels */
    DIMENSION_OUTCOME,
    DIMENSION_CERTIFICATE, /* of a listener: gives two labels */
    DIMENSION_FAULT,
    _DIMENSION_MAX,
};

#define METRIC_MAX_DIMENSIONS 3

struct metric_label {
    const char *name;
    const char *value;
};

struct metric_reading {
    double value;
    struct metric_label label; /* .name NULL: none */
};

struct metric_family {
    const char *name; /* NULL: kept for sums of our own, not exposed */
    enum metric_type type;
    const char *help;
    enum metric_dimension dimensions[METRIC_MAX_DIMENSIONS];
    bool sparse; /* series that are still zero are not exposed: there may be thousands */
    /* Instead of cells. False: not to be had now. */
    bool (*read)(const struct metrics_process *process, const struct process_usage *usage,
                 struct metric_reading *ret);
};

extern const struct metric_family metric_families[_METRIC_MAX];
