/* The life of an exchange.
 *
 *   CONNECTING -> HEAD -> BODY -> OVER        the usual way; without CONNECTING on a pooled connection,
 *                    \-> OVER                 without BODY when the response has none
 *                    \-> SWITCHED             101: the connection is the caller's to take
 *   any        -> OVER                        by fail()
 *
 * Invariants:
 * - Reading goes on from the first byte of the request until the response is whole, so that a response that
 *   comes early is seen, and so that a pooled connection costs no system call to watch and unwatch. It stops
 *   for back-pressure only: one buffer is lent to the caller, and a second one is full.
 * - `in` holds what was received and not handed out: a raw head while in HEAD, only decoded body after it.
 * - In OVER there is no connection: it went back to the pool, or was closed, when the last byte was received,
 *   whatever of it the caller still holds.
 * - pump() alone hands out the body and ends the exchange, and does nothing while a buffer is lent.
 * - A callback may cancel or steal, after which the client must not be touched: each is called through a
 *   function here that says whether the client is still there. */

#include "upstream/client.h"

#include <sys/sendfile.h>
#include <sys/socket.h>

#include "upstream/chunked.h"
#include "upstream/pool.h"
#include "upstream/response.h"

static_assert(BUFFER_SIZE >= RESPONSE_HEAD_MAX, "a head fits into a buffer");

enum client_state {
    CLIENT_CONNECTING,
    CLIENT_STANDING, /* connect_only: it must not end for a while */
    CLIENT_HEAD,
    CLIENT_BODY,
    CLIENT_SWITCHED,
    CLIENT_OVER,
};

struct client {
    enum client_state state;
    struct client_pool *pool;
    struct connection *connection; /* NULL in OVER */
    struct client_request request;
    const struct client_callbacks *callbacks;
    void *userdata;
    usec_t started;
    struct client_outcome outcome;
    bool *gone; /* set when the client is freed while a callback runs */
    h2o_timeout_entry_t soon;

    uint64_t written; /* bytes of the request's head and body that the kernel took */
    int write_error;  /* why no more will be written; a response may have come all the same */

    struct buffer *in;
    size_t line; /* in the head: where the line begins that is not whole yet */

    enum response_framing framing;
    uint64_t remaining; /* body bytes that a Content-Length announced and that did not come yet */
    struct chunked chunked;
    bool has_body;   /* on_body is due */
    bool reusable;   /* the connection, once the response is whole */
    usec_t idle_max; /* how long the target keeps it */

    struct buffer *lent; /* what the last on_body handed out */
    bool is_lent;        /* also true for an empty last piece */
    bool final_was_given;
    bool paused; /* for back-pressure */
    bool pumping;
};

static void on_connect(void *owner, int error);
static void on_readable(void *owner);
static void on_writable(void *owner);
static void on_deadline(void *owner);
static void pump(struct client *c);

static const struct connection_events client_events = {
    .on_connect = on_connect,
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_deadline = on_deadline,
};

const char *client_error_to_string(enum client_error error)
{
    static const char *const names[_CLIENT_ERROR_MAX] = {
        [CLIENT_OK] = "ok",
        [CLIENT_CONNECT_FAILED] = "cannot connect",
        [CLIENT_CONNECT_TIMEOUT] = "no connection in time",
        [CLIENT_SEND_FAILED] = "closed while the request was sent",
        [CLIENT_CLOSED_EARLY] = "closed without a response",
        [CLIENT_BAD_RESPONSE] = "not a valid response",
        [CLIENT_FIRST_BYTE_TIMEOUT] = "no response in time",
        [CLIENT_TRY_TIMEOUT] = "no response in the time of one try",
        [CLIENT_BETWEEN_BYTES_TIMEOUT] = "the response body stalled",
        [CLIENT_TRUNCATED] = "closed before the response was whole",
    };
    return (unsigned)error < _CLIENT_ERROR_MAX ? names[error] : "unknown";
}

