#include "metrics/family.h"

static bool read_build_info(const struct metrics_process *process, const struct process_usage *usage,
                            struct metric_reading *ret)
{
    *ret = (struct metric_reading){1, {"version", process->version}};
    return true;
}

static bool read_state(const struct metrics_process *process, const struct process_usage *usage,
                       struct metric_reading *ret)
{
    *ret = (struct metric_reading){1, {"state", process->state}};
    return true;
}

static bool read_generation(const struct metrics_process *process, const struct process_usage *usage,
                            struct metric_reading *ret)
{
    ret->value = (double)process->generation;
    return true;
}

static bool read_start_time(const struct metrics_process *process, const struct process_usage *usage,
                            struct metric_reading *ret)
{
    ret->value = (double)process->started_realtime / (double)USEC_PER_SEC;
    return true;
}

static bool read_journal_dropped(const struct metrics_process *process, const struct process_usage *usage,
                                 struct metric_reading *ret)
{
    ret->value = (double)process->journal_dropped;
    return true;
}

static bool read_places_taken(const struct metrics_process *process, const struct process_usage *usage,
                              struct metric_reading *ret)
{
    ret->value = (double)process->places_taken;
    return true;
}

static bool read_places(const struct metrics_process *process, const struct process_usage *usage,
                        struct metric_reading *ret)
{
    ret->value = (double)process->places;
    return true;
}

static bool read_body_memory(const struct metrics_process *process, const struct process_usage *usage,
                             struct metric_reading *ret)
{
    ret->value = (double)process->body_memory;
    return true;
}

static bool read_body_disk(const struct metrics_process *process, const struct process_usage *usage,
                           struct metric_reading *ret)
{
    ret->value = (double)process->body_disk;
    return true;
}

#define READ_LINEAGE(name, expression)                                                                \
    static bool read_##name(const struct metrics_process *process, const struct process_usage *usage, \
                            struct metric_reading *ret)                                               \
    {                                                                                                 \
        const struct metrics_lineage *lineage = &process->lineage;                                    \
        ret->value = (double)(expression);                                                            \
        return true;                                                                                  \
    }
READ_LINEAGE(reloads, lineage->reloads)
READ_LINEAGE(reloads_failed, lineage->reloads_failed)
READ_LINEAGE(restarts, lineage->restarts)
READ_LINEAGE(crashes, lineage->crashes)
READ_LINEAGE(reload_start, (double)lineage->last_start / (double)USEC_PER_SEC)
READ_LINEAGE(reload_hand_over, (double)lineage->last_hand_over / (double)USEC_PER_SEC)
READ_LINEAGE(moved, lineage->moved)
READ_LINEAGE(parked, lineage->parked)
READ_LINEAGE(not_moved, lineage->closed)
READ_LINEAGE(draining, lineage->draining)

static bool read_cpu(const struct metrics_process *process, const struct process_usage *usage,
                     struct metric_reading *ret)
{
    ret->value = usage->cpu_seconds;
    return usage->has_stat;
}

static bool read_open_fds(const struct metrics_process *process, const struct process_usage *usage,
                          struct metric_reading *ret)
{
    ret->value = (double)usage->open_fds;
    return usage->has_open_fds;
}

static bool read_max_fds(const struct metrics_process *process, const struct process_usage *usage,
                         struct metric_reading *ret)
{
    ret->value = (double)usage->max_fds;
    return usage->has_max_fds;
}

static bool read_virtual_memory(const struct metrics_process *process, const struct process_usage *usage,
                                struct metric_reading *ret)
{
    ret->value = (double)usage->virtual_memory;
    return usage->has_stat;
}

static bool read_resident_memory(const struct metrics_process *process, const struct process_usage *usage,
                                 struct metric_reading *ret)
{
    ret->value = (double)usage->resident_memory;
    return usage->has_stat;
}

