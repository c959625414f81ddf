#pragma once
/* Structured records for journald, or readable lines on stderr.
 *
 * Records are built on the stack of the caller, copied into a bounded queue and sent by a thread of the
 * journal's own, so that no caller ever waits for journald. When the queue is full the record is dropped and
 * counted; once there is room again, a record says how many were lost. The last quarter of the queue is kept
 * for what is more urgent than LOG_INFO, so that a flood of access records hides no warning. All functions
 * may be called from any thread. */

#include <syslog.h>

#include "journal/events.h"
#include "util/clock.h"
#include "util/macros.h"
#include "util/slice.h"

struct journal;

enum journal_mode {
    JOURNAL_AUTO, /* native when stderr is connected to the journal ($JOURNAL_STREAM), else lines on stderr */
    JOURNAL_NATIVE,
    JOURNAL_STDERR,
};

/* Starts the sending thread. Every function below accepts a NULL journal, which takes records nowhere. */
int journal_new(struct journal **ret, enum journal_mode mode) _warn_unused_;
/* Sends what is queued, waiting at most a second, and ends the thread. Accepts NULL, returns NULL. */
struct journal *journal_free(struct journal *journal);
/* Whether records go to journald, with their fields. */
bool journal_is_native(const struct journal *journal);
/* The number in HOLDFAST_GENERATION of every record from now on. */
void journal_set_generation(struct journal *journal, uint64_t generation);
/* Waits until everything queued so far was sent, or the timeout (microseconds) passed. */
void journal_flush(struct journal *journal, usec_t timeout);
/* Records lost so far, of every kind: the queue was full, or journald refused them. */
uint64_t journal_dropped(struct journal *journal);

#define JOURNAL_RECORD_SIZE 2048
#define JOURNAL_RECORD_FIELDS 24

/* A record under construction. What does not fit is left out, field by field. */
struct journal_record {
    enum journal_event event;
    int priority;
    unsigned n_fields;
    unsigned n_omitted; /* fields that did not fit; the reader is told how many */
    size_t size;
    struct {
        uint16_t offset;
        uint16_t size;
    } fields[JOURNAL_RECORD_FIELDS];
    char data[JOURNAL_RECORD_SIZE];
};

/* Begins a record; the priority (LOG_INFO …) is the event's own. */
void journal_begin(struct journal_record *record, enum journal_event event);
/* Adds HOLDFAST_<name>=<value>; `name` is from the table in journal/fields.h; bytes that journald would not
 * take as text are escaped in stderr lines and sent as binary to journald. */
void journal_add(struct journal_record *record, const char *name, struct slice value);
void journal_add_string(struct journal_record *record, const char *name, const char *value);
void journal_add_u64(struct journal_record *record, const char *name, uint64_t value);
/* Completes the record with its MESSAGE and queues it. False when it was dropped. */
bool journal_send(struct journal *journal, struct journal_record *record, const char *format, ...)
    _printf_(3, 4);

/* For one-off records without fields. */
bool journal_log(struct journal *journal, enum journal_event event, const char *format, ...) _printf_(3, 4);
