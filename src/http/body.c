#include "http/body.h"

#include <fcntl.h>

/* What is asked for first, where the size is not known or is larger. */
#define FIRST_CAPACITY ((uint64_t)16384)

void body_init(struct body *body, struct body_store *store, uint64_t expected)
{
    *body = (struct body){.store = store, .expected = expected, .fd = -1};
}

void body_deinit(struct body *body)
{
    if (body->store) {
        if (body_is_on_disk(body))
            body_budget_move(&body->store->budget, -(int64_t)body->charged);
        body_budget_give(&body->store->budget, body->charged);
    }
    free(body->memory);
    close_and_forget(&body->fd);
    body_init(body, body->store, 0);
}

static bool charge(struct body *body, uint64_t size)
{
    if (body->store && !body_budget_take(&body->store->budget, size))
        return false;
    body->charged += size;
    return true;
}

/* ---- in memory -------------------------------------------------------------------------------------- */

static uint64_t memory_max(const struct body *body)
{
    return body->store ? body->store->memory_max : UINT64_MAX;
}

/* Doubles, so that the cost of moving stays in proportion; and no more than there can come. */
static uint64_t next_capacity(const struct body *body, uint64_t wanted)
{
    uint64_t capacity = MAX((uint64_t)body->capacity * 2, FIRST_CAPACITY);
    if (body->expected)
        capacity = MIN(capacity, body->expected);
    capacity = MIN(capacity, memory_max(body));
    return MAX(capacity, wanted);
}

static int add_to_memory(struct body *body, const void *data, size_t size)
{
    const uint64_t wanted = body->size + size;
    if (wanted > body->capacity) {
        const uint64_t capacity = next_capacity(body, wanted);
        if (!charge(body, capacity - body->capacity))
            return BODY_NO_ROOM;
        char *memory = realloc(body->memory, capacity);
        if (!memory)
            return -ENOMEM;
        body->memory = memory;
        body->capacity = capacity;
    }
    memcpy(body->memory + body->size, data, size);
    body->size += size;
    return 0;
}

/* ---- in a file -------------------------------------------------------------------------------------- */

/* For file systems that make no files without a name. A crash between the two calls leaves an empty file. */
static int open_and_unlink(const char *folder)
{
    _cleanup_free_ char *path = NULL;
    if (asprintf(&path, "%s/holdfast-body-XXXXXX", folder) < 0)
        abort();
    const int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (unlink(path) < 0) {
        const int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static int open_unnamed(const char *folder)
{
    const int fd = open(folder, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    return errno == EOPNOTSUPP || errno == EISDIR ? open_and_unlink(folder) : -errno;
}

static int write_whole(int fd, const char *data, size_t size, uint64_t offset)
{
    while (size > 0) {
        const ssize_t n = pwrite(fd, data, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        data += n;
        size -= (size_t)n;
        offset += (size_t)n;
    }
    return 0;
}

/* From here on it is in a file, with what there is of it. */
static int spill(struct body *body)
{
    const int fd = open_unnamed(body->store->folder);
    if (fd < 0)
        return fd;
    const int r = write_whole(fd, body->memory, body->size, 0);
    if (r < 0) {
        close(fd);
        return r;
    }
    body->fd = fd;
    free(TAKE_PTR(body->memory));
    body->capacity = 0;
    body_budget_give(&body->store->budget, body->charged - body->size);
    body->charged = body->size;
    body_budget_move(&body->store->budget, (int64_t)body->size);
    return 0;
}

static int add_to_file(struct body *body, const void *data, size_t size)
{
    if (!charge(body, size))
        return BODY_NO_ROOM;
    body_budget_move(&body->store->budget, (int64_t)size);
    const int r = write_whole(body->fd, data, size, body->size);
    if (r < 0)
        return r;
    body->size += size;
    return 0;
}

int body_add(struct body *body, const void *data, size_t size)
{
    if (size == 0)
        return 0;
    if (!body_is_on_disk(body) && MAX(body->size + size, body->expected) > memory_max(body)) {
        const int r = spill(body);
        if (r < 0)
            return r;
    }
    return body_is_on_disk(body) ? add_to_file(body, data, size) : add_to_memory(body, data, size);
}
