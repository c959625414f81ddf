#include <ctype.h>
#include <inttypes.h>
#include <sys/uio.h>

/* The place in the source would always be this file. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "journal/entry.h"
#include "journal/text.h"

#define MESSAGE_PREFIX "MESSAGE="
#define IDENTIFIER "holdfastd"

size_t journal_entry_size(const struct journal_record *record, size_t message_size)
{
    return sizeof(struct journal_entry) + (record->n_fields + 1) * sizeof(struct journal_entry_field) +
           STRLEN(MESSAGE_PREFIX) + message_size + record->size;
}

void journal_entry_fill(struct journal_entry *entry, const struct journal_record *record,
                        struct slice message)
{
    *entry = (struct journal_entry){
        .realtime = now_realtime(),
        .event = record->event,
        .priority = record->priority,
        .n_omitted = record->n_omitted,
        .n_fields = record->n_fields + 1,
    };
    const size_t shift = STRLEN(MESSAGE_PREFIX) + message.size;
    entry->fields[0] = (struct journal_entry_field){0, (uint16_t)shift};
    for (unsigned i = 0; i < record->n_fields; i++)
        entry->fields[i + 1] = (struct journal_entry_field){(uint16_t)(record->fields[i].offset + shift),
                                                            record->fields[i].size};
    char *text = (char *)&entry->fields[entry->n_fields];
    memcpy(text, MESSAGE_PREFIX, STRLEN(MESSAGE_PREFIX));
    memcpy(text + STRLEN(MESSAGE_PREFIX), message.data, message.size);
    memcpy(text + shift, record->data, record->size);
}

static struct slice entry_field(const struct journal_entry *entry, unsigned i)
{
    return slice_make(journal_entry_text(entry) + entry->fields[i].offset, entry->fields[i].size);
}

static const char *priority_name(int priority)
{
    static const char *const names[] = {"emergency", "alert",  "critical", "error",
                                        "warning",   "notice", "info",     "debug"};
    assert(priority >= 0 && (size_t)priority < ARRAY_SIZE(names));
    return names[priority];
}

static void format_time(usec_t realtime, struct strbuf *out)
{
    const time_t seconds = (time_t)(realtime / USEC_PER_SEC);
    struct tm local;
    if (!localtime_r(&seconds, &local))
        return;
    strbuf_addf(out, "%02d:%02d:%02d.%03u ", local.tm_hour, local.tm_min, local.tm_sec,
                (unsigned)(realtime % USEC_PER_SEC / USEC_PER_MSEC));
}

static void format_field(struct slice field, struct strbuf *out)
{
    const char *equals = memchr(field.data, '=', field.size);
    assert(equals);
    for (const char *c = field.data + STRLEN(JOURNAL_FIELD_PREFIX); c < equals; c++)
        strbuf_add_char(out, (char)tolower((unsigned char)*c));
    strbuf_add_char(out, '=');
    text_add_value(out, slice_make(equals + 1, (size_t)(field.data + field.size - equals - 1)));
}

void journal_entry_format(const struct journal_entry *entry, bool with_time, struct strbuf *out)
{
    if (with_time)
        format_time(entry->realtime, out);
    strbuf_addf(out, "%s: ", priority_name(entry->priority));
    const struct slice message = entry_field(entry, 0);
    strbuf_add(out, message.data + STRLEN(MESSAGE_PREFIX), message.size - STRLEN(MESSAGE_PREFIX));

    for (unsigned i = 1; i < entry->n_fields; i++) {
        strbuf_add_string(out, i == 1 ? " (" : " ");
        format_field(entry_field(entry, i), out);
    }
    if (entry->n_omitted > 0)
        strbuf_addf(out, "%somitted=%u", entry->n_fields > 1 ? " " : " (", entry->n_omitted);
    strbuf_add_string(out, entry->n_fields > 1 || entry->n_omitted > 0 ? ")\n" : "\n");
}

int journal_entry_send(const struct journal_entry *entry)
{
    static char identifier[] = "SYSLOG_IDENTIFIER=" IDENTIFIER;
    char id[STRLEN("MESSAGE_ID=") + 32 + 1];
    char priority[STRLEN("PRIORITY=") + 2];
    char generation[STRLEN(JOURNAL_FIELD_PREFIX "GENERATION=") + 24];
    char omitted[STRLEN(JOURNAL_FIELD_PREFIX "OMITTED=") + 16];
    struct iovec iov[JOURNAL_RECORD_FIELDS + 6];
    int n = 0;

    for (unsigned i = 0; i < entry->n_fields; i++) {
        const struct slice field = entry_field(entry, i);
        iov[n++] = (struct iovec){(char *)field.data, field.size};
    }
    iov[n++] = (struct iovec){identifier, STRLEN("SYSLOG_IDENTIFIER=" IDENTIFIER)};
    iov[n++] =
        (struct iovec){id, (size_t)snprintf(id, sizeof(id), "MESSAGE_ID=%s", journal_event_id(entry->event))};
    iov[n++] = (struct iovec){
        priority, (size_t)snprintf(priority, sizeof(priority), "PRIORITY=%d", entry->priority & LOG_PRIMASK)};
    if (entry->generation > 0)
        iov[n++] = (struct iovec){generation, (size_t)snprintf(generation, sizeof(generation),
                                                               JOURNAL_FIELD_PREFIX "GENERATION=%" PRIu64,
                                                               entry->generation)};
    if (entry->n_omitted > 0)
        iov[n++] =
            (struct iovec){omitted, (size_t)snprintf(omitted, sizeof(omitted),
                                                     JOURNAL_FIELD_PREFIX "OMITTED=%u", entry->n_omitted)};
    return sd_journal_sendv(iov, n);
}
