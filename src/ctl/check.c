#include <limits.h>
#include <sys/wait.h>

#include "ctl/ctl.h"
#include "util/strbuf.h"

#define PROGRAM "holdfastd"

/* Where the program may be, relative to this one: beside it, or in sbin for one in bin. */
static const char *const near_by[] = {"", "../sbin/"};
/* Where it may be when PATH does not name sbin. */
static const char *const far_off[] = {"/usr/local/sbin/", "/usr/sbin/", "/sbin/"};

static bool try_path(struct strbuf *path, const char *directory, size_t size, const char *rest)
{
    strbuf_clear(path);
    strbuf_add(path, directory, size);
    strbuf_addf(path, "%s" PROGRAM, rest);
    return access(path->data, X_OK) == 0;
}

static bool find_near_by(struct strbuf *path)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return false;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < ARRAY_SIZE(near_by); i++)
        if (try_path(path, self, (size_t)(slash - self) + 1, near_by[i]))
            return true;
    return false;
}

static bool find_in_path(struct strbuf *path)
{
    for (const char *p = getenv("PATH"); p && *p;) {
        size_t n = strcspn(p, ":");
        if (n > 0 && try_path(path, p, n, "/"))
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

static bool find_program(struct strbuf *path)
{
    if (find_near_by(path) || find_in_path(path))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(far_off); i++)
        if (try_path(path, far_off[i], strlen(far_off[i]), ""))
            return true;
    return false;
}

int ctl_check(const struct ctl_options *options, char **arguments)
{
    _cleanup_strbuf_ struct strbuf path = STRBUF_INIT;
    if (!find_program(&path)) {
        ctl_error("cannot find " PROGRAM ": neither beside holdfastctl, nor in PATH, nor in /usr/sbin");
        return CTL_FAILED;
    }

    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        ctl_error("cannot start %s: %s", path.data, strerror(errno));
        return CTL_FAILED;
    }
    if (pid == 0) {
        const char *file = arguments[0];
        if (file)
            execl(path.data, PROGRAM, "--check", "--config", file, (char *)NULL);
        else
            execl(path.data, PROGRAM, "--check", (char *)NULL);
        fprintf(stderr, "holdfastctl: cannot run %s: %s\n", path.data, strerror(errno));
        _exit(127);
    }

    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) {
            ctl_error("cannot wait for %s: %s", path.data, strerror(errno));
            return CTL_FAILED;
        }
    /* It has said what is wrong with the configuration, if anything is. */
    if (WIFSIGNALED(status))
        ctl_error("%s was ended by signal %d (%s)", path.data, WTERMSIG(status), strsignal(WTERMSIG(status)));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? CTL_OK : CTL_FAILED;
}
