#include "router/host.h"

/* Names are hashed from their end, so that on the way to the hash of the whole those of all suffixes pass by.
 */
#define HASH_INIT UINT64_C(0xcbf29ce484222325)

static inline char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline uint64_t hash_add(uint64_t hash, char c)
{
    return (hash ^ (unsigned char)to_lower(c)) * UINT64_C(0x100000001b3);
}

static size_t slot_of(const struct host_table *table, uint64_t hash)
{
    return (size_t)(hash ^ hash >> 32) & table->mask;
}

/* Hosts longer than a name can be have no entry, however long a client makes its Host field. */
enum { HOST_MAX_SIZE = 255 };

void **host_table_add(struct host_table *table, const char *pattern)
{
    const char *name = *pattern == '*' ? pattern + 1 : pattern;
    assert(!table->slots);
    for (size_t i = 0; i < table->n_entries; i++)
        if (streq(table->entries[i].name, name))
            return &table->entries[i].value;
    table->entries = xrealloc(table->entries, table->n_entries + 1, sizeof(*table->entries));
    struct host_entry *entry = &table->entries[table->n_entries++];
    *entry = (struct host_entry){.name = xstrdup(name), .size = strlen(name), .hash = HASH_INIT};
    for (size_t i = entry->size; i-- > 0;)
        entry->hash = hash_add(entry->hash, name[i]);
    return &entry->value;
}

static struct host_entry *find_hashed(const struct host_table *table, struct slice name, uint64_t hash)
{
    for (size_t i = slot_of(table, hash);; i = (i + 1) & table->mask) {
        struct host_entry *entry = table->slots[i];
        if (!entry)
            return NULL;
        if (entry->hash == hash && slice_caseeq(name, slice_make(entry->name, entry->size)))
            return entry;
    }
}

/* The entry for the whole name, else for the longest of its suffixes that begin at a dot behind its start. */
static struct host_entry *find_name(const struct host_table *table, struct slice name, bool exact)
{
    struct host_entry *best = NULL;
    uint64_t hash = HASH_INIT;
    for (size_t i = name.size; i-- > 0;) {
        hash = hash_add(hash, name.data[i]);
        if (i == 0 ? exact : name.data[i] == '.') {
            struct host_entry *entry = find_hashed(table, slice_make(name.data + i, name.size - i), hash);
            if (entry)
                best = entry;
        }
    }
    return best;
}

void host_table_seal(struct host_table *table)
{
    if (table->n_entries == 0)
        return;
    size_t n_slots = 2;
    while (n_slots < table->n_entries * 2)
        n_slots *= 2;
    table->slots = xcalloc(n_slots, sizeof(*table->slots));
    table->mask = n_slots - 1;
    for (size_t i = 0; i < table->n_entries; i++) {
        size_t slot = slot_of(table, table->entries[i].hash);
        while (table->slots[slot])
            slot = (slot + 1) & table->mask;
        table->slots[slot] = &table->entries[i];
    }
    for (size_t i = 0; i < table->n_entries; i++)
        table->entries[i].wider =
            find_name(table, slice_make(table->entries[i].name, table->entries[i].size), false);
}

void host_table_deinit(struct host_table *table)
{
    for (size_t i = 0; i < table->n_entries; i++)
        free(table->entries[i].name);
    free(table->entries);
    free(table->slots);
    *table = (struct host_table)HOST_TABLE_INIT;
}

struct slice host_name(struct slice host)
{
    const char *colon;
    if (host.size > 0 && host.data[0] == '[') {
        const char *bracket = memchr(host.data, ']', host.size);
        if (bracket)
            host.size = (size_t)(bracket - host.data) + 1;
        return host;
    }
    if (host.size > 0 && (colon = memchr(host.data, ':', host.size)))
        host.size = (size_t)(colon - host.data);
    if (host.size > 0 && host.data[host.size - 1] == '.')
        host.size--;
    return host;
}

const struct host_entry *host_table_find(const struct host_table *table, struct slice host)
{
    if (table->n_entries == 0)
        return NULL;
    struct slice name = host_name(host);
    /* A name that begins with a dot is none, and must not be taken for a suffix as it stands in the table. */
    if (name.size == 0 || name.size > HOST_MAX_SIZE || name.data[0] == '.')
        return NULL;
    return find_name(table, name, true);
}
