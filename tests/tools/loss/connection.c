#include "connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "run.h"

/* A Unix socket whose queue is full says EAGAIN where a blocking connect() would wait. */
#define BACKLOG_RETRY (2 * USEC_PER_MSEC)

static char receive_buffer[65536]; /* one thread, and nothing is kept in it */

void connection_init(struct connection *c, struct run *run, unsigned index)
{
    *c = (struct connection){.run = run, .index = index, .fd = -1, .timer = {.due = USEC_INFINITY}};
}

static void disconnect(struct connection *c)
{
    close_and_forget(&c->fd);
    c->epoch++;
    c->carried = 0;
    c->interest = 0;
}

void connection_deinit(struct connection *c)
{
    disconnect(c);
    timers_forget(&c->run->timers, &c->timer);
    response_deinit(&c->response);
    strbuf_deinit(&c->verify);
}

static void set_interest(struct connection *c, uint32_t events)
{
    if (c->interest == events)
        return;
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)c->epoch << 32 | c->index};
    if (epoll_ctl(c->run->epoll_fd, c->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event) < 0)
        WRONG("epoll_ctl");
    c->interest = events;
}

static void end_request(struct connection *c, enum outcome outcome, int os_error)
{
    usec_t now = now_monotonic();
    bool answered = outcome <= OUTCOME_5XX || outcome == OUTCOME_MISMATCH;
    struct loss loss = {
        .at = usec_sub(now, c->run->tally.started),
        .wall = now_realtime(),
        .after = usec_sub(now, c->due),
        .outcome = outcome,
        .status = answered ? c->response.status : 0,
        .os_error = os_error,
        .connection = c->index,
        .reused = c->carried > 0,
    };
    memcpy(loss.id, c->id, sizeof(c->id));

    if (!answered) {
        disconnect(c);
    } else {
        c->carried++;
        if (c->response.close) {
            c->run->tally.closed_announced++;
            disconnect(c);
        } else if (c->state == CONNECTION_SENDING || c->carried == c->run->options->per_connection) {
            /* An answer to half a request leaves the connection unusable; that is no fault of the server. */
            disconnect(c);
        }
    }
    c->state = CONNECTION_WAITING;
    timers_disarm(&c->timer);
    run_request_ended(c->run, c, &loss);
}

/* --- sending --- */

static void send_request(struct connection *c)
{
    const struct request_template *request = &c->run->request;
    size_t size = request_size(request);
    while (c->sent < size) {
        struct iovec parts[REQUEST_PARTS];
        struct msghdr message = {.msg_iov = parts};
        message.msg_iovlen = request_parts(request, c->id, c->sent, parts);
        ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            c->sent += (size_t)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN) {
            c->state = CONNECTION_SENDING;
            set_interest(c, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
            return;
        }
        if (c->sent == 0 && c->carried > 0) {
            /* The end of a kept connection, found before a byte was sent: as if seen while it was idle. */
            c->run->tally.closed_unannounced++;
            disconnect(c);
            connection_begin(c, c->due);
            return;
        }
        /* An answer may have come before the connection broke. */
        break;
    }
    c->state = c->sent < size ? CONNECTION_SENDING : CONNECTION_RECEIVING;
    set_interest(c, EPOLLIN | EPOLLRDHUP);
}

static void on_connected(struct connection *c)
{
    timers_arm(&c->run->timers, &c->timer, usec_add(now_monotonic(), c->run->options->timeout));
    send_request(c);
}

/* --- connecting --- */

static void connect_failed(struct connection *c, int error)
{
    enum outcome outcome = OUTCOME_CONNECT_FAILED;
    if (error == ECONNREFUSED || error == ENOENT)
        outcome = OUTCOME_REFUSED;
    else if (error == ETIMEDOUT)
        outcome = OUTCOME_CONNECT_TIMEOUT;
    end_request(c, outcome, error);
}

static void try_connect(struct connection *c)
{
    const struct address *address = &c->run->options->address;
    if (connect(c->fd, (const struct sockaddr *)&address->sockaddr, address->size) == 0) {
        on_connected(c);
    } else if (errno == EINPROGRESS || errno == EALREADY || errno == EINTR) {
        timers_arm(&c->run->timers, &c->timer, c->connect_deadline);
        set_interest(c, EPOLLOUT);
    } else if (errno == EAGAIN) {
        timers_arm(&c->run->timers, &c->timer, usec_add(now_monotonic(), BACKLOG_RETRY));
    } else {
        connect_failed(c, errno);
    }
}

static void start_connecting(struct connection *c)
{
    const struct options *options = c->run->options;
    c->state = CONNECTION_CONNECTING;
    c->run->tally.connects++;
    c->connect_deadline = usec_add(now_monotonic(), options->connect_timeout);
    c->fd = socket(options->address.sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        connect_failed(c, errno);
        return;
    }
    int one = 1;
    if (!address_is_unix(&options->address) &&
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0)
        WRONG("TCP_NODELAY");
    try_connect(c);
}

