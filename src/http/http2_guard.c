#include "http/http2_guard.h"

/* The numbers. Honest clients stay far below them, also where they are odd; an attacker gets what he would
 * get by ordinary requests, at most.
 *
 * Control frames: what a client may send that accomplishes nothing by itself. HTTP/2 libraries send a handful
 * at first (Firefox: six PRIORITY), PINGs each few seconds, and WINDOW_UPDATEs in proportion to what they
 * receive: at the worst two for each DATA frame. So the budget refills slowly by time, and by traffic. A
 * stream of small events, each answered by two WINDOW_UPDATEs, may have 100 of them a second. */
#define CONTROL_BURST 1000
#define CONTROL_PER_SEC 200
#define CONTROL_PER_REQUEST 8
#define CONTROL_BYTES_EACH 256
/* A control frame is counted once for each so many bytes of its payload: SETTINGS are as expensive as they
 * are long. */
#define CONTROL_PAYLOAD_EACH 256
/* Streams that end early. Who closes a page may reset all 100 streams at once, and one that cancels what he
 * typed has a few in a second; beyond the burst, two a second, and one for each request that is answered, so
 * that at most half of the work can be in vain. */
#define EARLY_BURST 200
#define EARLY_PER_SEC 2
/* A header block, by the limits of a decoded head. What such a head may have always fits into a block of its
 * size: a literal costs at most 16 bytes more than its text, a decoded field counts for 32 more. The double,
 * and four times the fields, leaves room to answer with 431; a field that is one byte of the block costs
 * about 100 in memory. More than H2O_MAX_REQLEN, about this, h2o does not decode. */
#define BLOCK_SIZE_FACTOR 2
#define BLOCK_FIELDS_FACTOR 4
#define BLOCK_MAX_SIZE 400000
/* How many frames may carry a block, beside those that its size needs. There are clients that cut small. */
#define BLOCK_SPARE_FRAMES 12

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_SIZE (sizeof(preface) - 1)

enum http2_error http2_stop_error(enum http2_stop stop)
{
    static const enum http2_error errors[_HTTP2_STOP_MAX] = {
#define X(symbol, error, fault, text) [symbol] = (error),
        HTTP2_STOPS(X)
#undef X
    };
    return errors[stop];
}

enum client_fault http2_stop_fault(enum http2_stop stop)
{
    static const enum client_fault faults[_HTTP2_STOP_MAX] = {
#define X(symbol, error, fault, text) [symbol] = (fault),
        HTTP2_STOPS(X)
#undef X
    };
    return faults[stop];
}

const char *http2_stop_text(enum http2_stop stop)
{
    static const char *const texts[_HTTP2_STOP_MAX] = {
#define X(symbol, error, fault, text) [symbol] = (text),
        HTTP2_STOPS(X)
#undef X
    };
    return texts[stop];
}

/* ---- budgets
 * -------------------------------------------------------------------------------------------------- */

#define MILLION UINT64_C(1000000)

/* Adds millionths. */
static void earn(struct http2_budget *budget, uint64_t millionths, uint64_t burst)
{
    const uint64_t most = burst * MILLION;
    budget->level = millionths < most - budget->level ? budget->level + millionths : most;
}

/* Takes n from a budget; false when there is not as much. */
static bool spend(struct http2_budget *budget, uint64_t n, uint64_t burst, uint64_t per_second, usec_t now)
{
    /* A microsecond brings as many millionths as a second brings ones. */
    const usec_t passed = usec_min(usec_sub(now, budget->at), 3600 * USEC_PER_SEC);

    earn(budget, passed * per_second, burst);
    budget->at = MAX(budget->at, now);
    if (budget->level < n * MILLION)
        return false;
    budget->level -= n * MILLION;
    return true;
}

struct http2_limits http2_limits(uint64_t head_size, unsigned head_fields)
{
    return (struct http2_limits){
        .block_size = (uint32_t)MIN(head_size * BLOCK_SIZE_FACTOR, (uint64_t)BLOCK_MAX_SIZE),
        .block_fields = head_fields * BLOCK_FIELDS_FACTOR,
    };
}

