#pragma once
/* The listening sockets, as systemd passes them. */

#include "config/config.h"
#include "util/macros.h"

#define DESCRIPTOR_ADMIN "admin" /* the descriptor name that is not a listener of the configuration */

/* What the process before this one has left with systemd: see gateway/parking.h. Whatever we store has a name
 * with this prefix. */
#define DESCRIPTOR_STORED_PREFIX "holdfast-"
#define DESCRIPTOR_PARKED DESCRIPTOR_STORED_PREFIX "parked"

struct descriptor {
    int fd;
    char *name;
    char *address; /* for people: "0.0.0.0:80", "[::]:443", "unix:/run/x.sock" */
};

struct descriptors {
    struct descriptor *items;
    size_t n_items;
    int *parked; /* no listening sockets: those named DESCRIPTOR_PARKED; whoever reads one closes it */
    size_t n_parked;
};

/* Takes what sd_listen_fds_with_names gives, and clears its environment. -ENOENT when there is none at all:
 * the caller says how to start us. Descriptors are made close-on-exec and non-blocking, never closed here. */
int descriptors_take(struct descriptors *ret) _warn_unused_;
/* Takes out and closes what no socket unit has passed but systemd's store for descriptors, out of the hands
 * of another release or of somebody else: what bears a name of the store and is nobody's here. `tell` is told
 * of each before, and why it is of no use. */
void descriptors_drop_stored(struct descriptors *descriptors, const struct config *config,
                             void (*tell)(void *userdata, const struct descriptor *descriptor,
                                          const char *reason),
                             void *userdata);
/* Checks each to be a listening stream socket, and the names against the listeners, both ways. Each problem
 * is added to `report` naming both sides; then -EBADMSG. */
int descriptors_check(const struct descriptors *descriptors, const struct config *config,
                      struct config_report *report) _warn_unused_;
/* Frees the list; the descriptors stay open. */
void descriptors_deinit(struct descriptors *descriptors);
