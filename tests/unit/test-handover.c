/* Connections on their way from one process to another: from several threads, through a socket, to the other
 * side; and back, when there is no room. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "gateway/handover.h"
#include "lifecycle/channel.h"

#define CONNECTIONS 600
#define THREADS 4

static struct listener_config listeners[] = {{.name = (char *)"http", .index = 0},
                                             {.name = (char *)"other", .index = 1}};
static const struct config config = {.listeners = listeners, .n_listeners = 2};

static int ends[2];
static struct loop *loop;
static size_t n_refused, n_adopted, by_listener[2];

static int setup(void **state)
{
    n_refused = n_adopted = by_listener[0] = by_listener[1] = 0;
    assert_int_equal(loop_new(&loop), 0);
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int teardown(void **state)
{
    close(ends[0]);
    close(ends[1]);
    loop_free(loop);
    return 0;
}

static void on_refused(void *userdata, const struct moving_connection *connection)
{
    n_refused++;
    close(connection->fd);
}

/* Most have none but their peers; so has the first, which may come in a message without any. */
static struct ip_address client_of(uint32_t i)
{
    struct ip_address client = {.family = i == 0        ? IP_NONE
                                          : i % 7 == 0  ? IP_V4
                                          : i % 11 == 0 ? IP_UNIX
                                                        : IP_NONE};
    if (client.family == IP_V4)
        client.bytes[3] = (uint8_t)i;
    return client;
}

static void adopt(void *userdata, const struct moving_connection *connection)
{
    /* Each carries in its age which it is, and in its idle time twice that. */
    assert_int_equal(connection->idle_ms, 2 * connection->age_ms);
    assert_ptr_equal(connection->listener, &listeners[connection->age_ms % 2]);
    const struct ip_address client = client_of(connection->age_ms);
    assert_true(ip_address_eq(&connection->client, &client));
    by_listener[connection->listener->index]++;
    n_adopted++;
    close(connection->fd);
}

struct giver {
    pthread_t thread;
    struct handover *handover;
    uint32_t first, n;
};

static void *give(void *userdata)
{
    struct giver *giver = userdata;
    for (uint32_t i = giver->first; i < giver->first + giver->n; i++) {
        const struct moving_connection connection = {.fd = socket(AF_UNIX, SOCK_STREAM, 0),
                                                     .listener = &listeners[i % 2],
                                                     .client = client_of(i),
                                                     .age_ms = i,
                                                     .idle_ms = 2 * i};
        handover_take(giver->handover, &connection);
    }
    return NULL;
}

static void receive_all(void)
{
    struct channel_message message;
    while (channel_receive(ends[1], &message) == 0) {
        if (streq(message.type, "connections"))
            handover_receive(&config, &message, adopt, NULL);
        channel_message_deinit(&message);
    }
}

static struct handover *new_handover(usec_t patience)
{
    return handover_new(&(struct handover_options){
        .loop = loop, .config = &config, .channel = ends[0], .patience = patience, .on_refused = on_refused});
}

static void test_from_threads(void **state)
{
    struct handover *handover = new_handover(USEC_PER_SEC);
    struct giver givers[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        givers[i] = (struct giver){
            .handover = handover, .first = i * CONNECTIONS / THREADS, .n = CONNECTIONS / THREADS};
        assert_int_equal(pthread_create(&givers[i].thread, NULL, give, &givers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(givers[i].thread, NULL);
    for (int turn = 0; n_adopted < CONNECTIONS && turn < 1000; turn++) {
        loop_run_once(loop, USEC_PER_MSEC);
        receive_all();
    }
    struct handover_counts counts;
    handover_counts(handover, &counts);
    assert_int_equal(counts.moved, CONNECTIONS);
    assert_int_equal(counts.refused, 0);
    assert_int_equal(n_adopted, CONNECTIONS);
    assert_int_equal(by_listener[0], CONNECTIONS / 2);
    handover_free(handover);
}

static void test_what_was_taken_goes_at_the_end(void **state)
{
    struct handover *handover = new_handover(0);
    struct giver giver = {.handover = handover, .n = 10};
    give(&giver);
    handover_free(handover); /* the loop has not turned since */
    receive_all();
    assert_int_equal(n_adopted, 10);
}

static void test_no_room(void **state)
{
    /* Nobody reads, and the buffer is small: what does not fit comes back, and is counted. */
    const int small = 1;
    assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    struct handover *handover = new_handover(0);
    struct giver giver = {.handover = handover, .n = 800};
    give(&giver);
    handover_flush(handover);
    struct handover_counts counts;
    handover_counts(handover, &counts);
    assert_int_equal(counts.moved + counts.refused, 800);
    assert_true(counts.refused > 0);
    assert_int_equal(counts.refused, n_refused);
    receive_all();
    assert_int_equal(n_adopted, counts.moved);
    handover_free(handover);
}

static void test_nobody_there(void **state)
{
    struct handover *handover = new_handover(USEC_PER_SEC);
    struct giver giver = {.handover = handover, .n = 10};
    close(ends[1]);
    give(&giver);
    handover_flush(handover);
    assert_int_equal(n_refused, 10);
    handover_free(handover);
    ends[1] = dup(ends[0]);
}

static void test_the_other_end_has_gone(void **state)
{
    /* The channel is closed, and its number soon belongs to something else: a client's connection, say. */
    struct handover *handover = new_handover(USEC_PER_SEC);
    struct giver giver = {.handover = handover, .n = 10};
    int client[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, client), 0);
    give(&giver);
    handover_lose(handover);
    dup2(client[0], ends[0]);
    handover_flush(handover);
    char byte;
    assert_int_equal(recv(client[1], &byte, 1, 0), -1);
    assert_int_equal(n_refused, 10);
    struct handover_counts counts;
    handover_counts(handover, &counts);
    assert_int_equal(counts.error, -EPIPE);
    handover_free(handover);
    close(client[0]);
    close(client[1]);
}

static void test_what_is_no_connection(void **state)
{
    struct channel_message message = {.type = ""};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int listening = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(listening, 1), 0);
    message.body = channel_message_new("connections");
    json_object_set_new(message.body, "listener", json_string("http"));
    message.fds[message.n_fds++] = listening;
    message.fds[message.n_fds++] = memfd_create("x", 0);
    message.fds[message.n_fds++] = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(handover_receive(&config, &message, adopt, NULL), 0);
    message.fds[message.n_fds++] = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(handover_receive(&config, &message, adopt, NULL), 1);
    /* Its bytes would be taken for a handshake. */
    listeners[0].protocol = LISTENER_HTTPS;
    message.fds[message.n_fds++] = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(handover_receive(&config, &message, adopt, NULL), 0);
    listeners[0].protocol = LISTENER_HTTP;
    channel_message_deinit(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_from_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_taken_goes_at_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_other_end_has_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_connection, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
