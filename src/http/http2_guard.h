#pragma once
/* Judges what a client sends on an HTTP/2 connection, frame by frame, before h2o sees it. Pure.
 *
 * HTTP/2 lets a client ask for much work by few bytes, or for work of which nothing comes: streams that it
 * resets at once, or makes us reset (CVE-2023-44487, CVE-2025-8671); header blocks that do not end or unfold
 * into megabytes (CVE-2024-27316 and others of its kind); PING, SETTINGS, PRIORITY, empty DATA without end
 * (CVE-2019-9511 to -9518). Each has a budget here, that fills up by time and, where honest clients do the
 * same in proportion to their traffic, by what is accomplished. The numbers are in http2_guard.c.
 *
 * The shell (http2_read.c) calls http2_guard_scan() with the bytes that are there, which begin with a frame,
 * or with the preface at first; tells what came of it by http2_guard_ended_early(); and what was accomplished
 * by http2_guard_earn(). */

#include "http/hpack_walk.h"
#include "metrics/client_fault.h"
#include "util/clock.h"

#define HTTP2_MAX_FRAME_SIZE 16384 /* SETTINGS_MAX_FRAME_SIZE, as announced by default */
#define HTTP2_FRAME_HEAD_SIZE 9

enum http2_frame_type { /* RFC 9113 6 */
                        HTTP2_DATA,
                        HTTP2_HEADERS,
                        HTTP2_PRIORITY,
                        HTTP2_RST_STREAM,
                        HTTP2_SETTINGS,
                        HTTP2_PUSH_PROMISE,
                        HTTP2_PING,
                        HTTP2_GOAWAY,
                        HTTP2_WINDOW_UPDATE,
                        HTTP2_CONTINUATION,
                        _HTTP2_FRAME_TYPE_MAX,
};

enum { /* flags of them */
       HTTP2_END_STREAM = 0x1,
       HTTP2_ACK = 0x1,
       HTTP2_END_HEADERS = 0x4,
       HTTP2_PADDED = 0x8,
       HTTP2_HAS_PRIORITY = 0x20,
};

enum http2_error { /* RFC 9113 7 */
                   HTTP2_NO_ERROR = 0x0,
                   HTTP2_PROTOCOL_ERROR = 0x1,
                   HTTP2_STREAM_CLOSED = 0x5,
                   HTTP2_FRAME_SIZE_ERROR = 0x6,
                   HTTP2_CANCEL = 0x8,
                   HTTP2_COMPRESSION_ERROR = 0x9,
                   HTTP2_ENHANCE_YOUR_CALM = 0xb,
};

/* Why a connection is ended. One row each: symbol, the code in GOAWAY, the fault that is counted, and what is
 * said of it, in GOAWAY and in the journal. */
/* clang-format off */
#define HTTP2_STOPS(X)                                                                                                \
    X(HTTP2_GO_ON,           HTTP2_NO_ERROR,          CLIENT_FAULT_HTTP2_ERROR,  "")                                  \
    X(HTTP2_BAD_PREFACE,     HTTP2_PROTOCOL_ERROR,    CLIENT_FAULT_HTTP2_ERROR,  "it did not begin with the preface") \
    X(HTTP2_NO_SETTINGS,     HTTP2_PROTOCOL_ERROR,    CLIENT_FAULT_HTTP2_ERROR,  "its first frame was not SETTINGS")  \
    X(HTTP2_LARGE_FRAME,     HTTP2_FRAME_SIZE_ERROR,  CLIENT_FAULT_HTTP2_ERROR,  "a frame was larger than 16384")     \
    X(HTTP2_BAD_FRAME,       HTTP2_PROTOCOL_ERROR,    CLIENT_FAULT_HTTP2_ERROR,  "a frame was malformed")             \
    X(HTTP2_TORN_BLOCK,      HTTP2_PROTOCOL_ERROR,    CLIENT_FAULT_HTTP2_ERROR,  "a header block was interrupted")    \
    X(HTTP2_BAD_BLOCK,       HTTP2_COMPRESSION_ERROR, CLIENT_FAULT_HTTP2_ERROR,  "a header block was malformed")      \
    X(HTTP2_LARGE_BLOCK,     HTTP2_ENHANCE_YOUR_CALM, CLIENT_FAULT_HTTP2_HEADERS, "too many bytes")                   \
    X(HTTP2_SCATTERED_BLOCK, HTTP2_ENHANCE_YOUR_CALM, CLIENT_FAULT_HTTP2_HEADERS, "too many CONTINUATION frames")     \
    X(HTTP2_CROWDED_BLOCK,   HTTP2_ENHANCE_YOUR_CALM, CLIENT_FAULT_HTTP2_HEADERS, "too many fields")                  \
    X(HTTP2_FLOODED,         HTTP2_ENHANCE_YOUR_CALM, CLIENT_FAULT_HTTP2_FLOOD,  NULL)                                \
    X(HTTP2_UNSTEADY,        HTTP2_ENHANCE_YOUR_CALM, CLIENT_FAULT_HTTP2_RESETS, NULL)
