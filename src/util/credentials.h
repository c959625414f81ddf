#pragma once
/* Who is at the other end of a Unix socket, by the kernel's account: as it was when that end connected.
 *
 * Ids that our user namespace has no number for (PrivateUsers= leaves only root and the service's own) are
 * shown as CREDENTIALS_NOBODY; many are one there. */

#include <sys/types.h>

#include "util/macros.h"

#define CREDENTIALS_NOBODY 65534

struct credentials {
    pid_t pid; /* 0: not known, it is no Unix socket; then nothing else here counts */
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* supplementary */
    size_t n_groups;
};

/* Negative errno, and pid 0, when the kernel does not tell. credentials_deinit() is harmless in any case. */
int credentials_of_peer(int fd, struct credentials *ret) _warn_unused_;
void credentials_deinit(struct credentials *credentials);

/* Whether it runs as this user, or has this group as its own or a supplementary one. Never so for
 * CREDENTIALS_NOBODY, which stands for who knows whom. */
bool credentials_is_user(const struct credentials *credentials, uid_t uid);
bool credentials_in_group(const struct credentials *credentials, gid_t gid);
