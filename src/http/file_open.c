#include "http/file_open.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "router/path.h"

/* A rename that crosses the walk makes the kernel unsure whether it stayed beneath; then it says so. */
enum { OPEN_TRIES = 8 };

static bool segment_is_public(struct slice segment)
{
    return segment.size > 0 && (segment.data[0] != '.' || slice_eq(segment, SLICE_LITERAL(".well-known")));
}

bool file_path_decode(struct slice path, char *out)
{
    size_t size;
    if (path.size > 0 && path.data[0] == '/')
        path = slice_skip(path, 1);
    if (!path_decode(path, out, &size))
        return false;
    out[size] = '\0';

    /* Nothing may follow the last '/'; before it each segment must be there. */
    for (struct slice rest = {out, size}; rest.size > 0;) {
        const char *slash = memchr(rest.data, '/', rest.size);
        struct slice segment = slice_make(rest.data, slash ? (size_t)(slash - rest.data) : rest.size);
        if (!segment_is_public(segment))
            return false;
        rest = slice_skip(rest, MIN(segment.size + 1, rest.size));
    }
    return true;
}

static int result_of_errno(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP: /* a link where none is followed, or too many */
    case EXDEV: /* a link that leads out of the root */
    case ENAMETOOLONG:
    case ENXIO: /* a socket, or a device that is not there */
    case ENODEV:
        return FILE_MISSING;
    case EACCES:
    case EPERM:
        return FILE_FORBIDDEN;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN: /* renames went on and on */
        return FILE_BUSY;
    default:
        return -error;
    }
}

int file_open_root(const char *root, int *ret_fd)
{
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return result_of_errno(errno);
    *ret_fd = fd;
    return FILE_OPENED;
}

/* Where the kernel says that an open file is. */
static int place_of(int fd, char *to, size_t size)
{
    char link[32];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, to, size);
    if (n < 0)
        return -1;
    if ((size_t)n == size) {
        errno = ENAMETOOLONG;
        return -1;
    }
    to[n] = '\0';
    return 0;
}

/* Whether `place` is `root` or beneath it, and when no link was to be followed, just where `path` says. */
static bool place_is_allowed(const char *place, const char *root, const char *path, enum symlinks symlinks)
{
    size_t size = streq(root, "/") ? 0 : strlen(root);
    if (strncmp(place, root, size) != 0 || (place[size] != '/' && place[size] != '\0'))
        return false;
    if (symlinks == SYMLINKS_BENEATH)
        return true;
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/')
        n--;
    const char *rest = place[size] == '/' ? place + size + 1 : place + size;
    return streq(path, ".") ? *rest == '\0' : strlen(rest) == n && memcmp(rest, path, n) == 0;
}

/* For where openat2() is not to be had: RestrictSUIDSGID= makes it ENOSYS, since a filter cannot see its
 * modes. The file is taken without being opened (O_PATH), the kernel is asked where it is, and only what is
 * in its place is opened, by that very descriptor: nothing can be exchanged between the look and the opening.
 */
static int open_by_place(int root, const char *path, int flags, enum symlinks symlinks)
{
    char root_place[PATH_MAX], place[PATH_MAX], link[32];
    _cleanup_close_ int fd = openat(root, path, O_PATH | O_CLOEXEC);

    if (fd < 0 || place_of(root, root_place, sizeof(root_place)) < 0 ||
        place_of(fd, place, sizeof(place)) < 0)
        return -1;
    if (!place_is_allowed(place, root_place, path, symlinks)) {
        errno = EXDEV;
        return -1;
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return open(link, flags);
}

static int open_with_policy(int root, const char *path, enum symlinks symlinks)
{
    static atomic_bool lacks_openat2;
    const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    if (symlinks == SYMLINKS_FOLLOW)
        return openat(root, path, flags); /* file_path_decode() let no ".." and no absolute path through */

    struct open_how how = {
        .flags = (uint64_t)flags,
        .resolve =
            RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (symlinks == SYMLINKS_NEVER ? RESOLVE_NO_SYMLINKS : 0),
    };
    long fd = -1;
    int tries = OPEN_TRIES;
    if (atomic_load_explicit(&lacks_openat2, memory_order_relaxed))
        return open_by_place(root, path, flags, symlinks);
    do
        fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
    while (fd < 0 && errno == EAGAIN && --tries > 0);
    if (fd < 0 && errno == ENOSYS) {
        atomic_store_explicit(&lacks_openat2, true, memory_order_relaxed);
        return open_by_place(root, path, flags, symlinks);
    }
    if (fd < 0 && errno == EXDEV && symlinks == SYMLINKS_BENEATH)
        return open_by_place(root, path, flags, symlinks); /* an absolute link may lead back inside */
    return (int)fd;
}

int file_open_beneath(int root, const char *path, enum symlinks symlinks, int *ret_fd, struct stat *ret_stat)
{
    _cleanup_close_ int fd = open_with_policy(root, *path ? path : ".", symlinks);
    struct stat st;
    if (fd < 0)
        return result_of_errno(errno);
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return FILE_MISSING;
    *ret_stat = st;
    *ret_fd = TAKE_FD(fd);
    return FILE_OPENED;
}
