#pragma once
/* What a request path means, decided once: the form that is routed is the form that is forwarded. */

#include "util/macros.h"
#include "util/slice.h"

enum path_result {
    PATH_AS_IS,      /* nothing to change: `out` was not written */
    PATH_NORMALIZED, /* `out` holds the normalised path */
    PATH_INVALID, /* not a path: no leading '/', a bad % escape, %00, a control byte or blank, a byte beyond
                     ASCII (a client must escape it), '#', '?', climbs above the root */
};

/* Normalises a raw path without query: dot segments (also written %2e) are resolved, % escapes of unreserved
 * characters decoded (RFC 3986 6.2.2), other escapes kept but for the case of their digits, so that %2F never
 * becomes a separator; empty segments are kept. `out` must hold raw.size bytes. Normalising twice changes
 * nothing more. */
enum path_result path_normalize(struct slice raw, char *out, size_t *ret_size);

/* Decodes every % escape, for looking up a file: false for %00, %2F and bad escapes. `out` holds path.size
 * bytes. */
bool path_decode(struct slice path, char *out, size_t *ret_size);
