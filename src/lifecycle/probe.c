#include <fcntl.h>
#include <sys/socket.h>

#include "lifecycle/bus.h"
#include "lifecycle/probe.h"
#include "lifecycle/resolve.h"
#include "util/strbuf.h"

/* How often a lookup is asked whether it is done: the library has no descriptor to poll. */
#define RESOLVE_INTERVAL (10 * USEC_PER_MSEC)

/* As much of a response as must be seen: "HTTP/1.1 200". */
#define STATUS_SIZE 12

enum state {
    STATE_BEGIN,
    STATE_RESOLVING,
    STATE_CONNECTING,
    STATE_SENDING,
    STATE_RECEIVING,
    STATE_ASKING, /* systemd about a unit */
};

struct probe {
    const struct check_config *check;
    enum state state;
    int fd;
    struct resolve *resolve;
    const struct addrinfo *address; /* the one being tried, when the name had to be looked up */
    struct bus_query *query;
    struct strbuf request;
    size_t sent;
    char response[STATUS_SIZE];
    size_t received;
};

struct probe *probe_new(const struct check_config *check)
{
    struct probe *probe = xcalloc(1, sizeof(*probe));
    probe->check = check;
    probe->fd = -1;
    return probe;
}

struct probe *probe_free(struct probe *probe)
{
    if (!probe)
        return NULL;
    close_and_forget(&probe->fd);
    resolve_free(probe->resolve);
    bus_query_free(probe->query);
    strbuf_deinit(&probe->request);
    free(probe);
    return NULL;
}

void probe_prepare(const struct probe *probe, struct pollfd *ret_poll, usec_t *ret_until)
{
    *ret_poll = (struct pollfd){.fd = probe->fd};
    *ret_until = USEC_INFINITY;
    switch (probe->state) {
    case STATE_BEGIN:
        *ret_until = 0;
        break;
    case STATE_RESOLVING:
        *ret_until = now_monotonic() + RESOLVE_INTERVAL;
        break;
    case STATE_CONNECTING:
    case STATE_SENDING:
        ret_poll->events = POLLOUT;
        break;
    case STATE_RECEIVING:
        ret_poll->events = POLLIN;
        break;
    case STATE_ASKING:
        bus_query_prepare(probe->query, ret_poll, ret_until);
        break;
    default:
        WRONG("probe state");
    }
}

const char *probe_waits_for(const struct probe *probe)
{
    switch (probe->state) {
    case STATE_RESOLVING:
        return "the name was not found";
    case STATE_ASKING:
        return "systemd did not answer";
    case STATE_SENDING:
    case STATE_RECEIVING:
        return "no response";
    case STATE_BEGIN:
    case STATE_CONNECTING:
        return "no connection";
    default:
        WRONG("probe state");
    }
}

static enum probe_result fail(char **ret_reason, const char *format, ...) _printf_(2, 3);
static enum probe_result fail(char **ret_reason, const char *format, ...)
{
    struct strbuf reason = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&reason, format, args);
    va_end(args);
    *ret_reason = strbuf_steal(&reason);
    return PROBE_FAILED;
}

static enum probe_result fail_errno(char **ret_reason, int error)
{
    const char *text = strerrordesc_np(error);
    return fail(ret_reason, "%s", text ? text : "unknown error");
}

static enum probe_result check_path(struct probe *probe, char **ret_reason)
{
    if (faccessat(AT_FDCWD, probe->check->target, probe->check->path_mode, AT_EACCESS) < 0)
        return fail_errno(ret_reason, errno);
    return PROBE_PASSED;
}

static enum probe_result begin_connect(struct probe *probe, const struct sockaddr *address, socklen_t size,
                                       char **ret_reason)
{
    close_and_forget(&probe->fd);
    probe->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe->fd < 0)
        return fail_errno(ret_reason, errno);
    if (connect(probe->fd, address, size) < 0 && errno != EINPROGRESS)
        return errno == EAGAIN ? fail(ret_reason, "its queue of connections is full")
                               : fail_errno(ret_reason, errno);
    probe->state = STATE_CONNECTING;
    return PROBE_PENDING;
}

static enum probe_result begin_resolve(struct probe *probe, char **ret_reason)
{
    const int r = resolve_new(&probe->resolve, probe->check->address.text);
    if (r < 0)
        return fail_errno(ret_reason, -r);
    probe->state = STATE_RESOLVING;
    return PROBE_PENDING;
}

static enum probe_result begin_query(struct probe *probe, char **ret_reason)
{
    const int r = bus_query_new(&probe->query, probe->check->target);
    if (r < 0)
        return fail(ret_reason, "no system bus to ask systemd: %s", strerrordesc_np(-r));
    probe->state = STATE_ASKING;
    return PROBE_PENDING;
}

static enum probe_result begin(struct probe *probe, char **ret_reason)
{
    const struct address_config *address = &probe->check->address;
    switch (probe->check->kind) {
    case CHECK_PATH:
        return check_path(probe, ret_reason);
    case CHECK_UNIT:
        return begin_query(probe, ret_reason);
    case CHECK_CONNECT:
    case CHECK_HTTP:
        if (address->size == 0)
            return begin_resolve(probe, ret_reason);
        return begin_connect(probe, (const struct sockaddr *)&address->sockaddr, address->size, ret_reason);
    default:
        WRONG("check kind");
    }
}