void client_outcome_describe(const struct client_outcome *outcome, char *buf, size_t size)
{
    if (outcome->os_error)
        snprintf(buf, size, "%s: %s", client_error_to_string(outcome->error),
                 strerrordesc_np(outcome->os_error) ?: "unknown error");
    else
        snprintf(buf, size, "%s", client_error_to_string(outcome->error));
}

bool client_outcome_is_refused(const struct client_outcome *outcome)
{
    return outcome->error == CLIENT_CONNECT_FAILED &&
           (outcome->os_error == ECONNREFUSED || outcome->os_error == ENOENT);
}

static uint64_t request_size(const struct client *c)
{
    const struct client_file *file = c->request.body_file;
    return c->request.head.size + (file ? file->size : c->request.body.size);
}

static bool request_is_sent(const struct client *c)
{
    return c->written == request_size(c);
}

/* Frees the client and tells a callback's caller. The connection, if there is one, is closed. */
static void client_free(struct client *c)
{
    if (c->gone)
        *c->gone = true;
    h2o_timeout_unlink(&c->soon);
    connection_free(c->connection);
    context_give_buffer(c->pool->context, c->in);
    context_give_buffer(c->pool->context, c->lent);
    c->pool->n_active--;
    free(c);
}

static void over(struct client *c)
{
    c->state = CLIENT_OVER;
    c->outcome.sent = c->written > 0;
    c->outcome.duration = now_monotonic() - c->started;
}

/* The exchange has failed. What was received of a body is still handed out by pump(). */
static void fail(struct client *c, enum client_error error, int os_error, const char *detail)
{
    assert(c->state != CLIENT_OVER && error != CLIENT_OK);
    if (c->state != CLIENT_BODY)
        c->in = context_give_buffer(c->pool->context, c->in);
    c->connection = connection_free(c->connection);
    c->outcome.error = error;
    c->outcome.os_error = os_error;
    c->outcome.detail = detail;
    over(c);
}

/* The response is whole. */
static void succeed(struct client *c)
{
    struct connection *connection = TAKE_PTR(c->connection);

    over(c);
    if (c->reusable && request_is_sent(c))
        pool_give(c->pool, connection, c->idle_max);
    else
        connection_free(connection);
}

/* The time until a response head is due begins anew whenever the target is ready to take more of the request.
 */
static void await_head(struct client *c)
{
    usec_t timeout = c->request.first_byte_timeout;
    if (timeout == 0)
        timeout = c->pool->upstream->first_byte_timeout;
    connection_set_deadline(c->connection, usec_add(now_monotonic(), timeout));
}

/* The same for what is still to come of a response's body: a target may answer while it reads. */
static void await_body(struct client *c)
{
    connection_set_deadline(c->connection,
                            usec_add(now_monotonic(), c->pool->upstream->between_bytes_timeout));
}

/* What one call is given of a file: an app that reads as fast as this writes must not keep the loop from
 * others. */
#define FILE_PIECE ((uint64_t)1024 * 1024)

/* As send(): what the kernel takes of the request's head and, if it is in memory, of its body. */
static ssize_t send_from_memory(const struct client *c)
{
    const struct slice head = c->request.head, body = c->request.body;
    const size_t of_head = (size_t)MIN(c->written, (uint64_t)head.size),
                 of_body = (size_t)c->written - of_head;
    struct iovec parts[2] = {
        {(void *)((uintptr_t)head.data + of_head), head.size - of_head},
        {(void *)((uintptr_t)body.data + of_body), body.size - of_body},
    };
    const struct msghdr message = {
        .msg_iov = of_head < head.size ? parts : parts + 1,
        .msg_iovlen = (of_head < head.size) + (of_body < body.size),
    };
    return sendmsg(connection_fd(c->connection), &message,
                   MSG_NOSIGNAL | (c->request.body_file ? MSG_MORE : 0));
}

