#pragma once
/* Reads HTTP/1 responses from bytes as they come. Strict where leniency would hide a broken server: anything
 * that is not a well-formed, unambiguously framed response is RESPONSE_BAD. */

#include "util/slice.h"
#include "util/strbuf.h"

enum response_progress {
    RESPONSE_MORE,     /* all bytes taken, more are needed */
    RESPONSE_COMPLETE, /* whole; bytes that follow it were not taken */
    RESPONSE_BAD,
};

enum response_phase {
    RESPONSE_HEAD,
    RESPONSE_BODY_LENGTH,
    RESPONSE_BODY_UNTIL_EOF,
    RESPONSE_CHUNK_SIZE,
    RESPONSE_CHUNK_DATA,
    RESPONSE_CHUNK_END,
    RESPONSE_TRAILERS,
    RESPONSE_DONE,
};

struct response {
    enum response_phase phase;
    bool began;   /* a byte of the final response was seen */
    bool is_head; /* answers HEAD: no body */
    bool close;   /* the server announced that it will close */
    int status;
    unsigned interim; /* 1xx responses before it */
    uint64_t remaining;
    struct strbuf partial; /* an incomplete head or line */
    void (*on_body)(void *userdata, struct slice data);
    void *userdata;
};

/* Begins the next response; keeps the callback. */
void response_reset(struct response *response, bool is_head);
void response_deinit(struct response *response);
enum response_progress response_feed(struct response *response, struct slice data, size_t *ret_consumed);
/* Whether the end of the stream, here, completes the response (a body without a length ends so). */
bool response_ends_at_eof(const struct response *response);
