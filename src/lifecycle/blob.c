#include "lifecycle/blob.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* There are keys in it. */
static void wipe(char *text, size_t size)
{
    if (text)
        explicit_bzero(text, size);
}

static int write_all(int fd, const char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(fd, data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}

int blob_reserve(int *ret_fd)
{
    const int fd = memfd_create("holdfast-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int blob_fill(int fd, const json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text)
        return -ENOMEM;
    const size_t size = strlen(text);
    const int r = size > BLOB_MAX ? -EFBIG : write_all(fd, text, size);
    wipe(text, size);
    free(text);
    if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -errno;
    return r;
}

int blob_new(const json_t *document, int *ret_fd)
{
    _cleanup_close_ int fd = -1;
    int r = blob_reserve(&fd);
    if (r == 0)
        r = blob_fill(fd, document);
    if (r == 0)
        *ret_fd = TAKE_FD(fd);
    return r;
}

/* By pread(2) rather than a mapping: whoever made the file may make it shorter meanwhile. */
static int read_all(int fd, char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = pread(fd, data + done, size - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EBADMSG;
        done += (size_t)n;
    }
    return 0;
}

int blob_read(int fd, json_t **ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode)) /* a pipe could keep us waiting */
        return -EBADMSG;
    if (st.st_size == 0)
        return -ENODATA;
    if (st.st_size > (off_t)BLOB_MAX)
        return -EFBIG;

    const size_t size = (size_t)st.st_size;
    _cleanup_free_ char *text = malloc(size + 1);
    if (!text)
        return -ENOMEM;
    const int r = read_all(fd, text, size);
    json_t *document = r == 0 ? json_loadb(text, size, 0, NULL) : NULL;
    wipe(text, size);
    if (r < 0)
        return r;
    if (!document)
        return -EBADMSG;
    *ret = document;
    return 0;
}