/* The same of a body that is in a file. SIGPIPE is ignored. */
static ssize_t send_from_file(const struct client *c)
{
    const struct client_file *file = c->request.body_file;
    off_t offset = (off_t)(c->written - c->request.head.size);
    const uint64_t left = file->size - (uint64_t)offset;
    if (left == 0)
        return 0;

    const ssize_t size =
        sendfile(connection_fd(c->connection), file->fd, &offset, (size_t)MIN(left, FILE_PIECE));
    if (size == 0) {
        errno = EIO; /* the file has become shorter, which nobody but the disk can have done */
        return -1;
    }
    return size;
}

static ssize_t send_some(const struct client *c)
{
    const bool in_file = c->request.body_file && c->written >= c->request.head.size;
    ssize_t size;

    do
        size = in_file ? send_from_file(c) : send_from_memory(c);
    while (size < 0 && errno == EINTR);
    return size;
}

/* Writes as much of the request as the kernel takes at once. Returns 0, also when the target has closed: it
 * may have answered before that, and reading will tell; or a negative errno that leaves nothing to wait for.
 */
static int send_request(struct client *c)
{
    ssize_t size = send_some(c);

    if (size > 0)
        c->written += (size_t)size;
    if (size > 0 && c->request.body_file && c->written == c->request.head.size) {
        size = send_some(c); /* what is to be one packet must not wait for its second half */
        if (size > 0)
            c->written += (size_t)size;
    }

    if (size < 0 && (errno == EPIPE || errno == ECONNRESET)) {
        c->write_error = errno;
        return 0;
    }
    if (size < 0 && errno != EAGAIN)
        return -errno;
    /* A target that reads as fast as this writes must not keep the loop from others. */
    if (!request_is_sent(c))
        connection_await_writable(c->connection);
    return 0;
}

static int begin_request(struct client *c)
{
    c->state = CLIENT_HEAD;
    connection_read_start(c->connection);
    await_head(c);
    return send_request(c);
}

/* There is a connection, which is all that was asked for, or has to stand for a while. */
static void be_connected(struct client *c)
{
    if (c->request.stand > 0) {
        c->state = CLIENT_STANDING;
        connection_read_start(c->connection);
        connection_set_deadline(c->connection, usec_add(now_monotonic(), c->request.stand));
        return;
    }
    c->connection = connection_free(c->connection);
    over(c);
}

/* Whatever is to be read while it stands: an end, or a greeting, which is as good as silence. */
static void on_standing(struct client *c)
{
    char byte;
    ssize_t size = recv(connection_fd(c->connection), &byte, 1, MSG_DONTWAIT);

    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size > 0) {
        c->connection = connection_free(c->connection);
        over(c);
    } else {
        fail(c, CLIENT_CLOSED_EARLY, size < 0 ? errno : 0, NULL);
    }
}

static void on_connect(void *owner, int error)
{
    struct client *c = owner;

    if (error) {
        fail(c, error == ETIMEDOUT ? CLIENT_CONNECT_TIMEOUT : CLIENT_CONNECT_FAILED, error, NULL);
    } else if (c->request.connect_only) {
        be_connected(c);
    } else {
        int r = begin_request(c);
        if (r < 0)
            fail(c, CLIENT_SEND_FAILED, -r, NULL);
    }
    pump(c);
}

static void on_writable(void *owner)
{
    struct client *c = owner;

    if (c->state == CLIENT_HEAD)
        await_head(c);
    else if (c->state == CLIENT_BODY && !c->paused)
        await_body(c);
    int r = send_request(c);
    if (r == 0)
        return;
    c->write_error = -r;
    if (c->state == CLIENT_HEAD) {
        fail(c, CLIENT_SEND_FAILED, -r, NULL);
        pump(c);
    }
}

