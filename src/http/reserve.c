#include "http/reserve.h"

#include <sys/resource.h>

#include "util/macros.h"

/* Where only few are allowed at all, as many as can be spared. */
#define RESERVE 32
#define RESERVE_FRACTION 8

static rlim_t without_reserve(rlim_t hard)
{
    return hard == RLIM_INFINITY ? hard : hard - MIN((rlim_t)RESERVE, hard / RESERVE_FRACTION);
}

int reserve_set_aside(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = without_reserve(limit.rlim_max);
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

int reserve_accept(int fd, struct sockaddr_storage *ret_address, socklen_t *size)
{
    struct rlimit limit, whole;

    int client = accept4(fd, (struct sockaddr *)ret_address, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0 || errno != EMFILE || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return client;
    whole = limit;
    whole.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &whole) < 0) {
        errno = EMFILE;
        return -1;
    }
    client = accept4(fd, (struct sockaddr *)ret_address, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    const int error = errno;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    errno = error;
    return client;
}
