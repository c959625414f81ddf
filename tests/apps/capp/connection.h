#pragma once
/* One connection, the request it has, and what an endpoint can do to answer it. */

#include <openssl/evp.h>

#include "app.h"

enum connection_phase {
    PHASE_HEAD,   /* waiting for a request */
    PHASE_BODY,   /* the request body is coming */
    PHASE_ANSWER, /* an endpoint has the request */
    PHASE_TUNNEL, /* upgraded: bytes go to on_tunnel */
};

struct connection {
    struct app *app;
    struct list link;
    int fd;
    uint32_t interest;
    enum connection_phase phase;
    struct strbuf in, out;
    size_t out_sent;
    uint64_t served;
    bool close_after; /* once `out` is written */
    bool dead;        /* freed at the end of the loop's turn */
    struct timer timer;

    /* The request: slices into `head`, which outlives the answer. */
    struct strbuf head;
    struct slice method, path, query;
    struct strbuf body; /* kept for /echo only */
    EVP_MD_CTX *digest; /* of the body, for /sink only */
    uint64_t body_size; /* received so far */
    uint64_t body_left; /* with Content-Length, or of the chunk */
    bool body_chunked;
    bool keep_alive;
    bool http10;
    bool is_head;
    bool counted; /* in app->in_flight */

    /* What an endpoint keeps between its calls. */
    void (*resume)(struct connection *c); /* when the timer is due, or the output was written */
    bool resume_when_written;
    uint64_t step, steps, size, pause;       /* pause in microseconds */
    void (*on_tunnel)(struct connection *c); /* new bytes are in `in` */
};

void connection_new(struct app *app, int fd);
/* Takes it out of everything and frees it. */
void connection_free(struct connection *c);
void connection_on_events(struct connection *c, uint32_t events);
void connection_on_timer(struct connection *c);
/* The app shuts down: closes it if it is idle, else after its answer. */
void connection_drain(struct connection *c);

/* --- for endpoints --- */

/* The value of a request field, trimmed; data NULL when there is none. */
struct slice request_field(const struct connection *c, const char *name);
/* A number from the query, `fallback` when it is not given. */
uint64_t query_number(const struct connection *c, const char *name, uint64_t fallback);

/* Status line, the fields every answer has, and `fields` (each with its CRLF). Without the empty line. */
void answer_head(struct connection *c, int status, const char *content_type, const char *fields);
/* A whole answer. */
void answer(struct connection *c, int status, const char *content_type, struct slice body);
void answer_text(struct connection *c, int status, const char *text);
/* An answer in chunks: its head, then chunks, then the end with optional trailers (each with its CRLF). */
void answer_chunked(struct connection *c, int status, const char *content_type, const char *fields);
void answer_chunk(struct connection *c, struct slice data);
void answer_chunked_end(struct connection *c, const char *trailers);
/* The answer is all in `out`. */
void answer_end(struct connection *c);
/* Calls `resume` after `pause`, or when `out` was written to the kernel. */
void answer_later(struct connection *c, usec_t pause, void (*resume)(struct connection *c));
void answer_when_written(struct connection *c, void (*resume)(struct connection *c));
/* Ends the connection now; what is in `out` is tried to be written first. */
void answer_abort(struct connection *c, bool reset);
void answer_upgrade(struct connection *c, void (*on_tunnel)(struct connection *c));