static bool read_threads(const struct metrics_process *process, const struct process_usage *usage,
                         struct metric_reading *ret)
{
    ret->value = (double)usage->threads;
    return usage->has_stat;
}

/* clang-format off */
const struct metric_family metric_families[_METRIC_MAX] = {
    [METRIC_REQUESTS] = {
        "holdfast_requests_total", METRIC_COUNTER,
        "Requests that ended, by route, method and class of the status sent; aborted: the client went away before one.",
        {DIMENSION_ROUTE, DIMENSION_METHOD, DIMENSION_CLASS}, .sparse = true,
    },
    [METRIC_REQUEST_DURATION] = {
        "holdfast_request_duration_seconds", METRIC_HISTOGRAM,
        "Time from a request's arrival to the end of its response.",
        {DIMENSION_ROUTE}, .sparse = true,
    },
    [METRIC_REQUEST_BYTES] = {
        "holdfast_request_bytes_total", METRIC_COUNTER, "Bytes of request bodies received.",
        {DIMENSION_ROUTE}, .sparse = true,
    },
    [METRIC_RESPONSE_BYTES] = {
        "holdfast_response_bytes_total", METRIC_COUNTER, "Bytes of response bodies sent.",
        {DIMENSION_ROUTE}, .sparse = true,
    },
    [METRIC_REQUESTS_IN_FLIGHT] = {
        "holdfast_requests_in_flight", METRIC_GAUGE, "Requests being answered now, tunnels included.",
    },
    [METRIC_REQUESTS_CUT] = {
        "holdfast_requests_cut_total", METRIC_COUNTER, "Requests ended by the gateway at the drain deadline.",
    },
    [METRIC_BODY_SPILLS] = {
        "holdfast_request_bodies_spilled_total", METRIC_COUNTER,
        "Request bodies that were larger than BodyMemorySize= and went to disk.",
    },
    [METRIC_BODIES_REFUSED] = {
        "holdfast_request_bodies_refused_total", METRIC_COUNTER,
        "Requests answered with 503 as there was no room for their bodies, in MaxBufferedSize= or on disk.",
    },
    [METRIC_CLASS_TOTALS] = {
        /* holdfast_requests_total over all routes and methods, so that a total costs six reads per worker. */
        NULL, METRIC_COUNTER, NULL, {DIMENSION_CLASS},
    },
    [METRIC_CONNECTIONS] = {
        "holdfast_connections", METRIC_GAUGE, "Client connections open now.",
        {DIMENSION_LISTENER, DIMENSION_PROTOCOL},
    },
    [METRIC_CONNECTIONS_TOTAL] = {
        "holdfast_connections_total", METRIC_COUNTER, "Client connections opened.",
        {DIMENSION_LISTENER, DIMENSION_PROTOCOL},
    },
    [METRIC_ACCEPT_PAUSES] = {
        "holdfast_accept_pauses_total", METRIC_COUNTER,
        "Times that a thread paused accepting on a listener: at a limit, or for want of descriptors or memory.",
        {DIMENSION_LISTENER}, .sparse = true,
    },
    [METRIC_CLIENT_FAULTS] = {
        "holdfast_client_faults_total", METRIC_COUNTER,
        "Connections that were refused or ended for what their clients did, by listener and kind of fault.",
        {DIMENSION_LISTENER, DIMENSION_FAULT}, .sparse = true,
    },
    [METRIC_REQUESTS_LIMITED] = {
        "holdfast_requests_limited_total", METRIC_COUNTER, "Requests that were refused by a rate limit, by route.",
        {DIMENSION_ROUTE}, .sparse = true,
    },
    [METRIC_RATE_LIMIT_EVICTED] = {
        "holdfast_rate_limit_evicted_total", METRIC_COUNTER,
        "Clients that a rate limit forgot for others before they could have sent all they may: there are more than RateLimitClients=.",
        {DIMENSION_ROUTE}, .sparse = true,
    },
    [METRIC_TRIES] = {
        "holdfast_upstream_tries_total", METRIC_COUNTER, "Requests sent to a target, by what came of it.",
        {DIMENSION_TARGET, DIMENSION_OUTCOME}, .sparse = true,
    },
    [METRIC_TRY_DURATION] = {
        "holdfast_upstream_try_duration_seconds", METRIC_HISTOGRAM,
        "Time from picking a target to the end of its response or the failure.",
        {DIMENSION_TARGET}, .sparse = true,
    },
    [METRIC_POOL_IDLE] = {
        "holdfast_upstream_pool_idle", METRIC_GAUGE, "Idle connections kept for a target.",
        {DIMENSION_TARGET},
    },
    [METRIC_POOL_REUSED] = {
        "holdfast_upstream_reused_total", METRIC_COUNTER, "Tries that went over a kept connection.",
        {DIMENSION_TARGET},
    },

    [METRIC_RETRIES] = {
        "holdfast_upstream_retries_total", METRIC_COUNTER, "Tries after the first one of a request.",
        {DIMENSION_UPSTREAM},
    },
    [METRIC_HELD_TOTAL] = {
        "holdfast_upstream_held_total", METRIC_COUNTER, "Requests that had to wait for a target.",
        {DIMENSION_UPSTREAM},
    },
    [METRIC_HOLD_EXPIRED] = {
        "holdfast_upstream_hold_expired_total", METRIC_COUNTER,
        "Requests that were answered with 503 because no target was ready: in time, or at all where there was no room to wait.",
        {DIMENSION_UPSTREAM},
    },
    [METRIC_HELD] = {
        "holdfast_upstream_held", METRIC_GAUGE, "Requests that wait for a target now.",
        {DIMENSION_UPSTREAM},
    },
    [METRIC_HELD_BYTES] = {
        "holdfast_upstream_held_bytes", METRIC_GAUGE, "Bytes of the requests that wait for a target now.",
        {DIMENSION_UPSTREAM},
    },
    [METRIC_TARGET_READY] = {
        "holdfast_upstream_target_ready", METRIC_GAUGE, "Whether requests go to a target.",
        {DIMENSION_TARGET},
    },
    [METRIC_BREAKER_STATE] = {
        "holdfast_upstream_breaker_state", METRIC_GAUGE,
        "State of a target's circuit breaker: 0 closed, 1 half-open, 2 open.",
        {DIMENSION_TARGET},
    },

    [METRIC_CERTIFICATE_EXPIRY] = {
        "holdfast_certificate_expiry_time_seconds", METRIC_GAUGE,
        "When a certificate of a listener expires, in seconds since the epoch.",
        {DIMENSION_CERTIFICATE},
    },

    [METRIC_BUILD_INFO] = {
        "holdfast_build_info", METRIC_GAUGE, "Always 1; the label tells the version.",
        .read = read_build_info,
    },
    [METRIC_STATE] = {
        "holdfast_state", METRIC_GAUGE, "Always 1; the label tells what the gateway is doing.",
        .read = read_state,
    },
    [METRIC_GENERATION] = {
        "holdfast_generation", METRIC_GAUGE, "Number of this process in the line of its predecessors.",
        .read = read_generation,
    },
    [METRIC_START_TIME] = {
        "holdfast_start_time_seconds", METRIC_GAUGE, "When this generation started, in seconds since the epoch.",
        .read = read_start_time,
    },
    [METRIC_JOURNAL_DROPPED] = {
        "holdfast_journal_dropped_total", METRIC_COUNTER, "Records dropped because the journal did not keep up.",
        .read = read_journal_dropped,
    },
    [METRIC_PLACES_TAKEN] = {
        "holdfast_connections_counted", METRIC_GAUGE,
        "Client connections that count against MaxConnections=, handshakes and lingering closes among them.",
        .read = read_places_taken,
    },
    [METRIC_PLACES] = {
        "holdfast_connections_max", METRIC_GAUGE, "Client connections that there may be at once.",
        .read = read_places,
    },
    [METRIC_BODY_MEMORY] = {
        "holdfast_request_body_memory_bytes", METRIC_GAUGE, "Bytes of request bodies held in memory now.",
        .read = read_body_memory,
    },
    [METRIC_BODY_DISK] = {
        "holdfast_request_body_disk_bytes", METRIC_GAUGE, "Bytes of request bodies held on disk now.",
        .read = read_body_disk,
    },
    [METRIC_RELOADS] = {
        "holdfast_reloads_total", METRIC_COUNTER, "Reloads by which a new generation took over.",
        .read = read_reloads,
    },
    [METRIC_RELOADS_FAILED] = {
        "holdfast_reloads_failed_total", METRIC_COUNTER, "Reloads that failed, and changed nothing.",
        .read = read_reloads_failed,
    },
    [METRIC_RESTARTS] = {
        "holdfast_restarts_total", METRIC_COUNTER, "Restarts over which connections were kept.",
        .read = read_restarts,
    },
    [METRIC_CRASHES] = {
        "holdfast_crashes_total", METRIC_COUNTER, "Generations that ended without a word.",
        .read = read_crashes,
    },
    [METRIC_RELOAD_START] = {
        "holdfast_reload_start_seconds", METRIC_GAUGE,
        "At the last reload: time from the request until the new generation was ready.",
        .read = read_reload_start,
    },
    [METRIC_RELOAD_HAND_OVER] = {
        "holdfast_reload_hand_over_seconds", METRIC_GAUGE,
        "At the last reload: time from then until the new generation was the main process.",
        .read = read_reload_hand_over,
    },
    [METRIC_MOVED] = {
        "holdfast_connections_moved_total", METRIC_COUNTER,
        "Idle connections that went from one generation to the next at reloads.", .read = read_moved,
    },
    [METRIC_PARKED] = {
        "holdfast_connections_parked_total", METRIC_COUNTER,
        "Idle connections that were kept over restarts.", .read = read_parked,
    },
    [METRIC_NOT_MOVED] = {
        "holdfast_connections_not_moved_total", METRIC_COUNTER,
        "Idle connections that were to go to the next generation, and were closed for want of room.",
        .read = read_not_moved,
    },
    [METRIC_DRAINING] = {
        "holdfast_generations_draining", METRIC_GAUGE,
        "Generations before this one that still finish what they had begun.", .read = read_draining,
    },
    [METRIC_PROCESS_CPU] = {
        "process_cpu_seconds_total", METRIC_COUNTER, "Total user and system CPU time spent in seconds.",
        .read = read_cpu,
    },
    [METRIC_PROCESS_OPEN_FDS] = {
        "process_open_fds", METRIC_GAUGE, "Number of open file descriptors.", .read = read_open_fds,
    },
    [METRIC_PROCESS_MAX_FDS] = {
        "process_max_fds", METRIC_GAUGE, "Maximum number of open file descriptors.", .read = read_max_fds,
    },
    [METRIC_PROCESS_VIRTUAL_MEMORY] = {
        "process_virtual_memory_bytes", METRIC_GAUGE, "Virtual memory size in bytes.",
        .read = read_virtual_memory,
    },
    [METRIC_PROCESS_RESIDENT_MEMORY] = {
        "process_resident_memory_bytes", METRIC_GAUGE, "Resident memory size in bytes.",
        .read = read_resident_memory,
    },
    [METRIC_PROCESS_START_TIME] = {
        "process_start_time_seconds", METRIC_GAUGE, "Start time of the process since unix epoch in seconds.",
        .read = read_start_time,
    },
    [METRIC_PROCESS_THREADS] = {
        "process_threads", METRIC_GAUGE, "Number of OS threads in the process.", .read = read_threads,
    },
};
/* clang-format on */
