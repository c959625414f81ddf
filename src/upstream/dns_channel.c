#include "upstream/dns_channel.h"

#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/time.h>

#define RESOLV_CONF "/etc/resolv.conf"

/* A server that is silent is asked again once, after twice the time; each server in turn. */
#define TRY_TIMEOUT_MS 2000
#define TRIES 2
#define EVENTS_MAX 16

/* What tells one version of a file from another. */
struct file_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct dns_channel {
    ares_channel ares;
    int epoll;
    char *path;    /* of resolv.conf */
    char *servers; /* instead of those it names, or NULL */
    struct file_stamp stamp;
};

/* The value of an environment variable that only builds for tests know, or NULL. */
static const char *hook(const char *name)
{
    return HOLDFAST_HOOKS ? secure_getenv(name) : NULL;
}

/* All zero when there is no such file. */
static struct file_stamp read_stamp(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return (struct file_stamp){0};
    return (struct file_stamp){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

static bool stamp_eq(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void on_socket_state(void *userdata, ares_socket_t fd, int readable, int writable)
{
    struct dns_channel *channel = userdata;
    struct epoll_event event = {
        .events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u),
        .data.fd = fd,
    };

    if (event.events == 0)
        (void)epoll_ctl(channel->epoll, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(channel->epoll, EPOLL_CTL_MOD, fd, &event) < 0 && errno == ENOENT)
        /* If this fails, too, the query ends by its timeout. */
        (void)epoll_ctl(channel->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int status_to_errno(int status)
{
    return status == ARES_SUCCESS ? 0 : status == ARES_ENOMEM ? -ENOMEM : -EIO;
}

static int ares_new(struct dns_channel *channel, ares_channel *ret)
{
    char lookups[] = "fb"; /* files, then DNS: what else nsswitch.conf may name is not for c-ares */
    struct ares_options options = {
        .timeout = TRY_TIMEOUT_MS,
        .tries = TRIES,
        .lookups = lookups,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = channel,
        .resolvconf_path = channel->path,
    };
    ares_channel ares;
    int status = ares_init_options(&ares, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                                       ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF);
    if (status != ARES_SUCCESS)
        return status_to_errno(status);
    if (channel->servers)
        status = ares_set_servers_ports_csv(ares, channel->servers);
    if (status != ARES_SUCCESS) {
        ares_destroy(ares);
        return status_to_errno(status);
    }
    *ret = ares;
    return 0;
}

int dns_channel_new(struct dns_channel **ret)
{
    int r = status_to_errno(ares_library_init(ARES_LIB_INIT_ALL));
    if (r < 0)
        return r;

    struct dns_channel *channel = xcalloc(1, sizeof(*channel));
    const char *path = hook("HOLDFAST_RESOLV_CONF"), *servers = hook("HOLDFAST_DNS_SERVERS");
    channel->path = xstrdup(path ? path : RESOLV_CONF);
    channel->servers = servers ? xstrdup(servers) : NULL;
    channel->stamp = read_stamp(channel->path);
    channel->epoll = epoll_create1(EPOLL_CLOEXEC);
    r = channel->epoll < 0 ? -errno : ares_new(channel, &channel->ares);
    if (r < 0) {
        dns_channel_free(channel);
        return r;
    }
    *ret = channel;
    return 0;
}

struct dns_channel *dns_channel_free(struct dns_channel *channel)
{
    if (!channel)
        return NULL;
    if (channel->ares)
        ares_destroy(channel->ares);
    ares_library_cleanup();
    close_and_forget(&channel->epoll);
    free(channel->path);
    free(channel->servers);
    free(channel);
    return NULL;
}

bool dns_channel_is_outdated(const struct dns_channel *channel)
{
    const struct file_stamp stamp = read_stamp(channel->path);
    return !stamp_eq(&stamp, &channel->stamp);
}

void dns_channel_renew(struct dns_channel *channel)
{
    ares_channel ares;

    /* Before it is read: a change meanwhile is seen the next time. */
    channel->stamp = read_stamp(channel->path);
    if (ares_new(channel, &ares) < 0)
        return;
    ares_destroy(channel->ares);
    channel->ares = ares;
}

ares_channel dns_channel_ares(struct dns_channel *channel)
{
    return channel->ares;
}

int dns_channel_fd(const struct dns_channel *channel)
{
    return channel->epoll;
}

usec_t dns_channel_wait(const struct dns_channel *channel, usec_t limit)
{
    struct timeval wait;

    if (!ares_timeout(channel->ares, NULL, &wait))
        return limit;
    return usec_min(limit, (usec_t)wait.tv_sec * USEC_PER_SEC + (usec_t)wait.tv_usec);
}

void dns_channel_dispatch(struct dns_channel *channel)
{
    struct epoll_event events[EVENTS_MAX];
    const int n = epoll_wait(channel->epoll, events, ARRAY_SIZE(events), 0);

    for (int i = 0; i < n; i++) {
        const bool is_broken = events[i].events & (EPOLLERR | EPOLLHUP);
        const int fd = events[i].data.fd; /* c-ares ignores one that it has closed meanwhile */
        ares_process_fd(channel->ares, is_broken || events[i].events & EPOLLIN ? fd : ARES_SOCKET_BAD,
                        events[i].events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* timeouts */
}
