/* Reading the body of a request.
 *
 * One that has come with its head stays where it is, in sock->input. Of any other what comes is taken at
 * once, a bounded piece at a time, so that sock->input holds nothing of it. What follows it, which is the
 * next request, is put back there. */

#include <sys/socket.h>

#include "http/http1.h"
#include "http/http1_internal.h"
#include "http/request_body.h"
#include "http/request_head.h"
#include "http/server_internal.h"

/* As much body as is read only to be thrown away. */
#define DISCARD_MAX (64 * 1024)
/* What is received at once. */
#define PIECE_SIZE (64 * 1024)

static void refuse(struct http1 *h, int status, const char *detail)
{
    http1_refuse(h, status, detail);
}

static void refuse_malformed(struct http1 *h)
{
    refuse(h, 400, "The chunked body is malformed.");
}

static void is_in_place(struct http1 *h, size_t size)
{
    h->request_size = h->head_size + size;
    h->req.entity = h2o_iovec_init(h->sock->input->bytes + h->head_size, size);
    http1_run_exchange(h);
}

enum taken {
    TAKEN_PART,
    TAKEN_WHOLE, /* nothing of it is missing */
    TAKEN_REFUSED,
};

/* Stores what belongs to the body; so many bytes at the end of `data` do not. */
static enum taken take(struct http1 *h, char *data, size_t size, size_t *ret_rest)
{
    const char *detail;
    bool whole;
    size_t n;

    *ret_rest = 0;
    if (h->chunked_in) {
        const int r = chunked_decode(h->chunked_in, data, size, &n, ret_rest);
        if (r == CHUNKED_MALFORMED) {
            refuse_malformed(h);
            return TAKEN_REFUSED;
        }
        whole = r == 0;
    } else {
        n = (size_t)MIN(h->body_left, (uint64_t)size);
        h->body_left -= n;
        *ret_rest = size - n;
        whole = h->body_left == 0;
    }
    const int status = request_body_add(h->exchange, data, n, &detail);
    if (status) {
        refuse(h, status, detail);
        return TAKEN_REFUSED;
    }
    return whole ? TAKEN_WHOLE : TAKEN_PART;
}

static void run(struct http1 *h)
{
    request_body_end(h->exchange);
    http1_run_exchange(h);
}

/* Takes what has come of it in sock->input. */
static void take_from_input(struct http1 *h)
{
    h2o_buffer_t *input = h->sock->input;
    size_t rest;

    const enum taken taken = take(h, input->bytes, input->size, &rest);
    if (taken == TAKEN_REFUSED)
        return;
    h2o_buffer_consume(&h->sock->input, input->size - rest);
    if (taken == TAKEN_WHOLE)
        run(h);
}

static void take_from_socket(struct http1 *h)
{
    char piece[PIECE_SIZE];
    size_t rest;

    const ssize_t n = http1_receive(h, piece, sizeof(piece));
    if (n <= 0)
        return;
    http1_body_arrives(h, (size_t)n);
    switch (take(h, piece, (size_t)n, &rest)) {
    case TAKEN_PART:
    case TAKEN_REFUSED:
        break;
    case TAKEN_WHOLE:
        if (rest > 0) {
            memcpy(h2o_buffer_reserve(&h->sock->input, rest).base, piece + n - rest, rest);
            h->sock->input->size += rest;
        }
        run(h);
        break;
    default:
        WRONG("body piece");
    }
}

void http1_read_body(struct http1 *h)
{
    if (!h->sock->ssl) {
        take_from_socket(h);
        return;
    }
    http1_body_arrives(h, h->sock->bytes_read);
    take_from_input(h);
}

/* What has come with the head; a chunked body may be whole, and is decoded where it is to find out. */
static void start_chunked(struct http1 *h)
{
    h2o_buffer_t *input = h->sock->input;
    char *begin = input->bytes + h->head_size;
    size_t size, rest = 0;
    const char *detail;

    const int r = chunked_decode(h->chunked_in, begin, input->size - h->head_size, &size, &rest);
    if (r == CHUNKED_MALFORMED) {
        refuse_malformed(h);
        return;
    }
    if (r == 0) {
        memmove(begin + size, input->bytes + input->size - rest, rest);
        input->size = h->head_size + size + rest;
        if (size > exchange_max_body(h->exchange))
            refuse(h, 413, "The request's body is larger than is accepted here.");
        else
            is_in_place(h, size);
        return;
    }
    const int status = request_body_add(h->exchange, begin, size, &detail);
    if (status)
        refuse(h, status, detail);
    else
        h2o_buffer_consume(&h->sock->input, input->size);
}

static void read_from_here(struct http1 *h, const struct request_head *head)
{
    http1_set_state(h, HTTP1_BODY);
    if (head->expects_continue && h->sock->input->size == h->head_size)
        http1_send_interim(&h->req, 100, NULL, 0);
    h->request_size = 0; /* nothing of it stays in sock->input */
    if (head->chunked) {
        h->chunked_in = h2o_mem_alloc_pool(&h->req.pool, sizeof(*h->chunked_in));
        *h->chunked_in = (struct chunked){0};
        start_chunked(h);
    } else {
        h->body_left = head->content_length;
        h2o_buffer_consume(&h->sock->input, h->head_size);
        if (h->sock->input->size > 0)
            take_from_input(h);
    }
}

bool http1_body_is_here(const struct http1 *h, const struct request_head *head, size_t head_size)
{
    return !head->chunked &&
           (head->content_length == UINT64_MAX || head->content_length <= h->sock->input->size - head_size);
}

void http1_start_body(struct http1 *h, const struct request_head *head)
{
    struct exchange *exchange = h->exchange;
    const bool has_body = head->chunked || (head->content_length != UINT64_MAX && head->content_length > 0);
    const char *detail;

    h->request_size = h->head_size;
    /* A small body of a request that is refused is read for the connection's sake, a large one is not waited
     * for. */
    const bool skips_body = has_body && exchange->refusal &&
                            (head->chunked || head->expects_continue || head->content_length > DISCARD_MAX);
    if (!has_body || skips_body) {
        if (skips_body)
            h->req.http1_is_persistent = 0;
        http1_run_exchange(h);
        return;
    }
    if (http1_body_is_here(h, head, h->head_size) && head->content_length <= exchange_max_body(exchange)) {
        is_in_place(h, (size_t)head->content_length);
        return;
    }
    const int status =
        request_body_begin(exchange, head->chunked ? UINT64_MAX : head->content_length, &detail);
    if (status)
        refuse(h, status, detail);
    else
        read_from_here(h, head);
}