/* Goes on to the next address that the name has; the last one's failure is the name's. */
static enum probe_result try_next_address(struct probe *probe, char **ret_reason)
{
    while (probe->address) {
        const struct addrinfo *address = probe->address;
        probe->address = address->ai_next;
        free(*ret_reason);
        *ret_reason = NULL;
        if (begin_connect(probe, address->ai_addr, address->ai_addrlen, ret_reason) == PROBE_PENDING)
            return PROBE_PENDING;
    }
    return PROBE_FAILED;
}

static enum probe_result step_resolving(struct probe *probe, char **ret_reason)
{
    const int r = resolve_step(probe->resolve);
    if (r == EAI_INPROGRESS)
        return PROBE_PENDING;
    if (r != 0)
        return fail(ret_reason, "the name was not found: %s", gai_strerror(r));
    probe->address = resolve_addresses(probe->resolve);
    return try_next_address(probe, ret_reason);
}

static bool is_ready(int fd, short events)
{
    struct pollfd poll_for = {.fd = fd, .events = events};
    return poll(&poll_for, 1, 0) > 0;
}

static enum probe_result step_connecting(struct probe *probe, char **ret_reason)
{
    if (!is_ready(probe->fd, POLLOUT))
        return PROBE_PENDING;
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(probe->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    if (error != 0) {
        fail_errno(ret_reason, error);
        return try_next_address(probe, ret_reason);
    }
    if (probe->check->kind == CHECK_CONNECT)
        return PROBE_PASSED;
    strbuf_addf(&probe->request,
                "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: holdfast/" HOLDFAST_VERSION
                "\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                probe->check->http_path, probe->check->http_host);
    probe->state = STATE_SENDING;
    return PROBE_PENDING;
}

static enum probe_result step_sending(struct probe *probe, char **ret_reason)
{
    while (probe->sent < probe->request.size) {
        const ssize_t n = send(probe->fd, probe->request.data + probe->sent,
                               probe->request.size - probe->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return PROBE_PENDING;
        if (n < 0 && errno != EINTR)
            return fail_errno(ret_reason, errno);
        probe->sent += n > 0 ? (size_t)n : 0;
    }
    probe->state = STATE_RECEIVING;
    return PROBE_PENDING;
}

static enum probe_result judge_response(const char response[STATUS_SIZE], char **ret_reason)
{
    const char *digits = response + STATUS_SIZE - 3;
    if (memcmp(response, "HTTP/1.", STRLEN("HTTP/1.")) != 0 || response[STATUS_SIZE - 4] != ' ' ||
        digits[0] < '1' || digits[0] > '9' || digits[1] < '0' || digits[1] > '9' || digits[2] < '0' ||
        digits[2] > '9')
        return fail(ret_reason, "what answers does not speak HTTP/1");
    if (digits[0] == '2' || digits[0] == '3')
        return PROBE_PASSED;
    return fail(ret_reason, "status %.3s", digits);
}

static enum probe_result step_receiving(struct probe *probe, char **ret_reason)
{
    while (probe->received < STATUS_SIZE) {
        const ssize_t n =
            recv(probe->fd, probe->response + probe->received, STATUS_SIZE - probe->received, MSG_DONTWAIT);
        if (n == 0)
            return fail(ret_reason, "the connection was closed without a response");
        if (n < 0 && errno == EAGAIN)
            return PROBE_PENDING;
        if (n < 0 && errno != EINTR)
            return fail_errno(ret_reason, errno);
        probe->received += n > 0 ? (size_t)n : 0;
    }
    return judge_response(probe->response, ret_reason);
}

static enum probe_result step_asking(struct probe *probe, char **ret_reason)
{
    _cleanup_free_ char *state = NULL;
    const int r = bus_query_step(probe->query, &state);
    if (r == 0)
        return PROBE_PENDING;
    if (r < 0)
        return fail(ret_reason, "systemd cannot be asked: %s", strerrordesc_np(-r));
    return streq(state, "active") ? PROBE_PASSED : fail(ret_reason, "the unit is %s", state);
}

static enum probe_result step_once(struct probe *probe, char **ret_reason)
{
    switch (probe->state) {
    case STATE_BEGIN:
        return begin(probe, ret_reason);
    case STATE_RESOLVING:
        return step_resolving(probe, ret_reason);
    case STATE_CONNECTING:
        return step_connecting(probe, ret_reason);
    case STATE_SENDING:
        return step_sending(probe, ret_reason);
    case STATE_RECEIVING:
        return step_receiving(probe, ret_reason);
    case STATE_ASKING:
        return step_asking(probe, ret_reason);
    default:
        WRONG("probe state");
    }
}

enum probe_result probe_step(struct probe *probe, char **ret_reason)
{
    char *reason = NULL;
    enum probe_result result;
    enum state before;
    do {
        before = probe->state;
        result = step_once(probe, &reason);
    } while (result == PROBE_PENDING && probe->state != before);
    if (result == PROBE_FAILED)
        *ret_reason = reason;
    return result;
}
