#include "util/replace.h"

#include <fcntl.h>

static int write_whole(int fd, const char *data, size_t size)
{
    while (size > 0) {
        const ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        data += n;
        size -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

int file_replace(int directory, const char *name, const char *temporary, mode_t mode, const void *data,
                 size_t size)
{
    /* A crash may have left one behind, whatever it is. */
    unlinkat(directory, temporary, 0);
    _cleanup_close_ int fd =
        openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return -errno;
    int r = write_whole(fd, data, size);
    if (r == 0 && renameat(directory, temporary, directory, name) < 0)
        r = -errno;
    if (r < 0) {
        unlinkat(directory, temporary, 0);
        return r;
    }
    /* Without this the rename may be undone by a power failure. */
    return fsync(directory) < 0 ? -errno : 0;
}