/* clang-format on */

enum http2_stop {
#define X(symbol, error, fault, text) symbol,
    HTTP2_STOPS(X)
#undef X
        _HTTP2_STOP_MAX,
};

enum http2_error http2_stop_error(enum http2_stop stop);
enum client_fault http2_stop_fault(enum http2_stop stop);
/* What is said beside the fault's own words, or NULL. */
const char *http2_stop_text(enum http2_stop stop);

struct http2_budget {
    uint64_t level; /* in millionths */
    usec_t at;      /* when that was so */
};

/* Of a header block, as it comes over the wire. */
struct http2_limits {
    uint32_t block_size;
    uint32_t block_fields;
};

struct http2_guard {
    struct http2_limits limits;
    bool begun;    /* the preface came */
    bool settled;  /* … and the first SETTINGS */
    bool in_block; /* a header block has begun and not ended */
    uint32_t block_stream;
    uint32_t block_size, block_frames;
    struct hpack_walk block;
    struct http2_budget control; /* frames that accomplish nothing by themselves */
    struct http2_budget early;   /* streams that end before they are answered */
};

enum http2_verdict {
    HTTP2_INCOMPLETE, /* more bytes are needed; nothing was judged, or charged, yet */
    HTTP2_PASS,       /* the next `size` bytes are a frame (or the preface) for h2o */
    HTTP2_SKIP,       /* … a frame of a type that is unknown, and to be ignored (RFC 9113 4.1) */
    HTTP2_STOP,       /* the connection is to be ended, for `stop` */
};

struct http2_frame {
    uint8_t type; /* enum http2_frame_type, or an unknown one */
    uint8_t flags;
    uint32_t stream;
    uint32_t length;     /* of the payload */
    uint32_t content;    /* of DATA, HEADERS and CONTINUATION without what is around it: so many bytes, */
    uint32_t content_at; /* … that begin here, counted from the frame's first */
    uint32_t increment;  /* of WINDOW_UPDATE */
};

struct http2_scan {
    enum http2_verdict verdict;
    size_t size;
    bool is_frame;            /* `frame` is known: from its head on, also while it is incomplete */
    struct http2_frame frame; /* length, content… and increment only when it is complete */
    enum http2_stop stop;
};

/* What follows from the limits of a decoded head: its bytes, of which each field has 32 more than it shows
 * (RFC 9113 6.5.2), and its fields. A block within them is decoded, and the request answered with 431 where
 * the head is too large; beyond them the connection ends, for what is not decoded spoils all that follows. */
struct http2_limits http2_limits(uint64_t head_size, unsigned head_fields);

void http2_guard_init(struct http2_guard *guard, const struct http2_limits *limits, usec_t now);
/* Judges what is next in `data`: at most one frame. To be called again with the same bytes and more while
 * that is incomplete. */
void http2_guard_scan(struct http2_guard *guard, const uint8_t *data, size_t size, usec_t now,
                      struct http2_scan *ret);
/* A stream ended before it was answered, and not for our sake: the client reset it, or made us. Returns
 * HTTP2_GO_ON, or why the connection is to be ended. */
enum http2_stop http2_guard_ended_early(struct http2_guard *guard, usec_t now) _warn_unused_;
/* A frame that passed, or a header block, turned out to be as useless as a control frame with a payload of
 * that size, such as DATA on a stream that is gone. */
enum http2_stop http2_guard_useless(struct http2_guard *guard, uint32_t size, usec_t now) _warn_unused_;
/* Requests that were answered, and payload bytes that went either way, since this was last called. */
void http2_guard_earn(struct http2_guard *guard, uint64_t requests, uint64_t bytes);
