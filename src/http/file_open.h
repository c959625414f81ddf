#pragma once
/* Opening files beneath a folder, whatever the request says: the path is checked here, and the kernel holds
 * it to the folder (openat2(2), or where a sandbox has none, by where it says that the opened file is). */

#include <sys/stat.h>

#include "config/config.h"
#include "util/slice.h"

enum file_open_result {
    FILE_OPENED,
    FILE_MISSING,   /* or not for the public: a hidden name, a link that is not followed, neither file nor
                       folder */
    FILE_FORBIDDEN, /* by its permissions */
    FILE_BUSY,      /* descriptors or memory ran out */
};

/* The file's path relative to the root, from a normalised request path: decoded, without the leading '/', ""
 * for the root itself. False when no file can be meant: empty or hidden segments (names that begin with a
 * dot, but .well-known), escapes of '/' and NUL. `out` must hold path.size + 1 bytes; the result is
 * NUL-terminated. */
bool file_path_decode(struct slice path, char *out);

/* Opens the root. It is opened anew for each request, so that a root that is a symbolic link can be switched
 * to another folder while we run. The caller closes *ret_fd. Returns a result or a negative errno. */
int file_open_root(const char *root, int *ret_fd) _warn_unused_;

/* Opens a regular file or folder beneath the root for reading; never waits for one (a FIFO, say). The caller
 * closes *ret_fd. Returns a result or a negative errno. */
int file_open_beneath(int root, const char *path, enum symlinks symlinks, int *ret_fd, struct stat *ret_stat)
    _warn_unused_;
