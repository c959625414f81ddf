#pragma once
/* What two generations say to each other: one JSON object per packet of a SOCK_SEQPACKET socket, with
 * descriptors beside it.
 *
 * The two may be different releases, either the newer: so a message is looked at by asking for its fields,
 * each with a default; fields and types that are not known are passed over; and nothing that arrives, however
 * wrong, does more harm than to be ignored. */

#include <jansson.h>

#include "util/clock.h"
#include "util/macros.h"

/* Descriptors in one message: the kernel's SCM_MAX_FD is 253. */
#define CHANNEL_MAX_FDS 250
/* Bytes of one message. */
#define CHANNEL_MAX_SIZE (64 * 1024)
/* Of the conversation. A higher one is spoken by a newer release; there is nothing to refuse because of it.
 */
#define CHANNEL_VERSION 1

struct channel_message {
    json_t *body;             /* an object; NULL for what was not one */
    const char *type;         /* its "type", "" when there is none; lives as long as the body */
    int fds[CHANNEL_MAX_FDS]; /* open, close-on-exec; those left at deinit are closed */
    size_t n_fds;
};

/* Takes the next message. 0, -EAGAIN when there is none yet, -ECONNRESET at the end of the conversation. A
 * packet that is no message gives 0 and a body of NULL: the caller passes it over. */
int channel_receive(int fd, struct channel_message *ret) _warn_unused_;
void channel_message_deinit(struct channel_message *message);

/* How long one waits for room with a peer that is alive, and takes messages as they come. */
#define CHANNEL_PATIENCE USEC_PER_SEC

/* Sends a message; consumes `body`, not the descriptors. Waits at most `patience` for room. -EPIPE when
 * nobody listens any more, -ETIMEDOUT, -EMSGSIZE. */
int channel_send(int fd, json_t *body, const int *fds, size_t n_fds, usec_t patience) _warn_unused_;
/* {"type": type, "version": CHANNEL_VERSION} */
json_t *channel_message_new(const char *type);

/* Fields, and what they are when they are missing or of another kind. */
uint64_t channel_u64(const struct channel_message *message, const char *key, uint64_t fallback);
/* Lives as long as the message. */
const char *channel_string(const struct channel_message *message, const char *key, const char *fallback);
