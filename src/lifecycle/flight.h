#pragma once
/* What a generation has in flight, written where it survives the process: so that after a crash the next
 * generation can say what was lost.
 *
 * Each generation that accepts has a small file, <state directory>/generations/<number>, mapped into its
 * memory, and locked as long as it lives: generations coexist, and the lock tells those that drain from those
 * that died. An orderly end removes the file. Counting costs a store to memory; the kernel has the page when
 * the process is gone.
 *
 * What is counted:
 *  - requests whose heads are complete and whose responses are not fully written, also those that wait for an
 *    upstream or for the rest of a body; and tunnels (WebSockets), one each;
 *  - connections that are accepted and not closed, idle ones and those in their TLS handshake among them.
 * Not a request: a head that is still arriving, and what a client has sent and nobody has read yet. */

#include "util/clock.h"
#include "util/flight_slot.h"
#include "util/macros.h"

struct flight;

/* Makes and locks the file; from now on an end without a word is told. Workers are numbered from 0. The lock
 * goes with the process: the descriptor is closed at exec(), and a child that does not get there would hold
 * it. Returns a negative errno: -EEXIST when a living generation has this number, or when what has its name
 * is no such file. */
int flight_new(struct flight **ret, const char *directory, uint64_t generation, unsigned n_workers)
    _warn_unused_;
/* An orderly end: removes the file. The slots stay. Accepts NULL. */
void flight_end(struct flight *flight);
/* The same, and no worker may write any more. Accepts NULL, returns NULL. */
struct flight *flight_free(struct flight *flight);
/* Lives as long as the flight; NULL for no flight. */
struct flight_slot *flight_slot(struct flight *flight, unsigned worker);

/* A generation that ended without a word. */
struct flight_death {
    uint64_t generation;
    bool readable; /* … and what follows is known */
    bool rebooted; /* the system has been started since: a power failure, or a reset */
    uint64_t pid;
    /* When it ended. When the system did: what the disk had by then, which may be half a minute old. */
    uint64_t requests, connections;
    usec_t started_realtime;
};

/* Calls `on_dead` for each generation whose file is there and whose process is not, in no order, and removes
 * the file: each is told once, however many look. Files are not trusted: what is damaged is told as such,
 * what is no file is removed, and what cannot be opened or removed is passed over. A process that is just
 * ending may still hold its lock when its other descriptors are closed already. */
void flight_find_dead(const char *directory,
                      void (*on_dead)(void *userdata, const struct flight_death *death), void *userdata);
