#include "lifecycle/flight.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>

#include "util/parse.h"

#define DIRECTORY "generations"
#define TEMPORARY_NAME ".new"
#define MAGIC "HfFlight"
#define VERSION 1
#define WORKERS_MAX 1024
/* More than any worker can have: descriptors and streams run out before. */
#define COUNT_MAX UINT32_MAX

/* The layout of the file; slots follow. A later one has another version. */
struct header {
    char magic[8];
    uint32_t version;
    uint32_t n_workers;
    uint64_t generation;
    uint64_t pid;
    usec_t started_realtime;
    sd_id128_t boot; /* null: not known */
};

/* What is in the file has this size in every build. */
struct stored_slot {
    _Alignas(64) uint64_t requests;
    uint64_t connections;
};
static_assert(sizeof(struct flight_slot) == sizeof(struct stored_slot), "the file's layout");
static_assert(sizeof(struct header) <= 2 * sizeof(struct stored_slot), "the file's layout");

#define SLOTS_OFFSET (2 * sizeof(struct stored_slot))

struct flight {
    int directory, fd;
    char name[24];
    void *memory;
    size_t size;
};

static size_t size_for(size_t n_workers)
{
    return SLOTS_OFFSET + n_workers * sizeof(struct stored_slot);
}

/* Services are not shown the part of /proc that it is in: the unit file names it. Null when nobody says. */
static sd_id128_t boot_id(void)
{
    const char *named = getenv("HOLDFAST_BOOT_ID");
    sd_id128_t id;
    if (named && sd_id128_from_string(named, &id) == 0)
        return id;
    return sd_id128_get_boot(&id) == 0 ? id : SD_ID128_NULL;
}

