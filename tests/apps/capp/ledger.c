#include "ledger.h"

#include <fcntl.h>
#include <unistd.h>

#include "util/strbuf.h"

/* One that runs, and then, with the id, one that is recorded. */
struct ledger_key {
    struct list link;        /* while it runs */
    struct ledger_key *next; /* of its bucket, once it is recorded */
    const void *owner;
    size_t key_size, id_size;
    char text[]; /* the key, then the id */
};

static struct ledger_key *key_new(struct slice key, struct slice id, const void *owner)
{
    struct ledger_key *entry = xcalloc(1, sizeof(*entry) + key.size + id.size + 1);
    list_init(&entry->link);
    entry->owner = owner;
    entry->key_size = key.size;
    entry->id_size = id.size;
    memcpy(entry->text, key.data, key.size);
    if (id.size > 0)
        memcpy(entry->text + key.size, id.data, id.size);
    return entry;
}

static bool key_is(const struct ledger_key *entry, struct slice key)
{
    return slice_eq(slice_make(entry->text, entry->key_size), key);
}

/* FNV-1a. */
static size_t bucket_of(struct slice key)
{
    uint32_t hash = 2166136261;
    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ (unsigned char)key.data[i]) * 16777619;
    return hash % LEDGER_BUCKETS;
}

static void remember(struct ledger *ledger, struct slice key, struct slice id)
{
    struct ledger_key *entry = key_new(key, id, NULL);
    struct ledger_key **bucket = &ledger->recorded[bucket_of(key)];
    entry->next = *bucket;
    *bucket = entry;
}

static void remember_line(struct ledger *ledger, struct slice line)
{
    const char *blank = memchr(line.data, ' ', line.size);
    if (blank) {
        size_t size = (size_t)(blank - line.data);
        remember(ledger, slice_skip(line, size + 1), slice_make(line.data, size));
    }
}

static int read_all(int fd, struct strbuf *text)
{
    for (;;) {
        char *to = strbuf_reserve(text, 65536);
        ssize_t n = read(fd, to, 65536);
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        text->size += (size_t)n;
    }
}

int ledger_open(struct ledger *ledger, const char *path)
{
    ledger->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (ledger->fd < 0)
        return -errno;
    ledger->recorded = xcalloc(LEDGER_BUCKETS, sizeof(*ledger->recorded));
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    int r = read_all(ledger->fd, &text);
    if (r < 0)
        return r;
    struct slice rest = slice_make(text.data, text.size);
    const char *end;
    while (rest.size > 0 && (end = memchr(rest.data, '\n', rest.size))) {
        size_t size = (size_t)(end - rest.data);
        remember_line(ledger, slice_make(rest.data, size));
        rest = slice_skip(rest, size + 1);
    }
    if (rest.size > 0 && ftruncate(ledger->fd, (off_t)(text.size - rest.size)) < 0)
        return -errno;
    return 0;
}

void ledger_deinit(struct ledger *ledger)
{
    list_for_each_safe (i, &ledger->running)
        free(list_entry(i, struct ledger_key, link));
    list_init(&ledger->running);
    for (size_t i = 0; ledger->recorded && i < LEDGER_BUCKETS; i++)
        for (struct ledger_key *entry = ledger->recorded[i], *next; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    free(TAKE_PTR(ledger->recorded));
    close_and_forget(&ledger->fd);
}

enum ledger_state ledger_look_up(const struct ledger *ledger, struct slice key, struct slice *ret_id)
{
    for (const struct ledger_key *entry = ledger->recorded[bucket_of(key)]; entry; entry = entry->next)
        if (key_is(entry, key)) {
            *ret_id = slice_make(entry->text + entry->key_size, entry->id_size);
            return LEDGER_RECORDED;
        }
    list_for_each (i, &ledger->running)
        if (key_is(list_entry(i, struct ledger_key, link), key))
            return LEDGER_RUNNING;
    return LEDGER_NEW;
}

void ledger_begin(struct ledger *ledger, struct slice key, const void *owner)
{
    struct ledger_key *entry = key_new(key, slice_make(NULL, 0), owner);
    list_append(&ledger->running, &entry->link);
}

static void end_running(struct ledger_key *entry)
{
    list_unlink(&entry->link);
    free(entry);
}

int ledger_record(struct ledger *ledger, struct slice id, struct slice key)
{
    _cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
    strbuf_add_slice(&line, id);
    if (key.data) {
        strbuf_add_char(&line, ' ');
        strbuf_add_slice(&line, key);
    }
    strbuf_add_char(&line, '\n');
    ssize_t n = write(ledger->fd, line.data, line.size);
    if (n != (ssize_t)line.size || fdatasync(ledger->fd) < 0)
        return n >= 0 && n != (ssize_t)line.size ? -EIO : -errno;
    if (!key.data)
        return 0;
    remember(ledger, key, id);
    list_for_each_safe (i, &ledger->running)
        if (key_is(list_entry(i, struct ledger_key, link), key))
            end_running(list_entry(i, struct ledger_key, link));
    return 0;
}

void ledger_abandon(struct ledger *ledger, const void *owner)
{
    list_for_each_safe (i, &ledger->running)
        if (list_entry(i, struct ledger_key, link)->owner == owner)
            end_running(list_entry(i, struct ledger_key, link));
}
