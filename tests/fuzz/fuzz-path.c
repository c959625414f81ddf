/* Any bytes as a path: what is normalised stays so, has no dot segment left, and is no longer than it was;
 * what is decoded and names a file names nothing outside of its folder. */

#include "http/file_open.h"
#include "router/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segments(struct slice path)
{
    assert(path.size > 0 && path.data[0] == '/');
    for (struct slice rest = slice_skip(path, 1);;) {
        const char *slash = rest.size ? memchr(rest.data, '/', rest.size) : NULL;
        struct slice segment = slice_make(rest.data, slash ? (size_t)(slash - rest.data) : rest.size);
        assert(!slice_eq(segment, SLICE_LITERAL(".")) && !slice_eq(segment, SLICE_LITERAL("..")));
        if (!slash)
            break;
        rest = slice_skip(rest, segment.size + 1);
    }
    for (size_t i = 0; i < path.size; i++)
        assert(path.data[i] > ' ' && path.data[i] < 0x7f && path.data[i] != '#' && path.data[i] != '?');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Blocks of just the size that the contract asks for. */
    _cleanup_free_ char *out = xcalloc(size, 1), *again = xcalloc(size, 1), *file = xcalloc(size + 1, 1);
    struct slice path = slice_make((const char *)data, size);
    size_t out_size, again_size;

    switch (path_normalize(path, out, &out_size)) {
    case PATH_INVALID:
        return 0;
    case PATH_NORMALIZED:
        assert(out_size <= size);
        path = slice_make(out, out_size);
        break;
    case PATH_AS_IS:
        break;
    }
    check_segments(path);
    enum path_result result = path_normalize(path, again, &again_size);
    assert(result == PATH_AS_IS ||
           (result == PATH_NORMALIZED && slice_eq(path, slice_make(again, again_size))));

    if (file_path_decode(path, file)) {
        assert(file[0] != '/');
        for (const char *s = file; s; s = strchr(s, '/') ? strchr(s, '/') + 1 : NULL)
            assert(strncmp(s, "..", 2) != 0 && *s != '/');
    }
    return 0;
}
