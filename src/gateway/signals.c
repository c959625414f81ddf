#include "gateway/signals.h"

#include <signal.h>
#include <sys/signalfd.h>

struct signals {
    int fd;
    struct loop_fd *watch;
    void (*on_signal)(void *userdata, int number);
    void *userdata;
};

static void taken(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

void signals_block(void)
{
    sigset_t set;
    taken(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a request's body that may not be stored is an error of its own */
}

static void on_readable(void *userdata)
{
    struct signals *signals = userdata;
    struct signalfd_siginfo info;
    while (read(signals->fd, &info, sizeof(info)) == sizeof(info))
        signals->on_signal(signals->userdata, (int)info.ssi_signo);
}

int signals_new(struct signals **ret, struct loop *loop, void (*on_signal)(void *userdata, int number),
                void *userdata)
{
    sigset_t set;
    taken(&set);
    _cleanup_close_ int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    struct signals *signals = xcalloc(1, sizeof(*signals));
    *signals = (struct signals){.fd = TAKE_FD(fd), .on_signal = on_signal, .userdata = userdata};
    signals->watch = loop_fd_new(loop, signals->fd, on_readable, signals);
    *ret = signals;
    return 0;
}

struct signals *signals_free(struct signals *signals)
{
    if (!signals)
        return NULL;
    loop_fd_free(signals->watch);
    close(signals->fd);
    free(signals);
    return NULL;
}
