#pragma once
/* What a generation has in flight, written where it survives the process: so that after a crash the next
 * generation can say what was lost.
 *
 * Each generation has a small file, <state directory>/generations/<number>, mapped into its memory, and
 * locked as long as it lives: generations coexist, and the lock tells those that drain from those that died.
 * An orderly end removes the file. Counting costs a store to memory; the kernel has the page when the process
 * is gone. */

#include "util/clock.h"
#include "util/flight_slot.h"
#include "util/macros.h"

struct flight;

/* Makes and locks the file. Workers are numbered from 0. */
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
    bool rebooted; /* the machine has been started since: the power failed, or the system was killed */
    uint64_t pid;
    uint64_t requests, connections; /* when it ended */
    usec_t started_realtime;
};

/* Calls `on_dead` for each generation whose file is there and whose process is not, and removes the file. */
void flight_find_dead(const char *directory,
                      void (*on_dead)(void *userdata, const struct flight_death *death), void *userdata);
