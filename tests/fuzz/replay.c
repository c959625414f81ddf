/* Runs a fuzz target on files, so that a corpus is an ordinary test with any compiler. A directory stands for
 * the files in it. */

#include <dirent.h>

#include "util/macros.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

static int replay_file(const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    _cleanup_free_ uint8_t *data = NULL;
    size_t size = 0;

    if (!file) {
        perror(path);
        return -1;
    }
    for (;;) {
        /* As tight as can be, so that the sanitizer sees a read behind the end. */
        data = xrealloc(data, size + 4096, 1);
        size_t n = fread(data + size, 1, 4096, file);
        size += n;
        if (n == 0)
            break;
    }
    data = xrealloc(data, size, 1);
    replayed++;
    return LLVMFuzzerTestOneInput(data, size);
}

static int replay(const char *path)
{
    DIR *dir = opendir(path);
    int result = 0;

    if (!dir)
        return replay_file(path);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        _cleanup_free_ char *inner = NULL;
        if (asprintf(&inner, "%s/%s", path, entry->d_name) < 0)
            abort();
        if (replay_file(inner) < 0)
            result = -1;
    }
    closedir(dir);
    return result;
}

int main(int argc, char **argv)
{
    int result = 0;

    for (int i = 1; i < argc; i++)
        if (replay(argv[i]) < 0)
            result = -1;
    fprintf(stderr, "%u inputs replayed\n", replayed);
    return result == 0 && replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
