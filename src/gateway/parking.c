#include "gateway/parking.h"

#include <poll.h>
#include <sys/socket.h>

#include "lifecycle/blob.h"
#include "lifecycle/channel.h"
#include "lifecycle/descriptors.h"

/* As much as the kernel grants (net.core.wmem_max); with its default there is room for 20,000 connections. */
#define BUFFER_SIZE (64 * 1024 * 1024)

struct parking {
    struct parking_options options;
    int channel;
    int state; /* the file that is filled at the end */
    struct handover *handover;
};

/* systemd closes what it does not keep, and does not say so. */
static bool is_kept(int channel)
{
    struct pollfd p = {.fd = channel};
    return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

static int reserve_state(struct parking *parking)
{
    int r = blob_reserve(&parking->state);
    if (r == 0)
        r = channel_send(parking->channel, channel_message_new("state"), &parking->state, 1, 0);
    if (r == -ETIMEDOUT) /* there is room, and not for descriptors */
        return -ETOOMANYREFS;
    return r == -EPIPE ? -ENOTSUP : r;
}

/* Consumes `end`. */
static int store(struct parking *parking, int end)
{
    int r = notify_store(parking->options.notify, DESCRIPTOR_PARKED, end);
    close(end);
    if (r == 0 && !is_kept(parking->channel))
        return -ENOTSUP;
    if (r == 0)
        r = reserve_state(parking);
    if (r < 0)
        notify_unstore(parking->options.notify, DESCRIPTOR_PARKED); /* if it is there, nothing is in it */
    return r;
}

int parking_new(struct parking **ret, const struct parking_options *options)
{
    int ends[2];
    const int size = BUFFER_SIZE;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -errno;
    struct parking *parking = xcalloc(1, sizeof(*parking));
    parking->options = *options;
    parking->channel = ends[0];
    parking->state = -1;
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    const int r = store(parking, ends[1]);
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
    close_and_forget(&parking->state);
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

int parking_finish(struct parking *parking, json_t *document)
{
    const int r = blob_fill(parking->state, document);
    json_decref(document);
    return r;
}

void parking_counts(const struct parking *parking, struct handover_counts *ret)
{
    handover_counts(parking->handover, ret);
}

static bool learn_from(const struct channel_message *message,
                       void (*learn)(void *userdata, const json_t *document), void *userdata)
{
    json_t *document;
    const int r = message->n_fds == 0 ? -EBADMSG : blob_read(message->fds[0], &document);
    if (r < 0)
        return r == -ENODATA; /* whoever reserved it has died, which is told elsewhere */
    learn(userdata, document);
    json_decref(document);
    return true;
}

void parking_open(const struct config *config, int fd,
                  void (*adopt)(void *userdata, const struct moving_connection *connection),
                  void (*learn)(void *userdata, const json_t *document), void *userdata,
                  struct parking_rest *rest)
{
    struct channel_message message;
    int r;
    while ((r = channel_receive(fd, &message)) == 0) {
        if (streq(message.type, "connections"))
            rest->closed += message.n_fds - handover_receive(config, &message, adopt, userdata);
        else if (streq(message.type, "state"))
            rest->unreadable += !learn_from(&message, learn, userdata);
        else if (!message.body) {
            rest->unreadable++;
            rest->closed += message.n_fds;
        }
        channel_message_deinit(&message);
    }
    close(fd);
    if (r != -EAGAIN && r != -ECONNRESET)
        rest->error = r;
}
