#pragma once
/* What goes along from generation to generation beside the counters of requests: how often one has followed
 * another, and how; and which generations there were. Pure. */

#include <jansson.h>

#include "util/clock.h"
#include "util/macros.h"

/* How a generation began. */
enum lineage_origin {
    ORIGIN_START,
    ORIGIN_RELOAD,
    ORIGIN_RESTART,
    ORIGIN_CRASH, /* its predecessor had died */
    _ORIGIN_MAX,
};
/* "start", "reload", "restart", "crash" */
const char *lineage_origin_to_string(enum lineage_origin origin);

#define LINEAGE_HISTORY 16

struct lineage_entry {
    uint64_t generation;
    enum lineage_origin origin;
    usec_t started_realtime;
    char release[32];
};

struct lineage {
    uint64_t reloads, reloads_failed;
    uint64_t restarts, crashes;
    uint64_t moved;  /* connections that went over at reloads */
    uint64_t parked; /* … and at restarts */
    uint64_t closed; /* … and those that could not go, and were closed */
    struct {
        usec_t start, hand_over; /* of the last reload that was successful; 0: there was none */
    } last;
    struct lineage_entry history[LINEAGE_HISTORY]; /* the youngest first */
    size_t n_history;
};

/* Puts a generation at the head of the history; the oldest falls off. */
void lineage_begin(struct lineage *lineage, uint64_t generation, enum lineage_origin origin, usec_t realtime);

/* The reference is the caller's. */
json_t *lineage_export(const struct lineage *lineage);
/* Takes up what a predecessor has exported; what makes no sense counts as 0, or is left out. */
void lineage_import(struct lineage *lineage, const json_t *document);