static int open_directory(const char *path, bool make)
{
    _cleanup_close_ int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return -errno;
    if (make && mkdirat(parent, DIRECTORY, 0700) < 0 && errno != EEXIST)
        return -errno;
    const int fd = openat(parent, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    /* cppcheck-suppress resourceLeak ; it is the result */
    return fd >= 0 ? fd : -errno;
}

static int fill(struct flight *flight, uint64_t generation, unsigned n_workers)
{
    /* All blocks now: a full disk must not show as a fault later. */
    const int r = posix_fallocate(flight->fd, 0, (off_t)flight->size);
    if (r != 0)
        return -r;
    flight->memory = mmap(NULL, flight->size, PROT_READ | PROT_WRITE, MAP_SHARED, flight->fd, 0);
    if (flight->memory == MAP_FAILED) {
        flight->memory = NULL;
        return -errno;
    }
    struct header *header = flight->memory;
    *header = (struct header){
        .version = VERSION,
        .n_workers = n_workers,
        .generation = generation,
        .pid = (uint64_t)getpid(),
        .started_realtime = now_realtime(),
        .boot = boot_id(),
    };
    memcpy(header->magic, MAGIC, sizeof(header->magic));
    return 0;
}

static int lock_and_fill(struct flight *flight, uint64_t generation, unsigned n_workers)
{
    flight->fd =
        openat(flight->directory, TEMPORARY_NAME, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (flight->fd < 0)
        return -errno;
    if (flock(flight->fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    return fill(flight, generation, n_workers);
}

/* It gets its name when it is locked and filled: nobody may take it for a dead one's. */
static int create(struct flight *flight, uint64_t generation, unsigned n_workers)
{
    char name[sizeof(flight->name)];
    snprintf(name, sizeof(name), "%" PRIu64, generation);
    unlinkat(flight->directory, TEMPORARY_NAME, 0); /* a crash may have left one behind, whatever it is */
    int r = lock_and_fill(flight, generation, n_workers);
    /* Not rename(): what has the name may be a living generation's. */
    if (r == 0 && linkat(flight->directory, TEMPORARY_NAME, flight->directory, name, 0) < 0)
        r = -errno;
    unlinkat(flight->directory, TEMPORARY_NAME, 0);
    if (r == 0)
        memcpy(flight->name, name, sizeof(name));
    return r;
}

int flight_new(struct flight **ret, const char *directory, uint64_t generation, unsigned n_workers)
{
    if (n_workers > WORKERS_MAX)
        return -EINVAL;
    struct flight *flight = xcalloc(1, sizeof(*flight));
    flight->fd = -1;
    flight->size = size_for(n_workers);
    flight->directory = open_directory(directory, true);
    const int r = flight->directory < 0 ? flight->directory : create(flight, generation, n_workers);
    if (r < 0) {
        flight_free(flight);
        return r;
    }
    *ret = flight;
    return 0;
}

void flight_end(struct flight *flight)
{
    if (flight && flight->name[0])
        unlinkat(flight->directory, flight->name, 0);
}

struct flight *flight_free(struct flight *flight)
{
    if (!flight)
        return NULL;
    flight_end(flight);
    if (flight->memory)
        munmap(flight->memory, flight->size);
    close_and_forget(&flight->fd);
    if (flight->directory >= 0)
        close(flight->directory);
    free(flight);
    return NULL;
}

struct flight_slot *flight_slot(struct flight *flight, unsigned worker)
{
    if (!flight)
        return NULL;
    void *slots = (char *)flight->memory + SLOTS_OFFSET;
    return (struct flight_slot *)slots + worker;
}

/* --- of others --------------------------------------------------------------------------------------------
 */

static bool read_header(int fd, off_t size, struct header *ret)
{
    return pread(fd, ret, sizeof(*ret), 0) == (ssize_t)sizeof(*ret) &&
           memcmp(ret->magic, MAGIC, sizeof(ret->magic)) == 0 && ret->version == VERSION &&
           ret->n_workers <= WORKERS_MAX && size == (off_t)size_for(ret->n_workers);
}

static bool read_slots(int fd, uint32_t n_workers, struct flight_death *death)
{
    for (uint32_t i = 0; i < n_workers; i++) {
        struct stored_slot slot;
        if (pread(fd, &slot, sizeof(slot), (off_t)size_for(i)) != (ssize_t)sizeof(slot) ||
            slot.requests > COUNT_MAX || slot.connections > COUNT_MAX)
            return false;
        death->requests += slot.requests;
        death->connections += slot.connections;
    }
    return true;
}

static bool was_rebooted(sd_id128_t then)
{
    const sd_id128_t now = boot_id();
    return !sd_id128_is_null(then) && !sd_id128_is_null(now) && !sd_id128_equal(then, now);
}

static struct flight_death read_death(int fd, off_t size, uint64_t generation)
{
    const struct flight_death damaged = {.generation = generation};
    struct header header;
    if (!read_header(fd, size, &header) || header.generation != generation)
        return damaged;
    struct flight_death death = {
        .generation = generation,
        .readable = true,
        .rebooted = was_rebooted(header.boot),
        .pid = header.pid,
        .started_realtime = header.started_realtime,
    };
    return read_slots(fd, header.n_workers, &death) ? death : damaged;
}

static void look_at(int directory, const char *name, void (*on_dead)(void *, const struct flight_death *),
                    void *userdata)
{
    uint64_t generation;
    struct stat st, opened;
    if (parse_u64(name, 1, UINT64_MAX, &generation) < 0 ||
        fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (!S_ISREG(st.st_mode)) {
        unlinkat(directory, name, 0); /* not ours, in a place that is ours */
        return;
    }
    _cleanup_close_ int fd =
        openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    /* When it cannot be opened, or not be locked, it may be a living one's. */
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return;
    /* Another may have been quicker between the look and the lock. */
    if (fstat(fd, &opened) < 0 || fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        st.st_ino != opened.st_ino || !S_ISREG(opened.st_mode))
        return;
    const struct flight_death death = read_death(fd, opened.st_size, generation);
    if (unlinkat(directory, name, 0) == 0)
        on_dead(userdata, &death);
}

void flight_find_dead(const char *directory,
                      void (*on_dead)(void *userdata, const struct flight_death *death), void *userdata)
{
    const int fd = open_directory(directory, false);
    if (fd < 0)
        return;
    DIR *entries = fdopendir(fd);
    if (!entries) {
        close(fd);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL)
        look_at(fd, entry->d_name, on_dead, userdata);
    closedir(entries);
}
