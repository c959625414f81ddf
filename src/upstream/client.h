#pragma once
/* One HTTP/1.1 exchange with one target, and the pool of idle connections to it.
 *
 * The client knows exactly how far an exchange came, because whether a request may be tried again hangs on
 * it: an outcome says whether any byte of the request was handed to the kernel, on a fresh or a reused
 * connection, and whether any byte of a response came back. It decides nothing: trying again is the caller's.
 *
 * Everything runs on the thread of the loop it was made with. Callbacks are never called from within
 * client_start() or client_cancel(), only from the loop. */

#include "config/config.h"
#include "util/clock.h"
#include "util/macros.h"
#include "util/slice.h"

struct st_h2o_evloop_t; /* h2o's event loop */
struct st_h2o_socket_t;

struct client_context; /* what all pools of one loop share: deadlines, spare buffers */
struct client_pool;    /* idle connections to one target, of one worker */
struct client;         /* one exchange */

enum client_error {
    CLIENT_OK,
    CLIENT_CONNECT_FAILED, /* refused, unreachable, no such socket, no descriptor: nothing was sent */
    CLIENT_CONNECT_TIMEOUT,
    CLIENT_SEND_FAILED,        /* the connection broke while the request was written and no response came */
    CLIENT_CLOSED_EARLY,       /* closed or reset before a whole response head came */
    CLIENT_BAD_RESPONSE,       /* what came is not HTTP/1, or its framing is ambiguous */
    CLIENT_FIRST_BYTE_TIMEOUT, /* no response head in time */
    CLIENT_TRY_TIMEOUT,        /* the caller gave it up: client_abandon() */
    CLIENT_BETWEEN_BYTES_TIMEOUT, /* the body stalled */
    CLIENT_TRUNCATED,             /* closed or reset before the body was whole */
    _CLIENT_ERROR_MAX,
};

/* A few words for the journal ("connection refused" comes from `os_error` below). */
const char *client_error_to_string(enum client_error error);

struct client_outcome {
    enum client_error error;
    int os_error;        /* errno behind it, 0 if none */
    const char *detail;  /* what was wrong with the response, in a few constant words, or NULL */
    bool sent;           /* at least one byte of the request was accepted by the kernel */
    bool reused;         /* the connection came from the pool */
    bool response_began; /* at least one byte of a response (1xx too) was received */
    usec_t duration;     /* from client_start() */
};

/* What it was that failed, in a few words with what the kernel says of it: "cannot connect: Connection
 * refused". */
void client_outcome_describe(const struct client_outcome *outcome, char *buf, size_t size);
/* Whether nobody listens at the address, which is definite. */
bool client_outcome_is_refused(const struct client_outcome *outcome);

struct client_header {
    struct slice name; /* as received */
    struct slice value;
};

struct client_response {
    int status;
    struct slice reason;
    const struct client_header *headers; /* all of them, hop-by-hop ones too */
    size_t n_headers;
    uint64_t content_length;  /* of the body that on_body will get; UINT64_MAX: not known */
    uint64_t declared_length; /* the Content-Length field, also for HEAD and 304; UINT64_MAX: none */
    bool has_body;            /* on_body will be called */
};

struct client_callbacks {
    /* An interim response other than 100 and 101. Optional. */
    void (*on_informational)(void *userdata, const struct client_response *response);
    /* The final response head. Slices are valid during the call only. Status 101 is passed here too, and is
     * followed by nothing: take the connection with client_steal(), or cancel. When has_body is false the
     * exchange is over with this call, and on_done follows. */
    void (*on_head)(void *userdata, const struct client_response *response);
    /* Body bytes (already unchunked), never empty unless `final`. They stay valid until client_continue(),
     * and until then nothing further comes, not even on_done. */
    void (*on_body)(void *userdata, struct slice data, bool final);
    /* The exchange is over, well or badly, and the client object is gone. After a final on_body it comes once
     * client_continue() was called. Never called after client_cancel(). */
    void (*on_done)(void *userdata, const struct client_outcome *outcome);
};

