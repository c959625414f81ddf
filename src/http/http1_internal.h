#pragma once
/* What http1.c, http1_read.c and http1_write.c share about a connection. Nobody else includes this. */

#include "http/conn.h"
#include "http/exchange.h"
#include "http/outflow.h"
#include "http/pace.h"
#include "upstream/chunked.h"

enum http1_state {
    HTTP1_IDLE,
    HTTP1_HEAD,
    HTTP1_BODY,
    HTTP1_ANSWER,
    _HTTP1_STATE_MAX,
};

struct deferred_send {
    h2o_iovec_t *bufs;
    size_t n_bufs;
    h2o_send_state_t state;
};

struct http1 {
    h2o_conn_t super; /* must be first: req.conn points here */
    struct conn *conn;
    h2o_socket_t *sock;
    enum http1_state state;
    struct timer timer; /* of the state */
    usec_t idle_since;
    struct pace pace;       /* of the body, then of the response, once is_paced */
    bool is_paced;          /* the client has been slow to take it */
    usec_t write_at;        /* when the last write began; when it ended, if none is under way and is_paced */
    struct outflow outflow; /* what it takes, if is_paced */
    struct timer watch_timer; /* looks for a hang-up behind bytes that must not be read yet */

    size_t scan_offset, scan_start; /* of the search for the head's end */
    size_t head_size;               /* including empty lines before it */
    size_t request_size;
    struct chunked *chunked_in; /* NULL: the body has a length */
    uint64_t body_left;         /* … of which so much has not come yet */
    struct exchange *exchange;
    uint64_t n_requests;

    bool write_in_flight;
    bool interim_in_flight;
    bool head_sent;
    bool chunked_out;
    bool is_final; /* the write in flight is the last of the response */
    bool failed;   /* the response could not be completed: the client must see that */
    bool has_deferred;
    struct deferred_send deferred;
    h2o_iovec_t upgrade_head; /* the last of HTTP, if on_detached */
    void (*on_detached)(void *userdata, struct conn *conn);
    void *detached_userdata;

    h2o_ostream_t ostream;
    h2o_req_t req; /* must be last: it ends in a large pool */
};

static inline struct http1 *http1_of(const struct conn *conn)
{
    return conn->protocol;
}

/* http1.c */
/* Makes ready for the next request; bound to the server's configuration. */
void http1_init_request(struct http1 *h);
/* Frees all but the conn and its socket, which the caller goes on with. */
void http1_release(struct http1 *h);
/* Ends the connection. `linger`: the client may still be sending or reading. */
void http1_close(struct http1 *h, bool linger);
/* Ends a connection whose response is incomplete, so that the client cannot take it for whole. */
void http1_close_incomplete(struct http1 *h);
/* Ends it with a reset: nothing that waits to be sent is kept for a client that does not take it. */
void http1_reset(struct http1 *h);
/* Answers with an error and ends the connection: the rest of the request, if any, is not read. */
void http1_refuse(struct http1 *h, int status, const char *detail);
/* The request is whole: has it answered, watching meanwhile for the client's going away. */
void http1_run_exchange(struct http1 *h);

/* Whether it is to be given away, and can be: nothing of a request is in this process. */
bool http1_is_movable(const struct http1 *h);
/* Gives its socket away; the connection is gone here. */
void http1_give_away(struct http1 *h);

/* http1_timer.c */
void http1_init_timer(struct http1 *h);
/* Moves to a state and starts its clock. */
void http1_set_state(struct http1 *h, enum http1_state state);
/* So much more of the body has come. */
void http1_body_arrives(struct http1 *h, size_t bytes);
/* Something is to be written, and was. */
void http1_write_begins(struct http1 *h);
void http1_write_ends(struct http1 *h);

/* http1_read.c */
/* Reads from now on; what is in the input buffer is looked at first. */
void http1_await_request(struct http1 *h);
/* So much of the input buffer was used up. */
void http1_drop_input(struct http1 *h, size_t size);

/* Receives what there is, but at most `size` bytes: h2o reads without a bound. Returns how many; -1: none
 * just now; 0: no more will come, and the connection is gone. */
ssize_t http1_receive(struct http1 *h, void *to, size_t size);

/* http1_body.c */
struct request_head;
/* Whether all that belongs to the request has come with its head. */
bool http1_body_is_here(const struct http1 *h, const struct request_head *head, size_t head_size);
/* The head is complete: has the body read, if there is one, and the request answered. */
void http1_start_body(struct http1 *h, const struct request_head *head);
/* Some of it has come. */
void http1_read_body(struct http1 *h);

/* http1_write.c */
void http1_ostream_send(h2o_ostream_t *self, h2o_req_t *req, h2o_iovec_t *bufs, size_t n_bufs,
                        h2o_send_state_t state);
