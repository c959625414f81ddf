#pragma once
/* The fields of our records, one spelling each. In journald they carry the prefix HOLDFAST_. */

#define FIELD_REQUEST_ID "REQUEST_ID"
#define FIELD_ROUTE "ROUTE"
#define FIELD_UPSTREAM "UPSTREAM"
#define FIELD_TARGET "TARGET"
#define FIELD_BREAKER "BREAKER" /* its state */
#define FIELD_HELD "HELD"       /* requests that wait for a target */
#define FIELD_LISTENER "LISTENER"
#define FIELD_METHOD "METHOD"
#define FIELD_HOST "HOST"
#define FIELD_PATH "PATH"
#define FIELD_PROTOCOL "PROTOCOL"
#define FIELD_STATUS "STATUS"
#define FIELD_DURATION_USEC "DURATION_USEC"
#define FIELD_AGE_USEC "AGE_USEC"
#define FIELD_BYTES_IN "BYTES_IN"
#define FIELD_BYTES_OUT "BYTES_OUT"
#define FIELD_PEER "PEER"     /* the other end of the connection */
#define FIELD_CLIENT "CLIENT" /* on whose behalf, if that is another */
#define FIELD_REASON "REASON"
#define FIELD_FAULT "FAULT" /* of a client: which kind */
#define FIELD_CHECK "CHECK"
#define FIELD_TRIES "TRIES"
#define FIELD_IN_FLIGHT "IN_FLIGHT"
#define FIELD_CONNECTIONS "CONNECTIONS"
#define FIELD_REQUESTS "REQUESTS"
#define FIELD_CUT "CUT"
#define FIELD_DEADLINE_USEC "DEADLINE_USEC"
#define FIELD_WORKER "WORKER"
#define FIELD_FILE "FILE"
#define FIELD_FOLDER "FOLDER"
#define FIELD_LINE "LINE"
#define FIELD_SECTION "SECTION"
#define FIELD_KEY "KEY"
#define FIELD_VALUE "VALUE"
#define FIELD_VERSION "VERSION"
#define FIELD_RECORDS_LOST "RECORDS_LOST"
#define FIELD_WITHHELD "WITHHELD" /* records like this one that were not written */
#define FIELD_LISTENERS "LISTENERS"
#define FIELD_ROUTES "ROUTES"
#define FIELD_UPSTREAMS "UPSTREAMS"
#define FIELD_WORKERS "WORKERS"
#define FIELD_PREDECESSOR "PREDECESSOR"
#define FIELD_PID "PID"
#define FIELD_SUCCESSOR "SUCCESSOR"
#define FIELD_SUCCESSOR_PID "SUCCESSOR_PID"
#define FIELD_START_USEC "START_USEC"         /* of a successor: from the request until it was ready */
#define FIELD_HAND_OVER_USEC "HAND_OVER_USEC" /* … and from then until it led */
#define FIELD_NOT_MOVED "NOT_MOVED"           /* … and those that could not */
#define FIELD_MOVED "MOVED"                   /* connections that went to another generation */
#define FIELD_VERB "VERB"                     /* what the operator wants: pause, resume, add, remove, … */
#define FIELD_WEIGHT "WEIGHT"                 /* … of a target */
#define FIELD_OPERATOR_UID "OPERATOR_UID"
#define FIELD_OPERATOR_GID "OPERATOR_GID"
#define FIELD_OPERATOR_PID "OPERATOR_PID"