void http2_guard_init(struct http2_guard *guard, const struct http2_limits *limits, usec_t now)
{
    *guard = (struct http2_guard){
        .limits = *limits,
        .control = {.level = CONTROL_BURST * MILLION, .at = now},
        .early = {.level = EARLY_BURST * MILLION, .at = now},
    };
}

enum http2_stop http2_guard_ended_early(struct http2_guard *guard, usec_t now)
{
    return spend(&guard->early, 1, EARLY_BURST, EARLY_PER_SEC, now) ? HTTP2_GO_ON : HTTP2_UNSTEADY;
}

enum http2_stop http2_guard_useless(struct http2_guard *guard, uint32_t size, usec_t now)
{
    return spend(&guard->control, 1 + size / CONTROL_PAYLOAD_EACH, CONTROL_BURST, CONTROL_PER_SEC, now)
               ? HTTP2_GO_ON
               : HTTP2_FLOODED;
}

void http2_guard_earn(struct http2_guard *guard, uint64_t requests, uint64_t bytes)
{
    /* What is beyond a burst is of no use, and could overflow. */
    const uint64_t enough = CONTROL_BURST, enough_bytes = CONTROL_BURST * CONTROL_BYTES_EACH;

    requests = MIN(requests, enough);
    earn(&guard->early, requests * MILLION, EARLY_BURST);
    earn(&guard->control, requests * CONTROL_PER_REQUEST * MILLION, CONTROL_BURST);
    earn(&guard->control, MIN(bytes, enough_bytes) * (MILLION / CONTROL_BYTES_EACH), CONTROL_BURST);
}

/* ---- frames
 * --------------------------------------------------------------------------------------------------- */

static uint32_t read_integer(const uint8_t *data, size_t size)
{
    uint32_t n = 0;
    for (size_t i = 0; i < size; i++)
        n = n << 8 | data[i];
    return n;
}

static enum http2_stop judge_preface(struct http2_guard *guard, const uint8_t *data, size_t size,
                                     struct http2_scan *ret)
{
    const size_t n = MIN(size, PREFACE_SIZE);

    if (memcmp(data, preface, n) != 0)
        return HTTP2_BAD_PREFACE;
    if (n == PREFACE_SIZE) {
        guard->begun = true;
        ret->verdict = HTTP2_PASS;
        ret->size = PREFACE_SIZE;
    }
    return HTTP2_GO_ON;
}

/* What a frame's head alone tells, so that no payload is waited for, or buffered, in vain. */
static enum http2_stop judge_head(const struct http2_guard *guard, const struct http2_frame *frame)
{
    if (frame->length > HTTP2_MAX_FRAME_SIZE)
        return HTTP2_LARGE_FRAME;
    if (!guard->settled && (frame->type != HTTP2_SETTINGS || frame->flags & HTTP2_ACK))
        return HTTP2_NO_SETTINGS; /* RFC 9113 3.4 */
    if (guard->in_block != (frame->type == HTTP2_CONTINUATION))
        return HTTP2_TORN_BLOCK; /* 6.10 */
    if (guard->in_block) {
        if (frame->stream != guard->block_stream)
            return HTTP2_TORN_BLOCK;
        if (guard->block_frames > guard->limits.block_size / HTTP2_MAX_FRAME_SIZE + BLOCK_SPARE_FRAMES)
            return HTTP2_SCATTERED_BLOCK;
        if (guard->block_size + frame->length > guard->limits.block_size)
            return HTTP2_LARGE_BLOCK;
    }
    return HTTP2_GO_ON;
}

/* Finds the payload's content: without padding, and without the priority of HEADERS (6.1, 6.2). */
static bool strip(struct http2_frame *frame, const uint8_t *payload)
{
    uint32_t before = 0, behind = 0;

    if (frame->type != HTTP2_CONTINUATION && frame->flags & HTTP2_PADDED) {
        if (frame->length < 1)
            return false;
        before = 1;
        behind = payload[0];
    }
    if (frame->type == HTTP2_HEADERS && frame->flags & HTTP2_HAS_PRIORITY)
        before += 5;
    if (before + behind > frame->length)
        return false;
    frame->content_at = HTTP2_FRAME_HEAD_SIZE + before;
    frame->content = frame->length - before - behind;
    return true;
}

