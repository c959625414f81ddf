#pragma once
/* Starting the successor: the installed executable, in our place, with our listening sockets. */

#include <sys/types.h>

#include "lifecycle/descriptors.h"
#include "util/macros.h"

/* In a successor's environment: the number of its end of the channel. */
#define SPAWN_CHANNEL_VARIABLE "HOLDFAST_SUCCESSION_FD"

/* Remembers how this process was started, while /proc still tells: the path of the executable (not of the
 * file that may have been removed since) and its arguments. To be called first thing. */
void spawn_remember(char **argv);
/* The path that was remembered. */
const char *spawn_executable(void);
/* Starts the same again, as a child of our own parent, the service manager, so that it is told how the
 * successor ends, too. The descriptors become 3, 4, … in order with their names, the channel follows; signals
 * are as at a fresh start. *ret_pidfd (the caller's to close) becomes readable when it has ended. All signals
 * must be blocked in the calling thread. */
int spawn_successor(const struct descriptors *descriptors, int channel, pid_t *ret_pid, int *ret_pidfd)
    _warn_unused_;

/* In the process that was started: our end of the channel to the predecessor, -1 when there is none. */
int spawn_take_channel(void);
