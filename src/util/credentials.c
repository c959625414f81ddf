#include "util/credentials.h"

#include <sys/socket.h>

static int read_groups(int fd, struct credentials *credentials)
{
    socklen_t size = 0;
    gid_t none;
    /* Asks for the size, by way of having no room. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, &none, &size) == 0 || size == 0)
        return 0;
    if (errno != ERANGE)
        return -errno;
    credentials->n_groups = size / sizeof(*credentials->groups);
    credentials->groups = xcalloc(credentials->n_groups, sizeof(*credentials->groups));
    /* They do not change any more. */
    return getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, credentials->groups, &size) < 0 ? -errno : 0;
}

int credentials_of_peer(int fd, struct credentials *ret)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    *ret = (struct credentials){0};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return -errno;
    if (peer.pid == 0) /* what it says of other kinds of sockets */
        return -EOPNOTSUPP;
    const int r = read_groups(fd, ret);
    if (r < 0) {
        credentials_deinit(ret);
        return r;
    }
    ret->pid = peer.pid;
    ret->uid = peer.uid;
    ret->gid = peer.gid;
    return 0;
}

void credentials_deinit(struct credentials *credentials)
{
    free(credentials->groups);
    *credentials = (struct credentials){0};
}

bool credentials_is_user(const struct credentials *credentials, uid_t uid)
{
    return credentials->pid != 0 && credentials->uid == uid && uid != CREDENTIALS_NOBODY;
}

bool credentials_in_group(const struct credentials *credentials, gid_t gid)
{
    if (credentials->pid == 0 || gid == CREDENTIALS_NOBODY)
        return false;
    if (credentials->gid == gid)
        return true;
    for (size_t i = 0; i < credentials->n_groups; i++)
        if (credentials->groups[i] == gid)
            return true;
    return false;
}