static enum http2_stop judge_block(struct http2_guard *guard, struct http2_frame *frame,
                                   const uint8_t *payload)
{
    if (!strip(frame, payload))
        return HTTP2_BAD_FRAME;
    if (!guard->in_block) {
        guard->in_block = true;
        guard->block_stream = frame->stream;
        guard->block_size = guard->block_frames = 0;
        hpack_walk_begin(&guard->block);
    } else {
        guard->block_frames++;
    }
    guard->block_size += frame->content;
    if (!hpack_walk(&guard->block, payload + frame->content_at - HTTP2_FRAME_HEAD_SIZE, frame->content))
        return HTTP2_BAD_BLOCK;
    if (guard->block.fields > guard->limits.block_fields)
        return HTTP2_CROWDED_BLOCK;
    if (frame->flags & HTTP2_END_HEADERS) {
        guard->in_block = false;
        if (!hpack_walk_may_end(&guard->block))
            return HTTP2_BAD_BLOCK;
    }
    return HTTP2_GO_ON;
}

/* What a frame costs of the budget of control frames. */
static unsigned cost(const struct http2_frame *frame)
{
    switch (frame->type) {
    case HTTP2_HEADERS:
        return 0; /* its stream is accounted for at its end */
    case HTTP2_DATA:
        return frame->content == 0 && !(frame->flags & HTTP2_END_STREAM) ? 1 : 0;
    default:
        return 1 + frame->length / CONTROL_PAYLOAD_EACH;
    }
}

static enum http2_stop judge_frame(struct http2_guard *guard, struct http2_frame *frame,
                                   const uint8_t *payload, usec_t now)
{
    switch (frame->type) {
    case HTTP2_HEADERS:
    case HTTP2_CONTINUATION: {
        const enum http2_stop stop = judge_block(guard, frame, payload);
        if (stop != HTTP2_GO_ON)
            return stop;
        break;
    }
    case HTTP2_DATA:
        if (!strip(frame, payload))
            return HTTP2_BAD_FRAME;
        break;
    case HTTP2_WINDOW_UPDATE:
        if (frame->length == 4)
            frame->increment = read_integer(payload, 4) & INT32_MAX;
        break; /* of another length: h2o's to refuse, as all that is wrong in one frame alone */
    case HTTP2_SETTINGS:
        guard->settled = true;
        break;
    default:
        break;
    }
    if (!spend(&guard->control, cost(frame), CONTROL_BURST, CONTROL_PER_SEC, now))
        return HTTP2_FLOODED;
    return HTTP2_GO_ON;
}

void http2_guard_scan(struct http2_guard *guard, const uint8_t *data, size_t size, usec_t now,
                      struct http2_scan *ret)
{
    struct http2_frame *frame = &ret->frame;

    *ret = (struct http2_scan){.verdict = HTTP2_INCOMPLETE};
    if (!guard->begun) {
        ret->stop = judge_preface(guard, data, size, ret);
    } else if (size >= HTTP2_FRAME_HEAD_SIZE) {
        *frame = (struct http2_frame){.length = read_integer(data, 3),
                                      .type = data[3],
                                      .flags = data[4],
                                      .stream = read_integer(data + 5, 4) & INT32_MAX};
        ret->is_frame = true;
        ret->stop = judge_head(guard, frame);
        if (ret->stop == HTTP2_GO_ON && size >= HTTP2_FRAME_HEAD_SIZE + frame->length) {
            ret->stop = judge_frame(guard, frame, data + HTTP2_FRAME_HEAD_SIZE, now);
            ret->verdict = frame->type < _HTTP2_FRAME_TYPE_MAX ? HTTP2_PASS : HTTP2_SKIP;
            ret->size = HTTP2_FRAME_HEAD_SIZE + frame->length;
        }
    }
    if (ret->stop != HTTP2_GO_ON)
        ret->verdict = HTTP2_STOP;
}