/* Calls one of the callbacks that take a response; false when the client is gone afterwards. */
static bool tell_head(struct client *c,
                      void (*callback)(void *userdata, const struct client_response *response),
                      const struct client_response *response)
{
    bool gone = false;

    /* cppcheck-suppress autoVariables ; forgotten below, before this returns */
    c->gone = &gone;
    callback(c->userdata, response);
    if (!gone)
        c->gone = NULL;
    return !gone;
}

/* Undoes the framing of the last `size` bytes in `in`; they may belong to the body or go beyond it. */
static void take_body(struct client *c, size_t size)
{
    size_t rest = 0;
    bool whole = false;

    switch (c->framing) {
    case RESPONSE_NO_BODY:
        rest = size;
        c->in->end -= rest;
        whole = true;
        break;
    case RESPONSE_LENGTH:
        rest = size > c->remaining ? size - (size_t)c->remaining : 0;
        c->in->end -= rest;
        c->remaining -= size - rest;
        whole = c->remaining == 0;
        break;
    case RESPONSE_CHUNKED: {
        size_t before = c->in->end - size, decoded;
        int r = chunked_decode(&c->chunked, c->in->data + before, size, &decoded, &rest);
        c->in->end = before + decoded;
        if (r == CHUNKED_MALFORMED) {
            fail(c, CLIENT_BAD_RESPONSE, 0, "its chunked body is malformed");
            return;
        }
        whole = r == 0;
        break;
    }
    case RESPONSE_UNTIL_CLOSE:
        break;
    case RESPONSE_SWITCHED:
        WRONG("a body after a switch of protocols");
    }

    /* Whoever says more than was announced is not understood well enough to be talked to again. */
    if (rest > 0)
        c->reusable = false;
    if (whole)
        succeed(c);
    else
        await_body(c);
}

/* The final head has come; false when the client is gone. */
static bool begin_response(struct client *c, const struct response_head *head)
{
    if (head->framing == RESPONSE_SWITCHED) {
        if (!c->request.is_upgrade || !request_is_sent(c)) {
            fail(c, CLIENT_BAD_RESPONSE, 0, "it switches protocols unasked");
            return true;
        }
        c->state = CLIENT_SWITCHED;
        connection_read_stop(c->connection);
        connection_set_deadline(c->connection, USEC_INFINITY);
        return tell_head(c, c->callbacks->on_head, &head->response);
    }

    c->state = CLIENT_BODY;
    c->framing = head->framing;
    c->remaining = head->response.content_length;
    c->has_body = head->response.has_body;
    /* An answer to a request that was not all there: what the target does with the rest is not known. */
    c->reusable = head->keep_alive && request_is_sent(c);
    c->idle_max = USEC_INFINITY;
    if (head->keep_alive_timeout != UINT_MAX)
        c->idle_max = usec_sub(head->keep_alive_timeout * USEC_PER_SEC, USEC_PER_SEC);
    if (!tell_head(c, c->callbacks->on_head, &head->response))
        return false;
    take_body(c, c->in->end - c->in->start);
    return true;
}

/* Takes heads off `in` for as long as there are whole ones; false when the client is gone. */
static bool take_heads(struct client *c)
{
    struct response_head head;
    const char *why;

    while (c->state == CLIENT_HEAD) {
        struct buffer *in = c->in;
        const char *data = in->data + in->start;
        size_t size;

        int r = response_head_find(data, in->end - in->start, &c->line, &size, &why);
        if (r == RESPONSE_INCOMPLETE) {
            if (in->start > 0) {
                /* Interim responses before it may have left no room. */
                memmove(in->data, data, in->end - in->start);
                in->end -= in->start;
                in->start = 0;
            }
            return true;
        }
        if (r == 0)
            r = response_head_parse(data, size, c->request.is_head, &head, &why);
        if (r) {
            fail(c, CLIENT_BAD_RESPONSE, 0, why);
            return true;
        }
        in->start += size;
        c->line = 0;

        if (head.response.status == 101 || head.response.status >= 200)
            return begin_response(c, &head);
        if (head.response.status != 100 && c->callbacks->on_informational &&
            !tell_head(c, c->callbacks->on_informational, &head.response))
            return false;
    }
    return true;
}