static void on_connect_event(struct connection *c)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error != 0)
        connect_failed(c, error);
    else
        on_connected(c);
}

/* --- receiving --- */

static void on_body(void *userdata, struct slice data)
{
    struct connection *c = userdata;
    const struct options *options = c->run->options;
    c->run->tally.body_bytes += data.size;
    if (options->verify_id && c->verify.size < CONNECTION_VERIFY_MAX)
        strbuf_add(&c->verify, data.data, MIN(data.size, CONNECTION_VERIFY_MAX - c->verify.size));
    if (options->verify_echo && !request_body_matches(&c->run->request, c->id, c->body_received, data))
        c->echo_differs = true;
    c->body_received += data.size;
}

static bool body_is_verified(const struct connection *c)
{
    const struct options *options = c->run->options;
    if (c->response.status < 200 || c->response.status > 299 || c->run->request.is_head)
        return true;
    if (options->verify_id && !memmem(strbuf_string(&c->verify), c->verify.size, c->id, REQUEST_ID_SIZE))
        return false;
    return !options->verify_echo || (!c->echo_differs && c->body_received == c->run->request.body_size);
}

static void on_response(struct connection *c)
{
    enum outcome outcome = (enum outcome)(OUTCOME_2XX + c->response.status / 100 - 2);
    end_request(c, body_is_verified(c) ? outcome : OUTCOME_MISMATCH, 0);
}

static void on_stream_end(struct connection *c, int error)
{
    if (error == 0 && response_ends_at_eof(&c->response))
        on_response(c);
    else if (c->response.began)
        end_request(c, OUTCOME_TRUNCATED, error);
    else
        end_request(c, error != 0 ? OUTCOME_RESET : OUTCOME_EOF, error);
}

static void receive_response(struct connection *c)
{
    ssize_t n = recv(c->fd, receive_buffer, sizeof(receive_buffer), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        on_stream_end(c, n < 0 ? errno : 0);
        return;
    }
    size_t consumed = 0;
    switch (response_feed(&c->response, slice_make(receive_buffer, (size_t)n), &consumed)) {
    case RESPONSE_MORE:
        return;
    case RESPONSE_BAD:
        end_request(c, OUTCOME_BAD_RESPONSE, 0);
        return;
    case RESPONSE_COMPLETE:
        if (consumed < (size_t)n) {
            c->run->tally.unsolicited++;
            c->response.close = true;
        }
        on_response(c);
        return;
    }
}

/* --- between requests --- */

/* Whether the kept connection still stands. If not, it is given up and counted. */
static bool check_kept(struct connection *c)
{
    char byte;
    ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n > 0)
        c->run->tally.unsolicited++;
    c->run->tally.closed_unannounced++;
    disconnect(c);
    return false;
}

void connection_begin(struct connection *c, usec_t due)
{
    const struct options *options = c->run->options;
    c->due = due;
    c->sent = 0;
    c->body_received = 0;
    c->echo_differs = false;
    c->response.on_body = on_body;
    c->response.userdata = c;
    response_reset(&c->response, c->run->request.is_head);
    strbuf_clear(&c->verify);
    request_format_id(&c->run->request, run_next_id(c->run), c->id);

    if (c->fd >= 0 && check_kept(c)) {
        timers_arm(&c->run->timers, &c->timer, usec_add(due, options->timeout));
        send_request(c);
    } else {
        start_connecting(c);
    }
}

void connection_on_events(struct connection *c, uint32_t events)
{
    switch (c->state) {
    case CONNECTION_WAITING:
        check_kept(c);
        return;
    case CONNECTION_CONNECTING:
        on_connect_event(c);
        return;
    case CONNECTION_SENDING:
        if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
            uint32_t epoch = c->epoch;
            uint64_t carried = c->carried;
            receive_response(c);
            /* That may have ended this request, and begun another. */
            if (c->epoch != epoch || c->carried != carried || c->state != CONNECTION_SENDING)
                return;
        }
        if (events & EPOLLOUT)
            send_request(c);
        return;
    case CONNECTION_RECEIVING:
        receive_response(c);
        return;
    default:
        WRONG("state");
    }
}

void connection_on_timer(struct connection *c, usec_t now)
{
    switch (c->state) {
    case CONNECTION_CONNECTING:
        if (now >= c->connect_deadline)
            connect_failed(c, ETIMEDOUT);
        else
            try_connect(c);
        return;
    case CONNECTION_SENDING:
    case CONNECTION_RECEIVING:
        end_request(c, OUTCOME_TIMEOUT, 0);
        return;
    default:
        WRONG("a timer without a request");
    }
}
