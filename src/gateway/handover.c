#include "gateway/handover.h"

#include <pthread.h>
#include <sys/socket.h>

#include "lifecycle/channel.h"

struct batch {
    struct moving_connection *items;
    size_t n, size;
};

struct handover {
    struct handover_options options;
    pthread_mutex_t lock;
    struct batch *taken; /* by listener, under the lock */
    bool posted;         /* on_taken() is on its way, under the lock */
    struct handover_counts counts;
};

static void batch_add(struct batch *batch, const struct moving_connection *connection)
{
    if (batch->n == batch->size) {
        batch->size = MAX(batch->size * 2, (size_t)16);
        batch->items = xrealloc(batch->items, batch->size, sizeof(*batch->items));
    }
    batch->items[batch->n++] = *connection;
}

static json_t *describe(const struct moving_connection *items, size_t n)
{
    json_t *message = channel_message_new("connections"), *ages = json_array(), *idle = json_array();
    json_t *clients = json_array();
    char text[IP_ADDRESS_TEXT_MAX];
    bool is_told = false; /* of any: most have no client but their peers */

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(ages, json_integer(items[i].age_ms));
        json_array_append_new(idle, json_integer(items[i].idle_ms));
        const bool has_client = items[i].client.family != IP_NONE;
        is_told = is_told || has_client;
        json_array_append_new(clients, has_client ? json_string(ip_address_format(&items[i].client, text))
                                                  : json_null());
    }
    json_object_set_new(message, "listener", json_string(items[0].listener->name));
    json_object_set_new(message, "age_ms", ages);
    json_object_set_new(message, "idle_ms", idle);
    if (is_told)
        json_object_set(message, "client", clients);
    json_decref(clients);
    return message;
}

static void refuse(struct handover *handover, const struct moving_connection *items, size_t n, int error)
{
    handover->counts.refused += n;
    if (handover->counts.error == 0)
        handover->counts.error = error;
    handover->options.patience = 0; /* once is enough to wait for one who does not take anything */
    for (size_t i = 0; i < n; i++)
        handover->options.on_refused(handover->options.userdata, &items[i]);
}

static void send_some(struct handover *handover, const struct moving_connection *items, size_t n)
{
    int fds[CHANNEL_MAX_FDS];
    for (size_t i = 0; i < n; i++)
        fds[i] = items[i].fd;
    int r = -EPIPE;
    if (handover->options.channel >= 0)
        r = channel_send(handover->options.channel, describe(items, n), fds, n, handover->options.patience);
    if (r < 0) {
        refuse(handover, items, n, r);
        return;
    }
    handover->counts.moved += n;
    /* Closing a descriptor of what lives on elsewhere sends nothing. */
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

static void send_batch(struct handover *handover, struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i += CHANNEL_MAX_FDS)
        send_some(handover, batch->items + i, MIN(batch->n - i, (size_t)CHANNEL_MAX_FDS));
    free(batch->items);
}

void handover_flush(struct handover *handover)
{
    for (size_t i = 0; i < handover->options.config->n_listeners; i++) {
        pthread_mutex_lock(&handover->lock);
        struct batch batch = handover->taken[i];
        handover->taken[i] = (struct batch){0};
        pthread_mutex_unlock(&handover->lock);
        send_batch(handover, &batch);
    }
}

void handover_lose(struct handover *handover)
{
    if (handover)
        handover->options.channel = -1;
}

static void on_taken(void *userdata)
{
    struct handover *handover = userdata;
    pthread_mutex_lock(&handover->lock);
    handover->posted = false;
    pthread_mutex_unlock(&handover->lock);
    handover_flush(handover);
}

void handover_take(void *userdata, const struct moving_connection *connection)
{
    struct handover *handover = userdata;
    pthread_mutex_lock(&handover->lock);
    batch_add(&handover->taken[connection->listener->index], connection);
    const bool post = !handover->posted;
    handover->posted = true;
    pthread_mutex_unlock(&handover->lock);
    if (post)
        loop_post(handover->options.loop, on_taken, handover);
}

struct handover *handover_new(const struct handover_options *options)
{
    struct handover *handover = xcalloc(1, sizeof(*handover));
    handover->options = *options;
    handover->taken = xcalloc(options->config->n_listeners, sizeof(*handover->taken));
    pthread_mutex_init(&handover->lock, NULL);
    return handover;
}

struct handover *handover_free(struct handover *handover)
{
    if (!handover)
        return NULL;
    loop_unpost(handover->options.loop, handover);
    handover_flush(handover);
    pthread_mutex_destroy(&handover->lock);
    free(handover->taken);
    free(handover);
    return NULL;
}

void handover_counts(const struct handover *handover, struct handover_counts *ret)
{
    *ret = handover->counts;
}

static const struct listener_config *find_listener(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->n_listeners; i++)
        if (streq(config->listeners[i].name, name) &&
            config->listeners[i].protocol == LISTENER_HTTP) /* as they were when they left */
            return &config->listeners[i];
    return NULL;
}

static uint32_t duration_at(const struct channel_message *message, const char *key, size_t i)
{
    const json_t *value = json_array_get(json_object_get(message->body, key), i);
    const json_int_t n = json_is_integer(value) ? json_integer_value(value) : 0;
    return n < 0 ? 0 : (uint32_t)MIN(n, (json_int_t)UINT32_MAX);
}

static struct ip_address client_at(const struct channel_message *message, size_t i)
{
    const char *text = json_string_value(json_array_get(json_object_get(message->body, "client"), i));
    struct ip_address client = {.family = IP_NONE};

    if (text && streq(text, "unix"))
        client.family = IP_UNIX;
    else if (text)
        (void)ip_address_parse(slice_of(text), &client);
    return client;
}

static bool is_connection(int fd)
{
    int type = 0, listens = 0;
    socklen_t size = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
        return false;
    size = sizeof(listens);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens == 0;
}

size_t handover_receive(const struct config *config, struct channel_message *message,
                        void (*adopt)(void *userdata, const struct moving_connection *connection),
                        void *userdata)
{
    const struct listener_config *listener = find_listener(config, channel_string(message, "listener", ""));
    size_t n = 0;
    for (size_t i = 0; listener && i < message->n_fds; i++) {
        if (!is_connection(message->fds[i]))
            continue;
        const struct moving_connection connection = {
            .fd = TAKE_FD(message->fds[i]),
            .listener = listener,
            .client = client_at(message, i),
            .age_ms = duration_at(message, "age_ms", i),
            .idle_ms = duration_at(message, "idle_ms", i),
        };
        adopt(userdata, &connection);
        n++;
    }
    return n;
}
