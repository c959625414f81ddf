#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "lifecycle/generation.h"
#include "util/parse.h"
#include "util/replace.h"

#define FILE_NAME "generation"
#define TEMPORARY_NAME ".generation.new"

/* Twenty digits and a line feed, and one more to see that there is too much. */
#define CONTENTS_MAX 22

static int read_number(int directory, const char *name, uint64_t *ret)
{
    _cleanup_close_ int fd =
        openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EBADMSG;

    char contents[CONTENTS_MAX + 1];
    ssize_t n;
    do
        n = read(fd, contents, CONTENTS_MAX);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == CONTENTS_MAX)
        return -EBADMSG;
    if (n > 0 && contents[n - 1] == '\n')
        n--;
    contents[n] = '\0';
    /* The highest number has no successor. */
    if (strlen(contents) != (size_t)n || parse_u64(contents, 0, UINT64_MAX - 1, ret) < 0)
        return -EBADMSG;
    return 0;
}

/* A number that was told must not be used twice, whatever happens after this. */
static int write_number(int directory, const char *name, uint64_t number)
{
    char contents[CONTENTS_MAX + 1];
    const int size = snprintf(contents, sizeof(contents), "%" PRIu64 "\n", number);
    return file_replace(directory, name, TEMPORARY_NAME, 0644, contents, (size_t)size);
}

int generation_next(const char *directory, uint64_t *ret)
{
    uint64_t number = 0;
    *ret = 1;
    _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    const int read_result = read_number(fd, FILE_NAME, &number);
    *ret = number + 1;
    const int write_result = write_number(fd, FILE_NAME, *ret);
    if (write_result < 0)
        return write_result;
    return read_result == -ENOENT ? 0 : read_result;
}
