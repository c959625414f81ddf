#include <inttypes.h>

#include "journal/entry.h"

void journal_begin(struct journal_record *record, enum journal_event event)
{
    /* Not the whole object: its data is two kilobytes that nobody reads before they are written. */
    record->event = event;
    record->priority = journal_event_priority(event);
    record->n_fields = 0;
    record->n_omitted = 0;
    record->size = 0;
}

void journal_add(struct journal_record *record, const char *name, struct slice value)
{
    const size_t name_size = strlen(name);
    const size_t size = STRLEN(JOURNAL_FIELD_PREFIX) + name_size + 1 + value.size;
    if (record->n_fields == JOURNAL_RECORD_FIELDS || value.size > JOURNAL_RECORD_SIZE ||
        size > JOURNAL_RECORD_SIZE - record->size) {
        record->n_omitted++;
        return;
    }
    char *to = record->data + record->size;
    memcpy(to, JOURNAL_FIELD_PREFIX, STRLEN(JOURNAL_FIELD_PREFIX));
    to += STRLEN(JOURNAL_FIELD_PREFIX);
    memcpy(to, name, name_size);
    to += name_size;
    *to++ = '=';
    if (value.size > 0)
        memcpy(to, value.data, value.size);
    record->fields[record->n_fields].offset = (uint16_t)record->size;
    record->fields[record->n_fields].size = (uint16_t)size;
    record->n_fields++;
    record->size += size;
}

void journal_add_string(struct journal_record *record, const char *name, const char *value)
{
    journal_add(record, name, slice_of(value));
}

void journal_add_u64(struct journal_record *record, const char *name, uint64_t value)
{
    char digits[24];
    const int n = snprintf(digits, sizeof(digits), "%" PRIu64, value);
    journal_add(record, name, slice_make(digits, (size_t)n));
}
