#pragma once
/* Keeping idle connections over a restart, when no process of ours is there to have them.
 *
 * They wait inside a socket: one end of a pair is given to systemd, and what this process writes into the
 * other, the same messages as between two generations ("connections", "state"), stays in its queue when the
 * process has ended, descriptors and all. The next process gets that end from systemd, and reads. What
 * clients send meanwhile waits in their own sockets.
 *
 * The end is stored before anything is written: whatever becomes of this process from then on, nothing is
 * lost. */

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

/* -ENOTSUP when systemd keeps nothing for us (FileDescriptorStoreMax=). */
int parking_new(struct parking **ret, const struct parking_options *options) _warn_unused_;
/* Accepts NULL, returns NULL. What was parked stays so. */
struct parking *parking_free(struct parking *parking);

/* A connection_taker, for any thread. */
void parking_take(void *parking, const struct moving_connection *connection);
/* Parks what was taken last. */
void parking_flush(void *parking);
/* With what the next process is to know with what the next process is to know all is complete. `document`:
 * consumed. */
void parking_finish(struct parking *parking, json_t *document);
void parking_counts(const struct parking *parking, struct handover_counts *ret);

/* What one process left: each connection goes to `adopt`, which has it from then on, the document to `learn`.
 * Consumes fd. Returns how many connections there were. */
size_t parking_open(const struct config *config, int fd,
                    void (*adopt)(void *userdata, const struct moving_connection *connection),
                    void (*learn)(void *userdata, const json_t *document), void *userdata);
