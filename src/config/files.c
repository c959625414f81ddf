/* Drop-ins are those of systemd: all *.conf of all directories, in the order of their names. Of several files
 * with one name, that of the most important directory is read and masks the others; if it is empty or a link
 * to /dev/null, nothing is read under that name. */

#include "config/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

struct dropin {
    char *path;
    const char *name; /* within path */
    size_t rank;      /* of its directory: the least wins */
};

struct dropins {
    struct dropin *items;
    size_t n;
};

static void dropins_deinit(struct dropins *dropins)
{
    for (size_t i = 0; i < dropins->n; i++)
        free(dropins->items[i].path);
    free(dropins->items);
}

static struct config_place place_of(const char *path)
{
    return (struct config_place){path, 0};
}

static bool is_dropin_name(const char *name)
{
    size_t size = strlen(name);
    return name[0] != '.' && size > strlen(".conf") && streq(name + size - strlen(".conf"), ".conf");
}

static void list_directory(const char *directory, size_t rank, struct dropins *dropins,
                           struct config_report *report)
{
    DIR *dir = opendir(directory);
    if (!dir) {
        if (errno != ENOENT)
            config_report_add(report, true, place_of(directory), NULL, NULL, NULL, NULL,
                              "the directory of drop-ins cannot be read: %s", strerror(errno));
        return;
    }
    for (struct dirent *entry; errno = 0, (entry = readdir(dir));) {
        if (!is_dropin_name(entry->d_name))
            continue;
        struct strbuf path = STRBUF_INIT;
        strbuf_addf(&path, "%s/%s", directory, entry->d_name);
        dropins->items = xrealloc(dropins->items, dropins->n + 1, sizeof(*dropins->items));
        struct dropin *dropin = &dropins->items[dropins->n++];
        dropin->path = strbuf_steal(&path);
        dropin->name = dropin->path + strlen(directory) + 1;
        dropin->rank = rank;
    }
    if (errno != 0)
        config_report_add(report, true, place_of(directory), NULL, NULL, NULL, NULL,
                          "the directory of drop-ins cannot be read to its end: %s", strerror(errno));
    closedir(dir);
}

static int compare_dropins(const void *a, const void *b)
{
    const struct dropin *x = a, *y = b;
    int by_name = strcmp(x->name, y->name);
    return by_name ? by_name : (x->rank > y->rank) - (x->rank < y->rank);
}

/* Whether a drop-in is to be read: false for one that masks, and for one that is no file, which is reported.
 */
static bool is_in_effect(const char *path, struct config_report *report)
{
    struct stat st, null;
    struct config_place place = place_of(path);

    if (stat(path, &st) < 0) {
        int saved = errno;
        struct stat link;
        if (saved == ENOENT && lstat(path, &link) == 0 && S_ISLNK(link.st_mode))
            config_report_add(report, true, place, NULL, NULL, NULL, NULL,
                              "a link that leads nowhere; to mask a drop-in, link it to /dev/null");
        else
            config_report_add(report, true, place, NULL, NULL, NULL, NULL, "cannot be read: %s",
                              strerror(saved));
        return false;
    }
    if (S_ISREG(st.st_mode))
        return st.st_size > 0;
    if (S_ISCHR(st.st_mode) && stat("/dev/null", &null) == 0 && st.st_rdev == null.st_rdev)
        return false;
    config_report_add(report, true, place, NULL, NULL, NULL, NULL, "%s, not a file",
                      S_ISDIR(st.st_mode) ? "a directory" : "a special file");
    return false;
}

char **config_files_list(const struct config_source *source, struct config_report *report)
{
    _cleanup_(dropins_deinit)
    struct dropins dropins = {0};

    for (size_t i = 0; source->dropin_directories && source->dropin_directories[i]; i++)
        list_directory(source->dropin_directories[i], i, &dropins, report);
    if (dropins.n > 0)
        qsort(dropins.items, dropins.n, sizeof(*dropins.items), compare_dropins);

    char **files = xcalloc(dropins.n + 2, sizeof(char *));
    size_t n = 0;
    files[n++] = xstrdup(source->file);
    for (size_t i = 0; i < dropins.n; i++) {
        bool is_masked = i > 0 && streq(dropins.items[i].name, dropins.items[i - 1].name);
        if (!is_masked && is_in_effect(dropins.items[i].path, report))
            files[n++] = TAKE_PTR(dropins.items[i].path);
    }
    return files;
}

static bool refuse(const char *path, struct config_report *report, const char *message)
{
    config_report_add(report, true, place_of(path), NULL, NULL, NULL, NULL, "%s", message);
    return false;
}

bool config_file_read(const char *path, char **ret_data, size_t *ret_size, struct config_report *report)
{
    struct stat st;
    /* Without O_NONBLOCK a FIFO in the file's place would hold us for ever. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, &st) < 0) {
        config_report_add(report, true, place_of(path), NULL, NULL, NULL, NULL, "cannot be read: %s",
                          strerror(errno));
        return false;
    }
    if (S_ISDIR(st.st_mode))
        return refuse(path, report, "a directory, not a file");
    if (!S_ISREG(st.st_mode))
        return refuse(path, report, "a special file, not a regular one");
    if (st.st_size > CONFIG_FILE_SIZE_MAX)
        return refuse(path, report, "larger than 64M");

    /* One byte more than its size tells a file that grows from one that was read to its end. */
    size_t capacity = (size_t)st.st_size + 1, size = 0;
    _cleanup_free_ char *data = xcalloc(capacity, 1);
    for (;;) {
        ssize_t n = read(fd, data + size, capacity - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            config_report_add(report, true, place_of(path), NULL, NULL, NULL, NULL, "cannot be read: %s",
                              strerror(errno));
            return false;
        }
        if (n == 0)
            break;
        size += (size_t)n;
        if (size == capacity)
            return refuse(path, report, "changed while it was read");
    }
    *ret_data = TAKE_PTR(data);
    *ret_size = size;
    return true;
}
