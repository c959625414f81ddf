#pragma once
/* Files that are whole at any moment, whatever crashes. */

#include <sys/types.h>

#include "util/macros.h"

/* Puts `size` bytes in the place of the file `name` in the folder that `directory` is open on, by way of the
 * file `temporary` there: after a crash or a power failure there is the former or this one, and after 0 it is
 * this one. Otherwise a negative errno. */
int file_replace(int directory, const char *name, const char *temporary, mode_t mode, const void *data,
                 size_t size) _warn_unused_;
