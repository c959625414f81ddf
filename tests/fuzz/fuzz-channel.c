/* Any packets between two generations (packets.h): messages, connections, documents, or nothing. */

#include "packets.h"

#include "gateway/handover.h"
#include "lifecycle/blob.h"
#include "lifecycle/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct listener_config listeners[] = {{.name = (char *)"http", .index = 0}};
static const struct config config = {.listeners = listeners, .n_listeners = 1};

static void adopt(void *userdata, const struct moving_connection *connection)
{
    size_t *adopted = userdata;
    assert(connection->fd >= 0 && connection->listener == &listeners[0]);
    close(connection->fd);
    (*adopted)++;
}

static void receive(int from)
{
    struct channel_message message;
    json_t *document;
    while (channel_receive(from, &message) == 0) {
        size_t adopted = 0;
        assert(message.type && message.n_fds <= CHANNEL_MAX_FDS);
        assert(channel_string(&message, "listener", "none"));
        if (message.n_fds > 0 && blob_read(message.fds[0], &document) == 0)
            json_decref(document);
        assert(handover_receive(&config, &message, adopt, &adopted) == adopted);
        channel_message_deinit(&message);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t before = open_descriptors();
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
        abort();
    send_packets(ends[0], data, size, receive, ends[1]);
    close(ends[0]);
    receive(ends[1]);
    close(ends[1]);
    assert(open_descriptors() == before); /* none is left open */
    return 0;
}
