/* Any bytes in a file of the state directory. The first byte says in which: the number of the generation,
 * what the operator wants, or what a generation had in flight. None of it stops a start, what is told of it
 * is within its bounds, and what is written in its place can be read. */

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "gateway/wanted.h"
#include "lifecycle/flight.h"
#include "lifecycle/generation.h"
#include "util/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IN_FLIGHT_MAX ((uint64_t)1024 * UINT32_MAX)

static char directory[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void remove_directory(void)
{
    nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* In memory where there is such a place: these files are made to last, which takes its time on a disk. */
static void make_directory(void)
{
    char generations[sizeof(directory) + 16];

    snprintf(directory, sizeof(directory), "%s/fuzz-files-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(directory))
        abort();
    atexit(remove_directory);
    snprintf(generations, sizeof(generations), "%s/generations", directory);
    if (mkdir(generations, 0700) < 0)
        abort();
}

static void put(const char *name, const uint8_t *data, size_t size)
{
    char path[sizeof(directory) + 32];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
}

static void check_generation(const uint8_t *data, size_t size)
{
    uint64_t number = 0, next = 0;

    put("generation", data, size);
    const int r = generation_next(directory, &number);
    assert(number >= 1);
    if (r == 0) {
        _cleanup_free_ char *text = xstrndup((const char *)data, size);
        uint64_t former;
        text[strcspn(text, "\n")] = '\0';
        assert(parse_u64(text, 0, UINT64_MAX - 1, &former) == 0 && number == former + 1);
    } else {
        assert(number == 1); /* it counts as 0 */
    }
    if (number == UINT64_MAX)
        return;
    const int again = generation_next(directory, &next);
    assert(again == 0 && next == number + 1);
}

static void check_wanted(const uint8_t *data, size_t size)
{
    _cleanup_strbuf_ struct strbuf error = STRBUF_INIT;
    json_t *document = NULL, *again = NULL;

    put(WANTED_FILE, data, size);
    if (wanted_read(directory, &document, &error) < 0) {
        assert(error.size > 0 && !document && !strchr(strbuf_string(&error), '\n'));
        return;
    }
    assert(json_is_object(document));
    const int written = wanted_write(directory, document, &error);
    const int read = wanted_read(directory, &again, &error);
    assert(written == 0 && read == 0 && json_equal(document, again));
    json_decref(document);
    json_decref(again);
}

static void on_dead(void *userdata, const struct flight_death *death)
{
    unsigned *deaths = userdata;

    assert(death->generation == 7 && ++*deaths == 1);
    if (death->readable)
        assert(death->requests <= IN_FLIGHT_MAX && death->connections <= IN_FLIGHT_MAX);
    else
        assert(death->requests == 0 && death->connections == 0 && death->pid == 0);
}

static void check_flight(const uint8_t *data, size_t size)
{
    unsigned deaths = 0;

    put("generations/7", data, size);
    flight_find_dead(directory, on_dead, &deaths);
    assert(deaths == 1); /* it is told, whatever is in it, and once */
    flight_find_dead(directory, on_dead, &deaths);
    assert(deaths == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(const uint8_t *data, size_t size) = {check_generation, check_wanted,
                                                                       check_flight};
    if (size == 0)
        return 0;
    if (!directory[0])
        make_directory();
    checks[data[0] % ARRAY_SIZE(checks)](data + 1, size - 1);
    return 0;
}
