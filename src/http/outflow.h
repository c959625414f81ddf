#pragma once
/* What the other side takes of what we send. A write that h2o has under way tells nothing before it is
 * complete, which may be minutes for a client that is slow but honest; the kernel knows better. */

#include "util/macros.h"

struct outflow {
    bool is_tcp;
    uint64_t mark; /* TCP: bytes that the peer has acknowledged; otherwise what it has yet to take */
};

/* Whether nothing is left that the peer has not taken. */
bool outflow_is_over(int fd);
/* From now on. */
struct outflow outflow_begin(int fd);
/* How many bytes the peer has taken since this was asked last. A Unix socket counts nothing: then UINT64_MAX
 * when the queue has changed, which says that the peer has taken some; that it has not says little. Two
 * system calls at most. */
uint64_t outflow_progress(struct outflow *outflow, int fd);
