#include "gateway/names.h"

#include <pthread.h>

#include "journal/fields.h"
#include "upstream/resolver.h"
#include "util/list.h"

/* A target that is a name. */
struct name {
    struct names *names;
    const struct upstream_config *upstream;
    const struct target_config *target;
    struct resolver_watch *watch;
    bool failing; /* and that was told */
};

struct names {
    struct roster *roster;
    struct loop *loop;
    struct journal *journal;
    struct resolver *resolver;
    struct name *items;
    size_t n;
    pthread_mutex_t lock;
    struct list inbox; /* of struct message; the loop was told when it is not empty */
};

/* An answer on its way from the resolver's thread. */
struct message {
    struct list link;
    struct name *name;
    struct address_config *addresses;
    unsigned *weights;
    size_t n;
    char *error;
};

static void message_free(struct message *message)
{
    for (size_t i = 0; i < message->n; i++)
        free(message->addresses[i].text);
    free(message->addresses);
    free(message->weights);
    free(message->error);
    free(message);
}

static void begin_record(struct journal_record *record, enum journal_event event, const struct name *name)
{
    journal_begin(record, event);
    journal_add_string(record, FIELD_UPSTREAM, name->upstream->name);
    journal_add_string(record, FIELD_TARGET, name->target->address.text);
}

/* Told once, until it succeeds. */
static void tell_failure(struct name *name, const char *error)
{
    struct journal_record record;

    if (name->failing)
        return;
    name->failing = true;
    begin_record(&record, EVENT_RESOLVE_FAILED, name);
    journal_add_string(&record, FIELD_REASON, error);
    journal_send(name->names->journal, &record,
                 "upstream %s: %s cannot be looked up (%s); what it stood for stays, and it is tried again",
                 name->upstream->name, name->target->address.text, error);
}

static void take(struct message *message)
{
    struct name *name = message->name;

    if (message->error) {
        tell_failure(name, message->error);
    } else {
        if (name->failing)
            journal_log(name->names->journal, EVENT_MESSAGE, "upstream %s: %s can be looked up again",
                        name->upstream->name, name->target->address.text);
        name->failing = false;
        roster_resolve(name->names->roster, name->upstream, name->target, message->addresses,
                       message->weights, message->n, now_monotonic());
    }
    message_free(message);
}

static void on_inbox(void *userdata)
{
    struct names *names = userdata;

    for (;;) {
        struct message *message = NULL;
        pthread_mutex_lock(&names->lock);
        if (!list_is_empty(&names->inbox)) {
            message = list_entry(names->inbox.next, struct message, link);
            list_unlink(&message->link);
        }
        pthread_mutex_unlock(&names->lock);
        if (!message)
            return;
        take(message);
    }
}

static void on_answer(void *userdata, const struct resolver_answer *answer)
{
    struct name *name = userdata;
    struct message *message = xcalloc(1, sizeof(*message));

    message->name = name;
    message->n = answer->n;
    message->error = answer->error ? xstrdup(answer->error) : NULL;
    message->addresses = xcalloc(answer->n, sizeof(*message->addresses));
    message->weights = xcalloc(answer->n, sizeof(*message->weights));
    for (size_t i = 0; i < answer->n; i++) {
        message->addresses[i] = answer->addresses[i].address;
        message->addresses[i].text = xstrdup(answer->addresses[i].address.text);
        message->weights[i] = answer->addresses[i].weight;
    }
    pthread_mutex_lock(&name->names->lock);
    const bool first = list_is_empty(&name->names->inbox);
    list_append(&name->names->inbox, &message->link);
    pthread_mutex_unlock(&name->names->lock);
    if (first)
        loop_post(name->names->loop, on_inbox, name->names);
}

static size_t collect(struct names *names, const struct config *config)
{
    size_t n = 0;

    for (size_t i = 0; i < config->n_upstreams; i++) {
        const struct upstream_config *upstream = config->upstreams[i];
        for (size_t j = 0; j < upstream->n_targets; j++) {
            if (upstream->targets[j].address.size > 0)
                continue;
            if (names)
                names->items[n] =
                    (struct name){.names = names, .upstream = upstream, .target = &upstream->targets[j]};
            n++;
        }
    }
    return n;
}

int names_new(struct names **ret, const struct config *config, struct roster *roster, struct loop *loop,
              struct journal *journal)
{
    const size_t n = collect(NULL, config);

    *ret = NULL;
    if (n == 0)
        return 0;
    struct names *names = xcalloc(1, sizeof(*names));
    *names = (struct names){.roster = roster, .loop = loop, .journal = journal, .n = n};
    int r = resolver_new(&names->resolver);
    if (r < 0) {
        free(names);
        return r;
    }
    pthread_mutex_init(&names->lock, NULL);
    list_init(&names->inbox);
    names->items = xcalloc(n, sizeof(*names->items));
    collect(names, config);
    for (size_t i = 0; i < n; i++)
        names->items[i].watch =
            resolver_watch(names->resolver, names->items[i].target, on_answer, &names->items[i]);
    *ret = names;
    return 0;
}

struct names *names_free(struct names *names)
{
    if (!names)
        return NULL;
    resolver_free(names->resolver);
    loop_unpost(names->loop, names);
    list_for_each_safe (node, &names->inbox)
        message_free(list_entry(node, struct message, link));
    pthread_mutex_destroy(&names->lock);
    free(names->items);
    free(names);
    return NULL;
}
