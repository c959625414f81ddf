#include "lifecycle/flight.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "util/parse.h"

#define DIRECTORY "generations"
#define MAGIC "HfFlight"
#define VERSION 1
#define WORKERS_MAX 1024

/* The layout of the file; slots follow. A later one has another version. */
struct header {
    char magic[8];
    uint32_t version;
    uint32_t n_workers;
    uint64_t generation;
    uint64_t pid;
    usec_t started_realtime;
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

/* When the machine was started, by its clock of now. (The boot's id is in a part of /proc that services are
 * not shown.) */
static usec_t booted_realtime(void)
{
    struct timespec up;
    clock_gettime(CLOCK_BOOTTIME, &up);
    const usec_t uptime = (usec_t)up.tv_sec * USEC_PER_SEC + (usec_t)up.tv_nsec / 1000;
    return usec_sub(now_realtime(), uptime);
}

static int open_directory(const char *path, bool make)
{
    _cleanup_close_ int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return -errno;
    if (make && mkdirat(parent, DIRECTORY, 0700) < 0 && errno != EEXIST)
        return -errno;
    const int fd = openat(parent, DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
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
    };
    memcpy(header->magic, MAGIC, sizeof(header->magic));
    return 0;
}

/* It gets its name when it is locked: nobody may take it for a dead one's. */
static int create(struct flight *flight, uint64_t generation, unsigned n_workers)
{
    char temporary[40];
    snprintf(temporary, sizeof(temporary), ".new-%d", (int)getpid());
    snprintf(flight->name, sizeof(flight->name), "%" PRIu64, generation);
    unlinkat(flight->directory, temporary, 0);
    flight->fd =
        openat(flight->directory, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (flight->fd < 0)
        return -errno;
    int r = flock(flight->fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    if (r == 0)
        r = fill(flight, generation, n_workers);
    if (r == 0 && renameat(flight->directory, temporary, flight->directory, flight->name) < 0)
        r = -errno;
    if (r < 0) {
        unlinkat(flight->directory, temporary, 0);
        flight->name[0] = '\0';
    }
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
    int r = flight->directory < 0 ? flight->directory : create(flight, generation, n_workers);
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
           ret->n_workers <= WORKERS_MAX && size >= (off_t)size_for(ret->n_workers);
}

static void read_death(int fd, off_t size, struct flight_death *death)
{
    struct header header;
    if (!read_header(fd, size, &header))
        return;
    death->rebooted = header.started_realtime < booted_realtime();
    death->pid = header.pid;
    death->started_realtime = header.started_realtime;
    death->readable = true;
    for (uint32_t i = 0; i < header.n_workers; i++) {
        struct stored_slot slot;
        if (pread(fd, &slot, sizeof(slot), (off_t)size_for(i)) != (ssize_t)sizeof(slot)) {
            death->readable = false;
            return;
        }
        /* More than any process can have is no number. */
        death->requests += MIN(slot.requests, (uint64_t)UINT32_MAX);
        death->connections += MIN(slot.connections, (uint64_t)UINT32_MAX);
    }
}

static void look_at(int directory, const char *name, void (*on_dead)(void *, const struct flight_death *),
                    void *userdata)
{
    struct flight_death death = {0};
    struct stat st;
    if (parse_u64(name, 1, UINT64_MAX - 1, &death.generation) < 0)
        return;
    _cleanup_close_ int fd =
        openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        unlinkat(directory, name, 0); /* not ours, in a place that is ours */
        return;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return; /* it lives */
    struct stat now;
    if (fstatat(directory, name, &now, AT_SYMLINK_NOFOLLOW) < 0 || now.st_ino != st.st_ino)
        return; /* another has found it first */
    read_death(fd, st.st_size, &death);
    unlinkat(directory, name, 0);
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
