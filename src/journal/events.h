#pragma once
/* Every event in a life that an operator cares about: one line each, with its message id, priority and name.
 * units/holdfast.catalog explains each id; tests/lint checks the two against each other. */

#include <syslog.h>

/* clang-format off */
/*        symbol              name                message id                          priority */
#define JOURNAL_EVENTS(X)                                                                                    \
    X(EVENT_MESSAGE,          "message",          "a7d25af54ce7471aa294cf496ab02897", LOG_INFO)              \
    X(EVENT_WARNING,          "warning",          "e6f35806027040149526ede2a29770c4", LOG_WARNING)           \
    X(EVENT_START,            "start",            "efdf65716cc341529341d904fa24ecac", LOG_INFO)              \
    X(EVENT_READY,            "ready",            "cd2b0e2336894149a211bf0a46ee3c29", LOG_NOTICE)            \
    X(EVENT_CONFIG_ERROR,     "config-error",     "43cbeefd8f9e47b1a5391623e6577aac", LOG_ERR)               \
    X(EVENT_CONFIG_WARNING,   "config-warning",   "1368900bffb04d21aa216e4a11a4367a", LOG_WARNING)           \
    X(EVENT_DESCRIPTOR_ERROR, "descriptor-error", "ceeb79a097834964bda7d7b192c398c1", LOG_ERR)               \
    X(EVENT_CHECK_PASSED,     "check-passed",     "491056300f924b4e86afe2bada96aff2", LOG_INFO)              \
    X(EVENT_CHECK_FAILED,     "check-failed",     "8efbacf782c5463bb035bb09d595e9d4", LOG_ERR)               \
    X(EVENT_DRAIN_BEGIN,      "drain-begin",      "db7f9a5853df40288be506ee9a130b17", LOG_NOTICE)            \
    X(EVENT_DRAIN_PROGRESS,   "drain-progress",   "ade5c32f0f20406b804d5a643f158d0f", LOG_INFO)              \
    X(EVENT_DRAIN_END,        "drain-end",        "d9ac9e34039e4d2199f3a52a3fd2a3fc", LOG_NOTICE)            \
    X(EVENT_REQUEST_CUT,      "request-cut",      "2d2d3c15a71d4a47840e263b21de8a83", LOG_WARNING)           \
    X(EVENT_UPSTREAM_DOWN,    "upstream-down",    "eaa0d03ac03d4bdabc27995d47b1dc60", LOG_WARNING)           \
    X(EVENT_UPSTREAM_UP,      "upstream-up",      "56f5688ec9e24115b5807be621c3a615", LOG_NOTICE)            \
    X(EVENT_UPSTREAM_READY,   "upstream-ready",   "c32d69b9580f4027bcd7dcd9862b5fcf", LOG_NOTICE)            \
    X(EVENT_UPSTREAM_UNREADY, "upstream-unready", "5b9721e8f057441db55c0136a6b3226b", LOG_WARNING)           \
    X(EVENT_BREAKER,          "breaker",          "e6556a6299294bc8983880abca01d526", LOG_WARNING)           \
    X(EVENT_TARGET_COME,      "target-come",      "399c25871f5e4bd287cfc8358ea896e3", LOG_INFO)              \
    X(EVENT_TARGET_GONE,      "target-gone",      "13be669322604c0ca3cc173465933868", LOG_INFO)              \
    X(EVENT_RESOLVE_FAILED,   "resolve-failed",   "e3cc6721d55543f4b7cc07db05f06ac0", LOG_WARNING)           \
    X(EVENT_HOLD_ENDED,       "hold-ended",       "80e0cf78530d4208bd9873a546b15165", LOG_WARNING)           \
    X(EVENT_UPSTREAM_FAILURE, "upstream-failure", "ffd3ddf31d884534a6369ccc21609683", LOG_WARNING)           \
    X(EVENT_REQUEST_REFUSED,  "request-refused",  "03ec859945974c5080cbbf7a4a5ce209", LOG_INFO)              \
    X(EVENT_BODY_REFUSED,     "body-refused",     "fe65b935e7044b63a2d6db6971354a77", LOG_WARNING)           \
    X(EVENT_CLIENT_FAULT,     "client-fault",     "2f86760037774b458c2f8a6452bfa98c", LOG_INFO)              \
    X(EVENT_ACCEPT_PAUSED,    "accept-paused",    "a945d069981c48bf977bc3cdb3fcdb7d", LOG_WARNING)           \
    X(EVENT_ACCESS,           "access",           "50bf69f7fde14c55b011db7012e8fd82", LOG_INFO)              \
    X(EVENT_WORKER_WEDGED,    "worker-wedged",    "2aaf8ac3c1504feeb2aa76fb928e56a2", LOG_CRIT)              \
    X(EVENT_RECORDS_LOST,     "records-lost",     "e8c1702e8cbb4f27a66d6ebcb338634b", LOG_WARNING)           \
    X(EVENT_PREDECESSOR_DIED, "predecessor-died", "c91451a367a74956b33a538739b546a9", LOG_WARNING)           \
    X(EVENT_RELOAD,           "reload",           "d3ba90867d5d4f268f260ff736ca4107", LOG_NOTICE)            \
    X(EVENT_RELOAD_FAILED,    "reload-failed",    "d4c8445488fe451a9b0ed93b039bf231", LOG_ERR)               \
    X(EVENT_REPLACED,         "replaced",         "de546bd2485c4bdfa1f4c44aa75eacc1", LOG_NOTICE)            \
    X(EVENT_TOOK_OVER,        "took-over",        "34cc0ffeafbe4100af9fa724d57f9ae9", LOG_NOTICE)            \
    X(EVENT_PREDECESSOR_ENDED,"predecessor-ended","f512cc44e3644227a3578a3aa3c28ab6", LOG_INFO)              \
    X(EVENT_PARKED,           "parked",           "dcb1b1d65c5547f197bd3120e76dfd30", LOG_INFO)              \
    X(EVENT_TAKEN_BACK,       "taken-back",       "5c21e7bece0a427d9fd161230e4da0b4", LOG_INFO)              \
    X(EVENT_OPERATOR,         "operator",         "c25a0909e8b64853a4a7f68610964576", LOG_NOTICE)            \
    X(EVENT_OPERATOR_REFUSED, "operator-refused", "33d95f198ed04556a6ec698560dd63af", LOG_WARNING)          \
    X(EVENT_STOP,             "stop",             "01b0a83428c4477b92b8f7f76bdd1b3e", LOG_NOTICE)

/* clang-format on */

enum journal_event {
#define X(symbol, name, id, priority) symbol,
    JOURNAL_EVENTS(X)
#undef X
        _EVENT_MAX,
};

/* The event's short name, as in JOURNAL_EVENTS. */
const char *journal_event_name(enum journal_event event);
/* The 32 hex digits of its MESSAGE_ID. */
const char *journal_event_id(enum journal_event event);
int journal_event_priority(enum journal_event event);
