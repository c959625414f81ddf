#pragma once
/* Keeping idle connections over a restart, when no process of ours is there to have them.
 *
 * They wait inside a socket: one end of a pair is given to systemd, and what this process writes into the
 * other, the same messages as between two generations ("connections", "state"), stays in its queue when the
 * process has ended, descriptors and all. The next process gets that end from systemd, and reads. What
 * clients send meanwhile waits in their own sockets.
 *
 * The end is stored before anything is written: whatever becomes of this process from then on, nothing is
 * lost. The state is known last, when there may be no room left in the socket or for descriptors in flight:
 * so its message goes first, with a file that is filled at the end. */

#include <jansson.h>

#include "gateway/handover.h"
#include "lifecycle/notify.h"

struct parking;

struct parking_options {
    struct loop *loop;
    const struct config *config;
    struct notify *notify;
    /* There is no room for one. Called on the loop's thread. */
    void (*on_refused)(void *userdata, const struct moving_connection *connection);
    void *userdata;
};

/* -ENOTSUP when systemd keeps nothing for us (FileDescriptorStoreMax=), -ETOOMANYREFS when too many
 * descriptors are in flight already. When it only lets go later, each
 * connection is refused for -EPIPE. */
int parking_new(struct parking **ret, const struct parking_options *options) _warn_unused_;
/* Accepts NULL, returns NULL. What was parked stays so. */
struct parking *parking_free(struct parking *parking);

/* A connection_taker, for any thread. */
void parking_take(void *parking, const struct moving_connection *connection);
/* Parks what was taken last. */
void parking_flush(void *parking);
/* With what the next process is to know all is complete. `document`: consumed. Returns a negative errno when
 * that cannot be kept; the connections can. */
int parking_finish(struct parking *parking, json_t *document) _warn_unused_;
void parking_counts(const struct parking *parking, struct handover_counts *ret);

/* What there was beside what went to `adopt` and `learn`. */
struct parking_rest {
    size_t closed;     /* connections, and what was taken for one, that nobody here can have */
    size_t unreadable; /* messages, and states */
    int error;         /* reading has ended for another reason than that all was read; 0: for that one */
};

/* What one process left, or whoever: each connection goes to `adopt`, which has it from then on, the document
 * to `learn`. Consumes fd. Adds to `rest`. */
void parking_open(const struct config *config, int fd,
                  void (*adopt)(void *userdata, const struct moving_connection *connection),
                  void (*learn)(void *userdata, const json_t *document), void *userdata,
                  struct parking_rest *rest);
