#pragma once
/* Sends parts of a file as a response body, as fast as the client takes them and no faster. */

#include "http/conditional.h"
#include "http/h2o.h"

struct file_part {
    struct slice head; /* sent before it, may be empty; must live as long as the request */
    struct byte_range range;
};

#define FILE_BODY_MAX_PARTS CONDITIONAL_MAX_RANGES

/* Starts the response, whose status and fields are set already, and sends the parts and after them `tail`.
 * Consumes fd, whatever happens. Returns a negative errno, and has sent nothing, when the beginning cannot be
 * read: -ENODATA when the file has become shorter. When that happens later, the response is broken off, so
 * that the client notices. */
int file_body_send(h2o_req_t *req, int fd, const struct file_part *parts, size_t n_parts, struct slice tail)
    _warn_unused_;
