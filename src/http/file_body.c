#include "http/file_body.h"

enum { PIECE_SIZE = 65536 };

/* In the request's pool. h2o calls proceed() when a piece has been sent, and stop() when the request ends
 * before the last one was handed over: so the last piece closes the file, or else stop() does. */
struct file_body {
    h2o_generator_t generator;
    int fd;
    struct file_part parts[FILE_BODY_MAX_PARTS];
    size_t n_parts, part;
    uint64_t done; /* bytes of the current part */
    struct slice tail;
    char *buffer;
    size_t buffer_size;
};

struct piece {
    h2o_iovec_t bufs[3];
    size_t n_bufs;
    bool is_last;
};

static void add_buf(struct piece *piece, struct slice s)
{
    if (s.size > 0)
        piece->bufs[piece->n_bufs++] = iovec_of_slice(s);
}

/* Reads what is to be sent next. */
static int read_piece(struct file_body *body, struct piece *ret)
{
    struct file_part *part = &body->parts[body->part];
    *ret = (struct piece){.n_bufs = 0};
    if (body->done == 0)
        add_buf(ret, part->head);

    size_t want = (size_t)MIN(part->range.size - body->done, body->buffer_size), got = 0;
    while (got < want) {
        ssize_t n =
            pread(body->fd, body->buffer + got, want - got, (off_t)(part->range.first + body->done + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENODATA;
        got += (size_t)n;
    }
    add_buf(ret, slice_make(body->buffer, got));

    body->done += got;
    if (body->done == part->range.size) {
        body->part++;
        body->done = 0;
    }
    ret->is_last = body->part == body->n_parts;
    if (ret->is_last)
        add_buf(ret, body->tail);
    return 0;
}

static void send_piece(struct file_body *body, h2o_req_t *req, struct piece *piece)
{
    if (piece->is_last)
        close_and_forget(&body->fd);
    h2o_send(req, piece->bufs, piece->n_bufs,
             piece->is_last ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

static void body_stop(h2o_generator_t *generator, h2o_req_t *req)
{
    struct file_body *body = container_of(generator, struct file_body, generator);
    close_and_forget(&body->fd);
}

static void body_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct file_body *body = container_of(generator, struct file_body, generator);
    struct piece piece;
    if (read_piece(body, &piece) < 0) {
        close_and_forget(&body->fd);
        h2o_send(req, NULL, 0, H2O_SEND_STATE_ERROR);
        return;
    }
    send_piece(body, req, &piece);
}

int file_body_send(h2o_req_t *req, int fd, const struct file_part *parts, size_t n_parts, struct slice tail)
{
    assert(n_parts > 0 && n_parts <= FILE_BODY_MAX_PARTS);
    uint64_t largest = 0;
    for (size_t i = 0; i < n_parts; i++)
        largest = MAX(largest, parts[i].range.size);

    struct file_body *body = h2o_mem_alloc_pool(&req->pool, sizeof(*body));
    *body = (struct file_body){
        .generator = {body_proceed, body_stop},
        .fd = fd,
        .n_parts = n_parts,
        .tail = tail,
        .buffer_size = (size_t)MIN(largest, (uint64_t)PIECE_SIZE),
    };
    memcpy(body->parts, parts, n_parts * sizeof(*parts));
    body->buffer = h2o_mem_alloc_pool(&req->pool, body->buffer_size);

    struct piece piece;
    int r = read_piece(body, &piece);
    if (r < 0) {
        close_and_forget(&body->fd);
        return r;
    }
    h2o_start_response(req, &body->generator);
    send_piece(body, req, &piece);
    return 0;
}
