#include "connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "endpoints.h"

#define HEAD_MAX 65536
#define BODY_KEPT_MAX (64 << 20)

static char receive_buffer[65536]; /* one thread */

/* --- life --- */

void connection_new(struct app *app, int fd)
{
    struct connection *c = xcalloc(1, sizeof(*c));
    c->app = app;
    c->fd = fd;
    c->timer.due = USEC_INFINITY;
    list_append(&app->connections, &c->link);
    app->n_connections++;
    app->accepted++;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
    c->interest = event.events;
    if (epoll_ctl(app->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        WRONG("epoll_ctl");
    timers_arm(&app->timers, &c->timer, usec_add(now_monotonic(), app->options->idle_timeout));
}

static void uncount(struct connection *c)
{
    if (c->counted)
        c->app->in_flight--;
    c->counted = false;
}

/* Its memory stays until the loop's turn ends: an event for it may still be in the batch. */
static void die(struct connection *c)
{
    if (c->dead)
        return;
    if (c->phase == PHASE_BODY || c->phase == PHASE_ANSWER)
        c->app->aborted += c->counted;
    uncount(c);
    ledger_abandon(&c->app->ledger, c);
    c->dead = true;
    c->app->n_connections--;
    close_and_forget(&c->fd);
    timers_forget(&c->app->timers, &c->timer);
}

void connection_free(struct connection *c)
{
    die(c);
    list_unlink(&c->link);
    strbuf_deinit(&c->in);
    strbuf_deinit(&c->out);
    strbuf_deinit(&c->head);
    strbuf_deinit(&c->body);
    EVP_MD_CTX_free(c->digest);
    free(c);
}

static void set_interest(struct connection *c)
{
    /* While it answers it does not read on, but hears of the client's leaving. */
    uint32_t events = EPOLLRDHUP;
    if (c->phase != PHASE_ANSWER && !c->close_after)
        events |= EPOLLIN;
    if (c->out_sent < c->out.size)
        events |= EPOLLOUT;
    if (c->dead || events == c->interest)
        return;
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(c->app->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
        WRONG("epoll_ctl");
    c->interest = events;
}

/* --- output --- */

/* Returns whether everything was taken by the kernel. */
static bool write_out(struct connection *c)
{
    while (!c->dead && c->out_sent < c->out.size) {
        ssize_t n =
            send(c->fd, c->out.data + c->out_sent, c->out.size - c->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            c->out_sent += (size_t)n;
        } else if (errno == EAGAIN) {
            return false;
        } else if (errno != EINTR) {
            die(c);
            return false;
        }
    }
    c->out_sent = 0;
    strbuf_clear(&c->out);
    return !c->dead;
}

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 409:
        return "Conflict";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    default:
        return "Status";
    }
}

void answer_head(struct connection *c, int status, const char *content_type, const char *fields)
{
    struct slice id = request_field(c, "x-request-id");
    if (c->app->draining || c->http10)
        c->keep_alive = false;
    strbuf_addf(&c->out, "HTTP/1.1 %d %s\r\nX-App: %s\r\n", status, reason_of(status), c->app->options->name);
    if (content_type)
        strbuf_addf(&c->out, "Content-Type: %s\r\n", content_type);
    if (id.data)
        strbuf_addf(&c->out, "X-Request-ID: %.*s\r\n", (int)id.size, id.data);
    if (!c->keep_alive)
        strbuf_add_string(&c->out, "Connection: close\r\n");
    strbuf_add_string(&c->out, fields);
}

void answer_end(struct connection *c)
{
    c->served++;
    uncount(c);
    timers_disarm(&c->timer);
    c->resume = NULL;
    c->resume_when_written = false;
    if (!c->keep_alive || c->served == c->app->options->max_requests)
        c->close_after = true;
    c->phase = PHASE_HEAD;
    if (!c->close_after)
        timers_arm(&c->app->timers, &c->timer, usec_add(now_monotonic(), c->app->options->idle_timeout));
}

void answer(struct connection *c, int status, const char *content_type, struct slice body)
{
    char length[64] = "\r\n";
    bool bodiless = status == 204 || status == 304;
    if (!bodiless)
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n\r\n", body.size);
    answer_head(c, status, bodiless ? NULL : content_type, length);
    if (!bodiless && !c->is_head)
        strbuf_add_slice(&c->out, body);
    answer_end(c);
}

void answer_text(struct connection *c, int status, const char *text)
{
    answer(c, status, "text/plain", slice_of(text));
}

void answer_chunked(struct connection *c, int status, const char *content_type, const char *fields)
{
    answer_head(c, status, content_type, fields);
    strbuf_add_string(&c->out, c->http10 ? "\r\n" : "Transfer-Encoding: chunked\r\n\r\n");
}

void answer_chunk(struct connection *c, struct slice data)
{
    if (c->is_head || data.size == 0)
        return;
    if (!c->http10)
        strbuf_addf(&c->out, "%zx\r\n", data.size);
    strbuf_add_slice(&c->out, data);
    if (!c->http10)
        strbuf_add_string(&c->out, "\r\n");
}

void answer_chunked_end(struct connection *c, const char *trailers)
{
    if (!c->http10 && !c->is_head)
        strbuf_addf(&c->out, "0\r\n%s\r\n", trailers);
    answer_end(c);
}

void answer_later(struct connection *c, usec_t pause, void (*resume)(struct connection *c))
{
    c->resume = resume;
    timers_arm(&c->app->timers, &c->timer, usec_add(now_monotonic(), pause));
}

void answer_when_written(struct connection *c, void (*resume)(struct connection *c))
{
    c->resume = resume;
    c->resume_when_written = true;
}

void answer_abort(struct connection *c, bool reset)
{
    write_out(c);
    if (reset && !c->dead) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    uncount(c);
    die(c);
}

void answer_upgrade(struct connection *c, void (*on_tunnel)(struct connection *c))
{
    timers_disarm(&c->timer);
    c->phase = PHASE_TUNNEL;
    c->on_tunnel = on_tunnel;
}

/* --- requests --- */

static struct slice trim(struct slice s)
{
    while (s.size > 0 && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = slice_make(s.data + 1, s.size - 1);
    while (s.size > 0 && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

struct slice request_field(const struct connection *c, const char *name)
{
    size_t size = strlen(name);
    const char *line = c->head.data ? memmem(c->head.data, c->head.size, "\r\n", 2) : NULL;
    while (line) {
        line += 2;
        size_t left = c->head.size - (size_t)(line - c->head.data);
        const char *end = memmem(line, left, "\r\n", 2);
        if (!end || end == line)
            break;
        if ((size_t)(end - line) > size && line[size] == ':' && strncasecmp(line, name, size) == 0)
            return trim(slice_make(line + size + 1, (size_t)(end - line) - size - 1));
        line = end;
    }
    return (struct slice){0};
}

uint64_t query_number(const struct connection *c, const char *name, uint64_t fallback)
{
    struct slice rest = c->query;
    size_t size = strlen(name);
    while (rest.size > size) {
        if (memcmp(rest.data, name, size) == 0 && rest.data[size] == '=') {
            uint64_t value = 0;
            for (size_t i = size + 1; i < rest.size && rest.data[i] >= '0' && rest.data[i] <= '9'; i++)
                value = value * 10 + (uint64_t)(rest.data[i] - '0');
            return value;
        }
        const char *next = memchr(rest.data, '&', rest.size);
        if (!next)
            break;
        rest = slice_make(next + 1, rest.size - (size_t)(next + 1 - rest.data));
    }
    return fallback;
}

static bool parse_request_line(struct connection *c)
{
    const char *end = memmem(c->head.data, c->head.size, "\r\n", 2);
    const char *space = memchr(c->head.data, ' ', (size_t)(end - c->head.data));
    const char *space2 = space ? memchr(space + 1, ' ', (size_t)(end - space - 1)) : NULL;
    if (!space2 || end - space2 != 9 || memcmp(space2, " HTTP/1.", 8) != 0)
        return false;
    c->method = slice_make(c->head.data, (size_t)(space - c->head.data));
    c->path = slice_make(space + 1, (size_t)(space2 - space - 1));
    const char *question = memchr(c->path.data, '?', c->path.size);
    c->query = (struct slice){0};
    if (question) {
        c->query = slice_make(question + 1, c->path.size - (size_t)(question + 1 - c->path.data));
        c->path.size = (size_t)(question - c->path.data);
    }
    const char *prefix = c->app->options->prefix;
    if (prefix && slice_starts_with(c->path, slice_of(prefix)))
        c->path = slice_make(c->path.data + strlen(prefix), c->path.size - strlen(prefix));
    if (c->path.size == 0)
        c->path = SLICE_LITERAL("/");
    c->http10 = space2[8] == '0';
    c->is_head = slice_eq(c->method, SLICE_LITERAL("HEAD"));
    return true;
}

static void begin_body(struct connection *c)
{
    struct slice length = request_field(c, "content-length");
    c->body_chunked = request_field(c, "transfer-encoding").data != NULL;
    c->body_size = c->body_left = 0;
    strbuf_clear(&c->body);
    if (!c->body_chunked)
        for (size_t i = 0; i < length.size; i++)
            c->body_left = c->body_left * 10 + (uint64_t)(length.data[i] - '0');
    if (endpoint_find(c->path)->body == BODY_DIGESTED) {
        if (!c->digest)
            c->digest = EVP_MD_CTX_new();
        EVP_DigestInit_ex(c->digest, EVP_sha256(), NULL);
    }
    if (slice_caseeq(request_field(c, "expect"), SLICE_LITERAL("100-continue")))
        strbuf_add_string(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
}

static void consume(struct connection *c, size_t size)
{
    memmove(c->in.data, c->in.data + size, c->in.size - size);
    c->in.size -= size;
}

/* Returns whether it went a step further. */
static bool read_head(struct connection *c)
{
    const char *end = c->in.size > 0 ? memmem(c->in.data, c->in.size, "\r\n\r\n", 4) : NULL;
    if (!end) {
        if (c->in.size > HEAD_MAX)
            die(c);
        return false;
    }
    size_t size = (size_t)(end - c->in.data) + 4;
    strbuf_clear(&c->head);
    strbuf_add(&c->head, c->in.data, size);
    consume(c, size);
    if (!parse_request_line(c)) {
        die(c);
        return false;
    }
    struct slice connection = request_field(c, "connection");
    c->keep_alive = !c->http10 && !slice_caseeq(connection, SLICE_LITERAL("close"));
    c->counted = true;
    c->app->requests++;
    c->app->in_flight++;
    timers_disarm(&c->timer);
    begin_body(c);
    c->phase = PHASE_BODY;
    return true;
}

static void take_body(struct connection *c, size_t size)
{
    enum body_use use = endpoint_find(c->path)->body;
    if (use == BODY_KEPT && c->body.size + size <= BODY_KEPT_MAX)
        strbuf_add(&c->body, c->in.data, size);
    else if (use == BODY_DIGESTED)
        EVP_DigestUpdate(c->digest, c->in.data, size);
    c->body_size += size;
    c->body_left -= size;
    consume(c, size);
}

static void serve(struct connection *c)
{
    c->phase = PHASE_ANSWER;
    c->step = 0;
    endpoint_serve(c);
}

static bool read_body(struct connection *c)
{
    if (c->body_left > 0) {
        size_t size = MIN(c->in.size, (size_t)c->body_left);
        if (size == 0)
            return false;
        take_body(c, size);
        /* The line end after a chunk is read with the next chunk's size. */
        return true;
    }
    if (!c->body_chunked) {
        serve(c);
        return true;
    }
    size_t skip = c->body_size > 0 ? 2 : 0;
    if (c->in.size <= skip)
        return false;
    const char *end = memmem(c->in.data + skip, c->in.size - skip, "\r\n", 2);
    if (!end)
        return false;
    uint64_t size = strtoull(c->in.data + skip, NULL, 16);
    size_t used = (size_t)(end - c->in.data) + 2;
    if (size == 0) {
        /* Trailers up to an empty line. */
        const char *last = memmem(end, c->in.size - (size_t)(end - c->in.data), "\r\n\r\n", 4);
        if (!last)
            return false;
        used = (size_t)(last - c->in.data) + 4;
        c->body_chunked = false;
    }
    consume(c, used);
    c->body_left = size;
    return true;
}

static void process(struct connection *c)
{
    bool more = true;
    while (more && !c->dead && !c->close_after) {
        switch (c->phase) {
        case PHASE_HEAD:
            more = read_head(c);
            break;
        case PHASE_BODY:
            more = read_body(c);
            break;
        case PHASE_ANSWER:
            more = false;
            break;
        case PHASE_TUNNEL:
            if (c->in.size > 0)
                c->on_tunnel(c);
            more = false;
            break;
        default:
            WRONG("phase");
        }
    }
}

/* Writes what there is, lets an endpoint that waited for that go on, and reads what was pipelined. */
static void push(struct connection *c)
{
    while (write_out(c)) {
        if (c->resume_when_written) {
            c->resume_when_written = false;
            c->resume(c);
            continue;
        }
        if (c->close_after) {
            die(c);
            return;
        }
        process(c);
        if (c->out.size == 0)
            break;
    }
    set_interest(c);
}

static void receive_request(struct connection *c)
{
    ssize_t n = recv(c->fd, receive_buffer, sizeof(receive_buffer), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        die(c);
        return;
    }
    strbuf_add(&c->in, receive_buffer, (size_t)n);
    process(c);
}

void connection_on_events(struct connection *c, uint32_t events)
{
    if (c->dead)
        return;
    if (events & (EPOLLHUP | EPOLLERR) || (c->phase == PHASE_ANSWER && events & EPOLLRDHUP)) {
        die(c);
        return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP))
        receive_request(c);
    push(c);
}

void connection_on_timer(struct connection *c)
{
    if (c->phase == PHASE_ANSWER)
        c->resume(c);
    else if (c->phase == PHASE_HEAD)
        die(c);
    push(c);
}

void connection_drain(struct connection *c)
{
    if (c->phase == PHASE_HEAD && c->out.size == 0 && c->in.size == 0)
        die(c);
    else
        c->keep_alive = false;
}
