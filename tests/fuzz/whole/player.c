#include "player.h"

/* Whoever is slower than this is stuck, also with sanitizers on a machine that has other work. */
#define PATIENCE (30 * USEC_PER_SEC)
#define PAUSE (3 * USEC_PER_MSEC)
/* Of an answer that is longer than this the rest is not waited for. */
#define READ_MAX (4u << 20)

/* Reads what is there. False when the other end has closed. */
static bool drain(struct stream *stream, size_t *read)
{
    char bytes[16384];
    ssize_t n;

    while ((n = stream_read(stream, bytes, sizeof(bytes))) > 0)
        *read += (size_t)n;
    return n == -EAGAIN || n == -EINTR;
}

/* Returns PLAYED also when the other end would have no more, which it says by *ret_is_open. */
static enum played send_input(struct stream *stream, struct slice input, size_t *read, bool *ret_is_open)
{
    const usec_t until = now_monotonic() + PATIENCE;

    *ret_is_open = true;
    while (input.size > 0) {
        const ssize_t n = stream_write(stream, input.data, input.size);
        if (n > 0) {
            input = slice_skip(input, (size_t)n);
            continue;
        }
        *ret_is_open = n == -EAGAIN && drain(stream, read);
        if (!*ret_is_open)
            return PLAYED;
        if (!stream_wait(stream, true, until))
            return PLAYED_STUCK;
    }
    return PLAYED;
}

static enum played finish(struct stream *stream, size_t *read)
{
    const usec_t until = now_monotonic() + PATIENCE;

    stream_finish(stream);
    while (drain(stream, read) && *read < READ_MAX)
        if (!stream_wait(stream, false, until))
            return PLAYED_STUCK;
    return PLAYED;
}

enum played player_play(struct script *script, const struct stream_addresses *addresses, size_t *ret_inputs)
{
    _cleanup_strbuf_ struct strbuf input = STRBUF_INIT;
    struct stream stream;
    size_t read = 0;
    bool pause, is_open = true;
    enum played played = PLAYED;

    *ret_inputs = 0;
    if (stream_open(&stream, addresses, script->place, script->is_http2, script->number) < 0)
        return PLAYED_ALONE;
    while (played == PLAYED && is_open && script_next(script, &input, &pause)) {
        played = send_input(&stream, slice_make(input.data, input.size), &read, &is_open);
        ++*ret_inputs;
        if (pause && is_open)
            (void)stream_wait(&stream, false, now_monotonic() + PAUSE);
        is_open = is_open && drain(&stream, &read); /* what is sent to nobody is no input */
    }
    if (played == PLAYED && is_open && script->end == SCRIPT_FINISHES)
        played = finish(&stream, &read);
    stream_close(&stream, script->end == SCRIPT_RESETS);
    return played;
}

bool player_ask(const struct stream_addresses *addresses, enum script_place place, const char *target,
                uint64_t number)
{
    static const char good[] = "HTTP/1.1 200 ";
    const usec_t until = now_monotonic() + PATIENCE;
    char request[200], answer[sizeof(good) - 1];
    struct stream stream;
    size_t read = 0;
    ssize_t n = 0;

    if (stream_open(&stream, addresses, place, false, number) < 0)
        return false;
    const int size = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    if (stream_write(&stream, request, (size_t)size) == size)
        while (read < sizeof(answer) && stream_wait(&stream, false, until) &&
               ((n = stream_read(&stream, answer + read, sizeof(answer) - read)) > 0 || n == -EAGAIN))
            read += n > 0 ? (size_t)n : 0;
    stream_close(&stream, false);
    return read == sizeof(answer) && memcmp(answer, good, sizeof(answer)) == 0;
}
