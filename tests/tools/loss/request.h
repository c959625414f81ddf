#pragma once
/* The one request that a run sends, again and again, each time with another id. */

#include <sys/uio.h>

#include "options.h"
#include "util/slice.h"
#include "util/strbuf.h"

#define REQUEST_ID_SIZE 28 /* 16 hexadecimal digits of the run, '-', 11 decimal digits */
#define REQUEST_PARTS 7

struct request_template {
    char run[17];                 /* the run's part of the id, random */
    struct strbuf before_id;      /* request line and fields up to the value of X-Request-ID */
    struct strbuf before_key;     /* from there to within the quotes of Idempotency-Key; empty without it */
    struct strbuf after_id;       /* the rest of the head */
    char *padding;                /* what follows the id in the body */
    size_t body_size, id_in_body; /* all of the body; as much of the id as fits into it */
    bool is_head;
};

void request_template_init(struct request_template *request, const struct options *options);
void request_template_deinit(struct request_template *request);
/* The id of the n-th request; always REQUEST_ID_SIZE characters, and a NUL. */
void request_format_id(const struct request_template *request, uint64_t n, char id[REQUEST_ID_SIZE + 1]);
size_t request_size(const struct request_template *request);
/* What is left to send when `sent` bytes are gone. Returns the number of parts. */
size_t request_parts(const struct request_template *request, const char *id, size_t sent,
                     struct iovec parts[REQUEST_PARTS]);
/* Whether `data` is what the request body has at `offset`. */
bool request_body_matches(const struct request_template *request, const char *id, size_t offset,
                          struct slice data);
