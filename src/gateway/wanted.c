#include "gateway/wanted.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "util/replace.h"

#define TEMPORARY_FILE "." WANTED_FILE ".new"

/* All of a file that is expected to be small. */
static int read_whole(int directory, struct strbuf *contents)
{
    _cleanup_close_ int fd =
        openat(directory, WANTED_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EBADMSG;
    for (;;) {
        char *room = strbuf_reserve(contents, 64 * 1024);
        const ssize_t n = read(fd, room, 64 * 1024);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        contents->size += (size_t)n;
        contents->data[contents->size] = '\0';
        if (contents->size > WANTED_SIZE_MAX)
            return -EFBIG;
    }
}

/* A word for each way in which a file is not one of ours. */
static const char *reason_of(int r)
{
    switch (r) {
    case -EBADMSG:
    case -ELOOP:
    case -ENXIO:
        return "not a regular file";
    case -EFBIG:
        return "larger than 4 MB";
    default:
        return strerrordesc_np(-r);
    }
}

int wanted_read(const char *directory, json_t **ret, struct strbuf *error)
{
    _cleanup_strbuf_ struct strbuf contents = STRBUF_INIT;
    _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -errno : read_whole(fd, &contents);
    if (r == -ENOENT) {
        *ret = json_object();
        return 0;
    }
    if (r < 0) {
        strbuf_addf(error, "%s/" WANTED_FILE " cannot be read: %s", directory, reason_of(r));
        return r;
    }
    json_error_t problem;
    json_t *document = json_loadb(strbuf_string(&contents), contents.size, JSON_REJECT_DUPLICATES, &problem);
    if (json_is_object(document)) {
        *ret = document;
        return 0;
    }
    if (document)
        strbuf_addf(error, "%s/" WANTED_FILE " is no JSON object", directory);
    else
        strbuf_addf(error, "%s/" WANTED_FILE " is no JSON: line %d, column %d", directory, problem.line,
                    problem.column);
    json_decref(document);
    return -EBADMSG;
}

static int append(const char *data, size_t size, void *contents)
{
    strbuf_add(contents, data, size);
    return 0;
}

int wanted_write(const char *directory, const json_t *document, struct strbuf *error)
{
    _cleanup_strbuf_ struct strbuf contents = STRBUF_INIT;
    if (json_dump_callback(document, append, &contents, JSON_INDENT(2) | JSON_SORT_KEYS) < 0)
        abort(); /* out of memory, or an object of ours that is none */
    strbuf_add_char(&contents, '\n');

    _cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? -errno : 0;
    if (r == 0 && contents.size > WANTED_SIZE_MAX)
        r = -EFBIG; /* nobody would read it */
    if (r == 0)
        r = file_replace(fd, WANTED_FILE, TEMPORARY_FILE, 0640, contents.data, contents.size);
    if (r < 0)
        strbuf_addf(error, "%s/" WANTED_FILE " cannot be written: %s", directory, reason_of(r));
    return r;
}

/* --- watching ---------------------------------------------------------------------------------------------
 */

struct wanted_watch {
    int fd; /* inotify, of the directory: the file itself is another one each time */
    struct loop_fd *loop_fd;
    void (*changed)(void *userdata);
    void *userdata;
};

/* Takes all that has happened; whether something of it may be a change. Too much of it is one. */
static bool take_events(int fd)
{
    union {
        struct inotify_event event;
        char bytes[4096];
    } buffer;
    bool changed = false;
    ssize_t n;
    while ((n = read(fd, &buffer, sizeof(buffer))) > 0) {
        for (size_t at = 0; at < (size_t)n;) {
            const struct inotify_event *event = (const void *)(buffer.bytes + at);
            changed = changed || (event->mask & IN_Q_OVERFLOW) ||
                      (event->len > 0 && streq(event->name, WANTED_FILE));
            at += sizeof(*event) + event->len;
        }
    }
    return changed;
}

static void on_event(void *userdata)
{
    struct wanted_watch *watch = userdata;
    if (take_events(watch->fd))
        watch->changed(watch->userdata);
}

int wanted_watch(struct wanted_watch **ret, struct loop *loop, const char *directory,
                 void (*changed)(void *userdata), void *userdata)
{
    _cleanup_close_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0 || inotify_add_watch(fd, directory, IN_MOVED_TO | IN_ONLYDIR) < 0)
        return -errno;
    struct wanted_watch *watch = xcalloc(1, sizeof(*watch));
    watch->changed = changed;
    watch->userdata = userdata;
    watch->loop_fd = loop_fd_new(loop, fd, on_event, watch);
    watch->fd = TAKE_FD(fd);
    *ret = watch;
    return 0;
}

struct wanted_watch *wanted_unwatch(struct wanted_watch *watch)
{
    if (!watch)
        return NULL;
    loop_fd_free(watch->loop_fd);
    close(watch->fd);
    free(watch);
    return NULL;
}
