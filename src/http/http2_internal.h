#pragma once
/* What the files of HTTP/2 share about a connection.
 *
 *   http2.c        begins and ends it, drains it
 *   http2_read.c   stands between the socket and h2o: each frame is judged by http2_guard.c before h2o sees
 *                  it, and its consequences are accounted for after
 *   http2_body.c   takes what DATA frames carry, so that h2o sees no body
 *   http2_trailers.c  takes header blocks that begin no request
 *   http2_watch.c  looks once a second for what does not move
 *
 * Whoever wants to know, or to hold back, what arrives does so in http2_read.c: pass() sees every frame
 * whole, in order, and once. */

#include "http/conn.h"
#include "http/h2o_http2.h"
#include "http/http2_guard.h"
#include "http/http2_uploads.h"
#include "http/outflow.h"
#include "util/strbuf.h"

/* h2o's reader of the next frame: returns how many bytes it took, or a negative H2O_HTTP2_ERROR_*. */
typedef ssize_t (*http2_reader)(h2o_http2_conn_t *h2o, const uint8_t *data, size_t size, const char **error);

/* Lives as long as the connection speaks HTTP/2; owned by the struct conn, as its `protocol`. */
struct http2 {
    struct conn *conn;
    h2o_http2_conn_t *h2o; /* owns the socket, and ends with it */
    http2_reader reader;   /* what h2o would have called */
    struct http2_guard guard;
    struct http2_uploads uploads;
    struct {
        struct strbuf block;
        bool is_arriving, ends_stream;
        uint32_t given_up[128]; /* the last streams, in a ring; there may be 100 at once */
        unsigned n_given_up;
    } trailers;               /* http2_trailers.c */
    uint32_t has_two_lengths; /* the last stream whose head has Content-Length twice, 0 when there was none */
    size_t counted;           /* of the DATA frame that is arriving: counted as come already */

    uint64_t opened, ended_early; /* streams, so far */
    uint64_t answered;            /* of them, when that was last counted as earned */
    uint64_t window_given;        /* by the client to the connection, so far */
    uint64_t sent;                /* payload, when that was last counted as earned */

    usec_t head_since;   /* what should come at once is not whole since then: 0 when there is no such thing */
    usec_t active_at;    /* when there was last a request */
    usec_t moved_at;     /* when the socket last took something, or had nothing to take */
    uint64_t moved_mark; /* tells whether it did since */
    bool delivering;     /* it is taking something, if slowly */
    struct outflow outflow;
    struct pace send_pace; /* while something waits for the client to take it */
    uint64_t paced;        /* payload, when the pace was last told */
    unsigned waiting;      /* responses that the client's windows hold back, at the last look */
    usec_t ended_at;       /* when it was told to end, 0 before */
    usec_t looked_at;      /* the last time that h2o still had it */
};

/* Takes over h2o's reading. */
void http2_read_start(struct http2 *http2);
/* Payload bytes that were sent, so far. */
uint64_t http2_sent(const struct http2 *http2);
/* Tells the client that the connection ends, and why (a text that lives), and ends it as soon as that is
 * written: never within this call. Nothing more is read, and no request is begun. */
void http2_end(struct http2 *http2, enum http2_error error, const char *reason);
/* Resets a stream. */
void http2_reset(struct http2 *http2, h2o_http2_stream_t *stream, enum http2_error error);
/* One step towards a graceful end: see http2_drain_step(). */
void http2_drain(struct http2 *http2, usec_t now);
/* There is a connection to watch, which has just begun. */
void http2_watch_start(struct http2 *http2, usec_t now);

static inline struct http2 *http2_of(const h2o_http2_conn_t *h2o)
{
    return conn_of_socket(h2o->sock)->protocol;
}