/* A file, from its first byte on. The descriptor is borrowed and its offset not touched. */
struct client_file {
    int fd;
    uint64_t size; /* bytes */
};

/* The bytes must stay valid until on_done, or until the client is cancelled or stolen. */
struct client_request {
    struct slice head;                   /* serialised: request line, fields, empty line */
    struct slice body;                   /* whole; may be empty */
    const struct client_file *body_file; /* in place of `body`, or NULL */
    bool is_head;                        /* the response has no body */
    bool is_upgrade;                     /* a 101 is acceptable; otherwise it is CLIENT_BAD_RESPONSE */
    bool fresh;                          /* do not use a pooled connection */
    bool connect_only;      /* CLIENT_OK when there is a connection, which is closed then: head is not sent */
    usec_t stand;           /* … and for how long it must stand before that; 0: not at all */
    usec_t connect_timeout; /* 0: the upstream's */
    usec_t first_byte_timeout; /* 0: the upstream's */
};

/* One for each loop, made before the pools and freed after them, before the loop is. Negative errno when no
 * descriptor is to be had. */
int client_context_new(struct client_context **ret, struct st_h2o_evloop_t *loop) _warn_unused_;
/* All pools must be gone. Accepts NULL, returns NULL. */
struct client_context *client_context_free(struct client_context *context);

/* `context`, `upstream` and `target` must outlive the pool. `on_pool_change` (optional) hears of idle
 * connections coming (+1) and going (-1), `on_connection` (optional) of all, from before they are opened,
 * which is within client_start(), until they are closed.
 */
struct client_pool *client_pool_new(struct client_context *context, const struct upstream_config *upstream,
                                    const struct target_config *target,
                                    void (*on_pool_change)(void *userdata, int change),
                                    void (*on_connection)(void *userdata, int change), void *userdata);
/* For what on_pool_change and on_connection get from now on. */
void client_pool_set_userdata(struct client_pool *pool, void *userdata);
/* Closes the idle connections. No exchange may be under way. Accepts NULL, returns NULL. */
struct client_pool *client_pool_free(struct client_pool *pool);
/* Closes the idle connections; exchanges under way go on, and their connections are closed afterwards.
 * Connections made from now on are kept as before. */
void client_pool_drain(struct client_pool *pool);
/* Closes the idle connection that was used longest ago, if there is one. */
void client_pool_close_one(struct client_pool *pool);
/* Whether an idle connection can be had. Those that the target has closed are no longer kept then. */
bool client_pool_has_idle(struct client_pool *pool);
/* Exchanges under way, and idle connections kept. */
size_t client_pool_active(const struct client_pool *pool);
size_t client_pool_idle(const struct client_pool *pool);

/* Starts an exchange. Always succeeds; a failure is told by on_done, from the loop. */
struct client *client_start(struct client_pool *pool, const struct client_request *request,
                            const struct client_callbacks *callbacks, void *userdata);
/* The bytes of the last on_body are no longer needed. What is next (on_body, on_done) comes from the loop,
 * not from within this call, which may be made in on_body itself. */
void client_continue(struct client *client);
/* Whether its connection came from the pool. */
bool client_is_reused(const struct client *client);
/* Whether the kernel has taken anything of the request. */
bool client_has_sent(const struct client *client);
/* Whether anything of a response, also an interim one, has come. */
bool client_is_answered(const struct client *client);
/* Ends the exchange at once: its connection is closed, no callback follows. What a callback was given is not
 * valid any more, also within that callback. */
void client_cancel(struct client *client);
/* The same when the caller's patience is at an end: what is known of it then, as CLIENT_TRY_TIMEOUT. */
void client_abandon(struct client *client, struct client_outcome *ret);
/* After on_head with 101: takes the socket, which is not being read and whose input buffer holds what came
 * after the head. The client is gone afterwards, as by client_cancel(). The caller closes the socket. */
struct st_h2o_socket_t *client_steal(struct client *client);