/* No more is to come: end of file, or an error. */
static void take_end(struct client *c, int error)
{
    /* The kernel tells an error once: when a write has heard of it, what is read is an end of file. EPIPE
     * only follows an end that reading tells as well. */
    if (error == 0 && c->write_error != EPIPE)
        error = c->write_error;
    if (c->state == CLIENT_BODY) {
        if (c->framing == RESPONSE_UNTIL_CLOSE && error == 0)
            succeed(c);
        else
            fail(c, CLIENT_TRUNCATED, error, NULL);
    } else if (c->outcome.response_began || request_is_sent(c)) {
        fail(c, CLIENT_CLOSED_EARLY, error, NULL);
    } else {
        fail(c, CLIENT_SEND_FAILED, c->write_error ? c->write_error : error, NULL);
    }
}

/* Receives once, and makes of it what can be made; false when the client is gone. */
static bool receive(struct client *c)
{
    if (!c->in)
        c->in = context_take_buffer(c->pool->context);
    size_t room = BUFFER_SIZE - c->in->end;
    if (room == 0) {
        assert(c->state == CLIENT_BODY);
        c->paused = true;
        connection_read_stop(c->connection);
        connection_set_deadline(c->connection, USEC_INFINITY);
        return true;
    }

    ssize_t size = recv(connection_fd(c->connection), c->in->data + c->in->end, room, 0);
    if (size > 0) {
        c->in->end += (size_t)size;
        c->outcome.response_began = true;
        if (c->state == CLIENT_HEAD)
            return take_heads(c);
        take_body(c, (size_t)size);
    } else if (size == 0) {
        take_end(c, 0);
    } else if (errno != EAGAIN && errno != EINTR) {
        take_end(c, errno);
    }
    return true;
}

static void on_readable(void *owner)
{
    struct client *c = owner;
    if (c->state == CLIENT_STANDING) {
        on_standing(c);
        pump(c);
    } else if (receive(c)) {
        pump(c);
    }
}

static void on_deadline(void *owner)
{
    struct client *c = owner;

    if (c->state == CLIENT_STANDING) {
        on_standing(c); /* it may have ended while the loop was held up */
        if (c->state == CLIENT_STANDING) {
            c->connection = connection_free(c->connection);
            over(c);
        }
        pump(c);
        return;
    }
    /* When the loop was held up, what was waited for may have come meanwhile. */
    if (!receive(c))
        return;
    if (c->connection && c->connection->deadline.at == USEC_INFINITY && !c->paused &&
        c->state != CLIENT_SWITCHED)
        fail(c, c->state == CLIENT_HEAD ? CLIENT_FIRST_BYTE_TIMEOUT : CLIENT_BETWEEN_BYTES_TIMEOUT, 0, NULL);
    pump(c);
}

/* Hands out what `in` holds; false when the client is gone. */
static bool lend(struct client *c, bool final)
{
    struct slice data = {NULL, 0};
    bool gone = false;

    c->lent = TAKE_PTR(c->in);
    if (c->lent)
        data = slice_make(c->lent->data + c->lent->start, c->lent->end - c->lent->start);
    c->is_lent = true;
    c->final_was_given = final;

    /* cppcheck-suppress autoVariables ; forgotten below, before this returns */
    c->gone = &gone;
    c->callbacks->on_body(c->userdata, data, final);
    if (!gone)
        c->gone = NULL;
    return !gone;
}

static void finish(struct client *c)
{
    const struct client_callbacks *callbacks = c->callbacks;
    const struct client_outcome outcome = c->outcome;
    void *userdata = c->userdata;

    client_free(c);
    callbacks->on_done(userdata, &outcome);
}

