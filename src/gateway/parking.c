#include "gateway/parking.h"

#include <sys/socket.h>

#include "lifecycle/blob.h"
#include "lifecycle/channel.h"
#include "lifecycle/descriptors.h"

/* As much as the kernel grants (net.core.wmem_max); with its default there is room for 20,000 connections. */
#define BUFFER_SIZE (64 * 1024 * 1024)

struct parking {
    struct parking_options options;
    int channel;
    struct handover *handover;
};

int parking_new(struct parking **ret, const struct parking_options *options)
{
    int ends[2];
    const int size = BUFFER_SIZE;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    struct parking *parking = xcalloc(1, sizeof(*parking));
    parking->options = *options;
    parking->channel = ends[0];
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    const int r = notify_store(options->notify, DESCRIPTOR_PARKED, ends[1]) ? 0 : -ENOTSUP;
    close(ends[1]);
    if (r < 0) {
        parking_free(parking);
        return r;
    }
    parking->handover = handover_new(&(struct handover_options){.loop = options->loop,
                                                                .config = options->config,
                                                                .channel = parking->channel,
                                                                .patience = 0,
                                                                .on_refused = options->on_refused,
                                                                .userdata = options->userdata});
    *ret = parking;
    return 0;
}

struct parking *parking_free(struct parking *parking)
{
    if (!parking)
        return NULL;
    handover_free(parking->handover);
    close_and_forget(&parking->channel);
    free(parking);
    return NULL;
}

void parking_take(void *userdata, const struct moving_connection *connection)
{
    struct parking *parking = userdata;
    handover_take(parking->handover, connection);
}

void parking_flush(void *userdata)
{
    struct parking *parking = userdata;
    handover_flush(parking->handover);
}

void parking_finish(struct parking *parking, json_t *document)
{
    _cleanup_close_ int blob = -1;
    const int r = blob_new(document, &blob);
    json_decref(document);
    if (r == 0)
        (void)!channel_send(parking->channel, channel_message_new("state"), &blob, 1, 0);
}

void parking_counts(const struct parking *parking, struct handover_counts *ret)
{
    handover_counts(parking->handover, ret);
}

static void learn_from(struct channel_message *message, void (*learn)(void *userdata, const json_t *document),
                       void *userdata)
{
    json_t *document;
    if (message->n_fds == 0 || blob_read(message->fds[0], &document) < 0)
        return;
    learn(userdata, document);
    json_decref(document);
}

size_t parking_open(const struct config *config, int fd,
                    void (*adopt)(void *userdata, const struct moving_connection *connection),
                    void (*learn)(void *userdata, const json_t *document), void *userdata)
{
    struct channel_message message;
    size_t n = 0;
    while (channel_receive(fd, &message) == 0) {
        if (streq(message.type, "connections"))
            n += handover_receive(config, &message, adopt, userdata);
        else if (streq(message.type, "state"))
            learn_from(&message, learn, userdata);
        channel_message_deinit(&message);
    }
    close(fd);
    return n;
}
