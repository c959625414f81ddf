#pragma once
/* Descriptors that are set aside for the admin API, so that it is there when clients or targets have all the
 * others. The soft limit of open files is a little below the hard one; what may use the reserve raises it for
 * one system call. */

#include <sys/socket.h>

/* Raises the soft limit of open files to all but the reserve. Returns a negative errno. */
int reserve_set_aside(void);
/* accept4(2), from the reserve if need be. -1 and errno. Control thread only. */
int reserve_accept(int fd, struct sockaddr_storage *ret_address, socklen_t *size);
