/* Any bytes of a client, in pieces of any size: the verdicts do not depend on the pieces, nothing behind the
 * bytes is read, and what passes keeps to the limits. The first byte says how large the pieces are. */

#include "http/http2_guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http2_limits limits = {.block_size = 2000, .block_fields = 20};

struct run {
    struct http2_guard guard;
    size_t begin; /* of the next frame */
    uint64_t frames, checksum;
    enum http2_stop stop;
};

static void step(struct run *run, const uint8_t *data, size_t end)
{
    while (run->stop == HTTP2_GO_ON && run->begin < end) {
        struct http2_scan scan;
        http2_guard_scan(&run->guard, data + run->begin, end - run->begin, 1, &scan);
        run->stop = scan.stop;
        assert((scan.verdict == HTTP2_STOP) == (scan.stop != HTTP2_GO_ON));
        if (scan.verdict == HTTP2_INCOMPLETE || scan.verdict == HTTP2_STOP)
            return;
        assert(scan.size > 0 && scan.size <= end - run->begin);
        assert(scan.frame.length <= HTTP2_MAX_FRAME_SIZE && scan.frame.content <= scan.frame.length);
        assert(run->guard.block.fields <= limits.block_fields);
        assert(run->guard.block_size <= MAX(limits.block_size, (uint32_t)HTTP2_MAX_FRAME_SIZE));
        run->begin += scan.size;
        run->frames++;
        run->checksum = run->checksum * 31 + scan.size + scan.frame.type + scan.verdict;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run whole = {0}, pieces = {0};

    if (size < 1)
        return 0;
    const size_t piece = 1 + data[0] % 64;
    data++;
    size--;
    http2_guard_init(&whole.guard, &limits, 1);
    http2_guard_init(&pieces.guard, &limits, 1);
    step(&whole, data, size);
    for (size_t end = MIN(piece, size); pieces.stop == HTTP2_GO_ON; end = MIN(end + piece, size)) {
        /* A block of its own, so that a sanitizer sees a read behind it. */
        _cleanup_free_ uint8_t *there = xcalloc(1, MAX(end, (size_t)1));
        memcpy(there, data, end);
        step(&pieces, there, end);
        if (end == size)
            break;
    }
    assert(whole.stop == pieces.stop && whole.begin == pieces.begin && whole.frames == pieces.frames &&
           whole.checksum == pieces.checksum);
    return 0;
}