static void pump(struct client *c)
{
    c->pumping = true;
    while (!c->is_lent && (c->state == CLIENT_BODY || c->state == CLIENT_OVER)) {
        bool ended = c->state == CLIENT_OVER;
        bool final = ended && c->outcome.error == CLIENT_OK;
        bool has_data = c->in && c->in->start < c->in->end;

        if (c->has_body && (has_data || (final && !c->final_was_given))) {
            if (!lend(c, final))
                return;
        } else if (ended) {
            finish(c);
            return;
        } else {
            break;
        }
    }
    c->pumping = false;
    /* A wait for more may be long: no buffer is held meanwhile. */
    if (c->in && c->in->start == c->in->end)
        c->in = context_give_buffer(c->pool->context, c->in);
    if (c->paused && !c->in && c->connection) {
        c->paused = false;
        connection_read_start(c->connection);
        await_body(c);
    }
}

static void on_soon(h2o_timeout_entry_t *entry)
{
    pump(container_of(entry, struct client, soon));
}

static void pump_soon(struct client *c)
{
    context_run_soon(c->pool->context, &c->soon);
}

struct client *client_start(struct client_pool *pool, const struct client_request *request,
                            const struct client_callbacks *callbacks, void *userdata)
{
    struct client *c = xcalloc(1, sizeof(*c));
    int r;

    c->pool = pool;
    c->request = *request;
    c->callbacks = callbacks;
    c->userdata = userdata;
    c->started = now_monotonic();
    c->soon.cb = on_soon;
    pool->n_active++;

    if (!request->fresh)
        c->connection = pool_take(pool);
    if (c->connection) {
        c->outcome.reused = true;
        connection_set_owner(c->connection, &client_events, c);
    } else {
        c->connection = connection_new(pool->context, pool, pool->generation);
        connection_set_owner(c->connection, &client_events, c);
        c->state = CLIENT_CONNECTING;
        r = connection_open(c->connection, &pool->target->address,
                            request->connect_timeout ? request->connect_timeout
                                                     : pool->upstream->connect_timeout);
        if (r == -EINPROGRESS)
            return c;
        if (r == 0 && request->connect_only) {
            be_connected(c);
            if (c->state == CLIENT_OVER)
                pump_soon(c);
            return c;
        }
        if (r < 0) {
            fail(c, r == -ETIMEDOUT ? CLIENT_CONNECT_TIMEOUT : CLIENT_CONNECT_FAILED, -r, NULL);
            pump_soon(c);
            return c;
        }
    }
    r = begin_request(c);
    if (r < 0) {
        fail(c, CLIENT_SEND_FAILED, -r, NULL);
        pump_soon(c);
    }
    return c;
}

void client_continue(struct client *c)
{
    assert(c->is_lent);
    c->is_lent = false;
    c->lent = context_give_buffer(c->pool->context, c->lent);
    if (!c->pumping)
        pump_soon(c);
}

bool client_is_reused(const struct client *c)
{
    return c->outcome.reused;
}

bool client_has_sent(const struct client *c)
{
    return c->written > 0;
}

bool client_is_answered(const struct client *c)
{
    return c->outcome.response_began;
}

void client_cancel(struct client *c)
{
    client_free(c);
}

void client_abandon(struct client *c, struct client_outcome *ret)
{
    *ret = c->outcome;
    ret->error = CLIENT_TRY_TIMEOUT;
    ret->sent = c->written > 0;
    ret->duration = now_monotonic() - c->started;
    client_free(c);
}

struct st_h2o_socket_t *client_steal(struct client *c)
{
    assert(c->state == CLIENT_SWITCHED);
    struct slice rest = {NULL, 0};
    if (c->in)
        rest = slice_make(c->in->data + c->in->start, c->in->end - c->in->start);
    struct st_h2o_socket_t *socket = connection_release(TAKE_PTR(c->connection), rest);

    client_free(c);
    return socket;
}
