#include "lifecycle/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "util/parse.h"
#include "util/strbuf.h"

#define FIRST_FD 3

static char executable[4096];
static char **arguments;

void spawn_remember(char **argv)
{
    ssize_t n = readlink("/proc/self/exe", executable, sizeof(executable) - 1);
    executable[n < 0 ? 0 : n] = '\0';
    arguments = argv;
}

const char *spawn_executable(void)
{
    return executable;
}

static bool is_ours(const char *variable)
{
    static const char *const names[] = {
        "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "WATCHDOG_PID=", (SPAWN_CHANNEL_VARIABLE "=")};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* The strings to free are the last ones, from *ret_own on. */
static char **make_environment(const struct descriptors *descriptors, size_t *ret_own)
{
    size_t n = 0;
    while (environ[n])
        n++;
    char **result = xcalloc(n + 6, sizeof(*result));
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!is_ours(environ[i]))
            result[kept++] = environ[i];
    *ret_own = kept;

    struct strbuf text = STRBUF_INIT;
    strbuf_addf(&text, "LISTEN_FDS=%zu", descriptors->n_items);
    result[kept++] = strbuf_steal(&text);
    strbuf_add_string(&text, "LISTEN_FDNAMES=");
    for (size_t i = 0; i < descriptors->n_items; i++)
        strbuf_addf(&text, "%s%s", i ? ":" : "", descriptors->items[i].name);
    result[kept++] = strbuf_steal(&text);
    strbuf_addf(&text, SPAWN_CHANNEL_VARIABLE "=%zu", FIRST_FD + descriptors->n_items);
    result[kept++] = strbuf_steal(&text);
    /* The number is not known yet: room for it. */
    result[kept++] = xstrdup("LISTEN_PID=0123456789");
    if (getenv("WATCHDOG_USEC"))
        result[kept++] = xstrdup("WATCHDOG_PID=0123456789");
    return result;
}

/* What the child does before it is another program. It shares our memory and nothing else; we stand still
 * meanwhile. Only what is safe after vfork(2) may be called. */
struct child {
    const int *high; /* the descriptors, out of the way */
    size_t n;
    char **environment;
    char *listen_pid, *watchdog_pid; /* where its number goes; the latter may be NULL */
    int error;
};

static void write_pid(char *to, pid_t pid)
{
    char digits[12];
    size_t n = 0;
    for (; pid > 0; pid /= 10)
        digits[n++] = (char)('0' + pid % 10);
    while (n > 0)
        *to++ = digits[--n];
    *to = '\0';
}

/* System calls as they are: what sanitizers put around functions of the library would take their notes in
 * memory that is not this process's own. */
_noreturn_ static void give_up(struct child *child)
{
    child->error = errno;
    for (;;)
        syscall(SYS_exit, 127);
}

__attribute__((no_sanitize("address", "undefined", "thread"))) static int run_child(void *userdata)
{
    struct child *child = userdata;
    const uint64_t no_signals = 0;

    for (size_t i = 0; i < child->n; i++)
        if (syscall(SYS_dup3, child->high[i], FIRST_FD + (int)i, 0) < 0)
            give_up(child);
    const pid_t pid = (pid_t)syscall(SYS_getpid);
    write_pid(child->listen_pid, pid);
    if (child->watchdog_pid)
        write_pid(child->watchdog_pid, pid);
    /* Handlers do not outlive the exec, and SIGPIPE and SIGXFSZ are ignored by the successor, too. */
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof(no_signals));
    syscall(SYS_execve, executable, arguments, child->environment);
    give_up(child);
}

/* Duplicates that are out of the way of the numbers that they are to have, and no further: there may be few.
 */
static int take_high(const struct descriptors *descriptors, int channel, int *high)
{
    const int first = FIRST_FD + (int)descriptors->n_items + 1;
    for (size_t i = 0; i <= descriptors->n_items; i++) {
        int fd = i < descriptors->n_items ? descriptors->items[i].fd : channel;
        high[i] = fcntl(fd, F_DUPFD_CLOEXEC, first);
        if (high[i] < 0)
            return -errno;
    }
    return 0;
}

static int run_clone(struct child *child, pid_t *ret_pid, int *ret_pidfd)
{
    enum { STACK_SIZE = 64 * 1024 };
    _cleanup_free_ char *stack = aligned_alloc(64, STACK_SIZE);
    int pidfd = -1;

    if (!stack)
        return -ENOMEM;
    pid_t pid = clone(run_child, stack + STACK_SIZE,
                      CLONE_VM | CLONE_VFORK | CLONE_PARENT | CLONE_PIDFD | SIGCHLD, child, &pidfd);
    if (pid < 0)
        return -errno;
    if (child->error) {
        close(pidfd);
        return -child->error;
    }
    *ret_pid = pid;
    *ret_pidfd = pidfd;
    return 0;
}

int spawn_successor(const struct descriptors *descriptors, int channel, pid_t *ret_pid, int *ret_pidfd)
{
    size_t n = descriptors->n_items + 1, own;
    _cleanup_free_ int *high = xcalloc(n, sizeof(*high));
    struct child child = {.high = high, .n = n};

    for (size_t i = 0; i < n; i++)
        high[i] = -1;
    child.environment = make_environment(descriptors, &own);
    for (char **variable = child.environment + own; *variable; variable++) {
        if (strncmp(*variable, "LISTEN_PID=", STRLEN("LISTEN_PID=")) == 0)
            child.listen_pid = *variable + STRLEN("LISTEN_PID=");
        if (strncmp(*variable, "WATCHDOG_PID=", STRLEN("WATCHDOG_PID=")) == 0)
            child.watchdog_pid = *variable + STRLEN("WATCHDOG_PID=");
    }
    int r = take_high(descriptors, channel, high);
    if (r == 0)
        r = run_clone(&child, ret_pid, ret_pidfd);

    for (char **variable = child.environment + own; *variable; variable++)
        free(*variable);
    free(child.environment);
    for (size_t i = 0; i < n; i++)
        close_and_forget(&high[i]);
    return r;
}

int spawn_take_channel(void)
{
    const char *text = getenv(SPAWN_CHANNEL_VARIABLE);
    uint64_t fd;
    int type;
    socklen_t size = sizeof(type);

    if (!text)
        return -1;
    bool valid = parse_u64(text, FIRST_FD, INT32_MAX, &fd) == 0 &&
                 getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
    unsetenv(SPAWN_CHANNEL_VARIABLE);
    if (!valid)
        return -1;
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    return (int)fd;
}
