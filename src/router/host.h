#pragma once
/* The host table: from a Host field to what the routes of that host are kept in. Exact hosts and "*.suffix"
 * ones, any number, at one hash lookup per label. */

#include "util/slice.h"

struct host_entry {
    char *name; /* "shop.example.com"; of a suffix the part behind the '*': ".example.com" */
    size_t size;
    uint64_t hash;
    const struct host_entry *wider; /* the longest suffix that covers this host too, or NULL */
    void *value;
};

struct host_table {
    struct host_entry *entries; /* moves while hosts are added */
    size_t n_entries;
    struct host_entry **slots; /* open addressing, a power of two; NULL until sealed */
    size_t mask;
};

#define HOST_TABLE_INIT  \
    {                    \
        NULL, 0, NULL, 0 \
    }

/* The place of the value for "host" or "*.suffix", lower case; NULL at first. Valid until the next call. */
void **host_table_add(struct host_table *table, const char *pattern);
/* To be called once, when all hosts were added and before the first lookup. */
void host_table_seal(struct host_table *table);
/* Does not free the values. */
void host_table_deinit(struct host_table *table);

/* The most specific entry for a Host field, from which `wider` leads on; NULL where there is none. Any case,
 * with or without port and closing dot. */
const struct host_entry *host_table_find(const struct host_table *table, struct slice host);

/* The name in a Host field: without port and closing dot; an IPv6 address stays in its brackets. */
struct slice host_name(struct slice host);
