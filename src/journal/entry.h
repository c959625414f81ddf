#pragma once
/* A finished record as it waits in the queue, and the two forms in which it leaves. */

#include "journal/journal.h"
#include "util/strbuf.h"

struct journal_entry_field {
    uint16_t offset; /* in the text */
    uint16_t size;
};

/* The field table is followed by the text: each field as "NAME=value", the first is MESSAGE. */
struct journal_entry {
    usec_t realtime;
    uint64_t generation;
    enum journal_event event;
    int priority;
    unsigned n_omitted; /* fields that did not fit the record */
    unsigned n_fields;
    struct journal_entry_field fields[];
};

#define JOURNAL_MESSAGE_SIZE 1024
#define JOURNAL_FIELD_PREFIX "HOLDFAST_"

static inline const char *journal_entry_text(const struct journal_entry *entry)
{
    return (const char *)&entry->fields[entry->n_fields];
}

size_t journal_entry_size(const struct journal_record *record, size_t message_size);
/* Fills in `entry`, which has journal_entry_size() bytes. `message` is text that is safe to show. */
void journal_entry_fill(struct journal_entry *entry, const struct journal_record *record,
                        struct slice message);

/* "notice: message (route=/x upstream=orders)" and a line feed; `with_time` puts the local time before it. */
void journal_entry_format(const struct journal_entry *entry, bool with_time, struct strbuf *out);

/* Sends it to journald; may wait for as long as journald lets it. Returns 0 or a negative errno. */
int journal_entry_send(const struct journal_entry *entry);
