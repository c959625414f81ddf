#pragma once
/* Media types by file name. */

#include "util/slice.h"

struct mime_type {
    const char *name;     /* the Content-Type, with charset=utf-8 for text */
    bool is_compressible; /* worth a .br or .gz beside it */
};

/* By the last extension, in any case; application/octet-stream for an unknown one or none. */
struct mime_type mime_type_of(struct slice file_name);
