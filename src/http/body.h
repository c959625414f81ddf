#pragma once
/* A request's body as it arrives: in memory up to BodyMemorySize=, beyond that in a file without a name in
 * the service's temporary folder. All that is held counts against MaxBufferedSize=, which all requests share.
 *
 * The file is written, and read again, by system calls and never mapped: a full or broken disk is an error
 * of one request then, where a mapping would make it a signal and the end of the process. It has no name, so
 * that nothing is left of it, however the process ends. */

#include "http/body_budget.h"
#include "util/slice.h"

/* What all bodies of a process share. Immutable but for the budget. */
struct body_store {
    struct body_budget budget;
    uint64_t memory_max; /* of one body in memory */
    const char *folder;  /* borrowed */
};

enum {
    BODY_NO_ROOM = 1, /* the budget is exhausted */
};

struct body {
    struct body_store *store; /* NULL: all in memory, and counted nowhere */
    uint64_t expected;
    uint64_t size;    /* bytes so far */
    uint64_t charged; /* … to the budget */
    char *memory;     /* NULL when there is a file */
    size_t capacity;
    int fd; /* of the file, -1: none. Its offset means nothing. */
};

/* `expected`: its size if that is known beforehand, else 0. */
void body_init(struct body *body, struct body_store *store, uint64_t expected);
/* Gives back memory, file and budget. Harmless when that was done. */
void body_deinit(struct body *body);

/* Adds what has come. Returns 0, BODY_NO_ROOM, or a negative errno when the file cannot be made or written
 * (-ENOSPC, -EDQUOT, -EFBIG, -EIO, -EMFILE, …). After that only body_deinit() is allowed. */
int body_add(struct body *body, const void *data, size_t size) _warn_unused_;

static inline bool body_is_on_disk(const struct body *body)
{
    return body->fd >= 0;
}
