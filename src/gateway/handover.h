#pragma once
/* Giving idle connections to another process, in messages of many: {"type": "connections", "listener": name,
 * "age_ms": [...], "idle_ms": [...], "client": [...]} with a descriptor for each. A client is an address,
 * "unix", or null where it is the peer; where all are, the array is not there.
 *
 * Connections come one by one from all workers. What has come by the time the control loop turns goes out
 * together, by listener. */

#include "config/config.h"
#include "http/loop.h"
#include "http/server.h"

struct handover;

struct handover_options {
    struct loop *loop;
    const struct config *config;
    int channel;     /* borrowed */
    usec_t patience; /* how long a message may wait for room */
    /* One could not be sent: it is the callee's from now on. Called on the loop's thread. */
    void (*on_refused)(void *userdata, const struct moving_connection *connection);
    void *userdata;
};

struct handover *handover_new(const struct handover_options *options);
/* No worker may take any more. Sends what has come. Accepts NULL, returns NULL. */
struct handover *handover_free(struct handover *handover);

/* A connection_taker, for any thread. */
void handover_take(void *handover, const struct moving_connection *connection);
/* Sends what has come so far. */
void handover_flush(struct handover *handover);
/* The other end has gone, and the channel is not to be used any more: whatever comes is refused. */
void handover_lose(struct handover *handover);

struct handover_counts {
    uint64_t moved;
    uint64_t refused;
    int error; /* why one was refused first, a negative errno; 0: none was */
};
void handover_counts(const struct handover *handover, struct handover_counts *ret);

/* The other side: each connection of such a message goes to `adopt`, which has it from then on. What is left
 * in the message is of no use: no connection, or one that no listener takes in plaintext. Returns how many
 * went. */
struct channel_message;
size_t handover_receive(const struct config *config, struct channel_message *message,
                        void (*adopt)(void *userdata, const struct moving_connection *connection),
                        void *userdata);
