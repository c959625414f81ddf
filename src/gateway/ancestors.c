#include "gateway/ancestors.h"

#include <sys/socket.h>

#include "lifecycle/blob.h"
#include "util/list.h"

struct entry {
    struct list link; /* the youngest first */
    struct ancestors *ancestors;
    struct ancestor about;
    int channel;
    struct loop_fd *watch;
};

struct ancestors {
    struct ancestors_options options;
    struct list entries;
    size_t n;
};

static void entry_free(struct entry *entry)
{
    list_unlink(&entry->link);
    entry->ancestors->n--;
    loop_fd_free(entry->watch);
    close_and_forget(&entry->channel);
    free(entry);
}

static void take_progress(struct ancestor *about, const struct channel_message *message)
{
    if (about->generation == 0)
        about->generation = channel_u64(message, "generation", 0);
    about->requests = channel_u64(message, "requests", about->requests);
    about->connections = channel_u64(message, "connections", about->connections);
    about->deadline = channel_u64(message, "deadline_usec", USEC_INFINITY);
}

static void take_farewell(struct ancestor *about, const struct channel_message *message)
{
    about->farewell = true;
    about->requests = about->connections = 0;
    about->answered = channel_u64(message, "answered", 0);
    about->cut = channel_u64(message, "cut", 0);
    about->not_moved = channel_u64(message, "not_moved", 0);
}

static void take_counters(struct ancestors *ancestors, const struct channel_message *message)
{
    json_t *document;
    if (message->n_fds == 0 || blob_read(message->fds[0], &document) < 0)
        return;
    ancestors->options.on_counters(ancestors->options.userdata, document);
    json_decref(document);
}

static void on_message(struct entry *entry, struct channel_message *message)
{
    struct ancestors *ancestors = entry->ancestors;

    if (streq(message->type, "connections")) {
        ancestors->options.on_connections(ancestors->options.userdata, message);
    } else if (streq(message->type, "progress")) {
        take_progress(&entry->about, message);
    } else if (streq(message->type, "counters")) {
        take_counters(ancestors, message);
    } else if (streq(message->type, "farewell")) {
        take_farewell(&entry->about, message);
    } else if (streq(message->type, "ancestor") && message->n_fds > 0) {
        ancestors_add(ancestors, TAKE_FD(message->fds[0]), channel_u64(message, "generation", 0));
    }
}

/* Messages that are looked at in one turn: one who never ceases must not keep the others waiting. */
#define MESSAGES_MAX 64

static void on_channel(void *userdata)
{
    struct entry *entry = userdata;
    struct ancestors *ancestors = entry->ancestors;
    struct channel_message message;
    int r = 0;

    for (int i = 0; i < MESSAGES_MAX; i++) {
        r = channel_receive(entry->channel, &message);
        if (r < 0)
            break;
        on_message(entry, &message);
        channel_message_deinit(&message);
    }
    if (r == 0 || r == -EAGAIN)
        return; /* what is left makes the channel readable again */
    const struct ancestor about = entry->about;
    entry_free(entry);
    ancestors->options.on_end(ancestors->options.userdata, &about);
}

struct ancestors *ancestors_new(const struct ancestors_options *options)
{
    struct ancestors *ancestors = xcalloc(1, sizeof(*ancestors));
    ancestors->options = *options;
    list_init(&ancestors->entries);
    return ancestors;
}

struct ancestors *ancestors_free(struct ancestors *ancestors)
{
    if (!ancestors)
        return NULL;
    while (!list_is_empty(&ancestors->entries))
        entry_free(list_entry(ancestors->entries.next, struct entry, link));
    free(ancestors);
    return NULL;
}

/* By age, as far as it is known. */
static void insert(struct ancestors *ancestors, struct entry *entry)
{
    list_for_each (node, &ancestors->entries) {
        if (list_entry(node, struct entry, link)->about.generation <= entry->about.generation) {
            list_append(node, &entry->link); /* before that one */
            return;
        }
    }
    list_append(&ancestors->entries, &entry->link);
}

void ancestors_add(struct ancestors *ancestors, int channel, uint64_t generation)
{
    struct entry *entry = xcalloc(1, sizeof(*entry));

    *entry = (struct entry){.ancestors = ancestors,
                            .about = {.generation = generation, .deadline = USEC_INFINITY},
                            .channel = channel};
    entry->watch = loop_fd_new(ancestors->options.loop, channel, on_channel, entry);
    insert(ancestors, entry);
    ancestors->n++;
}

size_t ancestors_count(const struct ancestors *ancestors)
{
    return ancestors->n;
}

const struct ancestor *ancestors_get(const struct ancestors *ancestors, size_t i)
{
    list_for_each (node, &ancestors->entries)
        if (i-- == 0)
            return &list_entry(node, struct entry, link)->about;
    return NULL;
}

void ancestors_tell(struct ancestors *ancestors, const char *type)
{
    list_for_each (node, &ancestors->entries)
        (void)!channel_send(list_entry(node, struct entry, link)->channel, channel_message_new(type), NULL, 0,
                            0);
}

void ancestors_take_last(struct ancestors *ancestors)
{
    struct channel_message message;
    list_for_each (node, &ancestors->entries) {
        struct entry *entry = list_entry(node, struct entry, link);
        if (!entry->watch)
            continue;
        entry->watch = loop_fd_free(entry->watch);
        (void)shutdown(entry->channel, SHUT_RD);
        while (channel_receive(entry->channel, &message) == 0) {
            on_message(entry, &message);
            channel_message_deinit(&message);
        }
    }
}

void ancestors_pass_on(struct ancestors *ancestors, int channel)
{
    while (!list_is_empty(&ancestors->entries)) {
        struct entry *entry = list_entry(ancestors->entries.next, struct entry, link);
        json_t *message = channel_message_new("ancestor");
        json_object_set_new(message, "generation", json_integer((json_int_t)entry->about.generation));
        /* One that cannot be passed on finds its channel closed, and drains unseen. */
        (void)!channel_send(channel, message, &entry->channel, 1, CHANNEL_PATIENCE);
        entry_free(entry);
    }
}
