#pragma once
/* What one worker has in flight, in memory that survives its process: see lifecycle/flight.h. */

#include <stdatomic.h>

#include "util/macros.h"

/* One worker's, on a cache line of its own. Only the worker writes, by flight_set(). */
struct flight_slot {
    _Alignas(64)
        atomic_uint_fast64_t requests; /* their heads are complete, their responses are not; and tunnels */
    atomic_uint_fast64_t connections;
};

/* A slot of NULL is not written. */
static inline void flight_set_requests(struct flight_slot *slot, size_t n)
{
    if (slot)
        atomic_store_explicit(&slot->requests, n, memory_order_relaxed);
}

static inline void flight_set_connections(struct flight_slot *slot, size_t n)
{
    if (slot)
        atomic_store_explicit(&slot->connections, n, memory_order_relaxed);
}
