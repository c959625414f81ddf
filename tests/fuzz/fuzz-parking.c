/* Any packets as what a process has parked for the next (packets.h): every connection is taken or counted,
 * and no descriptor is left open. */

#include "packets.h"

#include <jansson.h>

#include "gateway/parking.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct listener_config listeners[] = {
    {.name = (char *)"http", .index = 0}, {.name = (char *)"https", .index = 1, .protocol = LISTENER_HTTPS}};
static const struct config config = {.listeners = listeners, .n_listeners = 2};

struct taken {
    size_t connections, documents;
};

static void adopt(void *userdata, const struct moving_connection *connection)
{
    struct taken *taken = userdata;
    int type = 0;
    socklen_t size = sizeof(type);

    assert(connection->listener == &listeners[0]); /* no other takes plaintext */
    const int r = getsockopt(connection->fd, SOL_SOCKET, SO_TYPE, &type, &size);
    assert(r == 0 && type == SOCK_STREAM && (fcntl(connection->fd, F_GETFD) & FD_CLOEXEC));
    close(connection->fd);
    taken->connections++;
}

static void learn(void *userdata, const json_t *document)
{
    struct taken *taken = userdata;
    assert(document);
    taken->documents++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t before = open_descriptors();
    struct taken taken = {0};
    struct parking_rest rest = {0};
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
        abort();
    send_packets(ends[0], data, size, NULL, -1);
    close(ends[0]);
    parking_open(&config, ends[1], adopt, learn, &taken, &rest);
    const size_t lines =
        size; /* there are not more packets than bytes, nor more than 15 descriptors to each */
    assert(taken.documents + rest.unreadable <= lines && taken.connections + rest.closed <= 15 * lines);
    assert(open_descriptors() == before);
    return 0;
}
