#pragma once
/* One accepted connection, whatever it speaks: what the server knows of it from accept to close.
 *
 * A struct conn lives exactly as long as its socket: it is made when the socket is accepted and freed by the
 * socket's on_close. The protocol on top (http1.c, http2.c, tunnel.c) is found through conn->kind. */

#include "http/h2o.h"
#include "http/limits.h"
#include "http/server.h"
#include "http/tls_conn.h"
#include "http/timer.h"
#include "util/credentials.h"
#include "util/ip_address.h"
#include "util/list.h"

struct proxy_reader;

enum conn_kind {
    CONN_HANDSHAKE, /* a PROXY header is awaited, or TLS is being negotiated, or says goodbye */
    CONN_HTTP1,
    CONN_HTTP2,
    CONN_TUNNEL,
    _CONN_KIND_MAX,
};

struct conn {
    struct server *server;
    struct list link;      /* in server->conns */
    struct list idle_link; /* in server->idle, while it is idle between requests of HTTP/1 */
    struct place place;    /* what it counts as */
    const struct server_socket *origin;
    h2o_socket_t *sock; /* NULL once it is closed */
    enum conn_kind kind;
    unsigned n_exchanges;              /* requests in progress */
    bool busy;                         /* a request has begun to arrive or is in progress */
    bool adopted;                      /* it was accepted by another process, and is not counted again */
    bool stays;                        /* it is not given away (again) */
    usec_t accepted_at;                /* on the monotonic clock; by whoever accepted it */
    usec_t idle_before;                /* HTTP/1: how long it was idle elsewhere before it came here */
    bool closing;                      /* we are ending it: nothing more is expected from it */
    int linger_fd;                     /* a duplicate kept for the lingering close, -1 otherwise */
    usec_t goaway_at;                  /* HTTP/2 in a drain: when the first GOAWAY was sent, 0 before */
    bool goaway_final;                 /* … and whether the second was */
    void *protocol;                    /* what the kind has: http1.c's object, http2.c's, or the tunnel */
    struct timer timer;                /* of the handshake, and of the goodbye */
    struct proxy_reader *proxy_reader; /* while a PROXY header is awaited */
    struct credentials *credentials;   /* NULL before conn_credentials() */
    bool is_common;                    /* it may not take one of the last places */
    struct ip_address peer;            /* the socket's other end */
    bool is_trusted_proxy;             /* what it says of the clients of its requests is believed */
    struct ip_address client; /* on whose behalf it speaks: the peer itself, where nobody says otherwise */
    char peer_text[IP_ADDRESS_TEXT_MAX]; /* empty before it is asked for, as the other */
    char client_text[IP_ADDRESS_TEXT_MAX];
    struct tls_conn tls;
    struct client_certificate *certificate; /* NULL: none was shown, or asked for */
};

/* Takes a freshly accepted socket and its place, whose other end is `peer`: serves it, or closes it for who
 * its client is.
 */
void conn_accepted(struct server *server, const struct server_socket *origin, int fd,
                   const struct ip_address *peer, struct place place);
/* Takes one that another process has accepted, and that is idle; likewise. */
void conn_adopted(struct server *server, const struct server_socket *origin,
                  const struct moving_connection *connection);
/* The connection behind a request. */
struct conn *conn_of(h2o_conn_t *conn);
struct conn *conn_of_socket(h2o_socket_t *sock);
/* Changes what the connection speaks; keeps the metrics right. */
void conn_set_kind(struct conn *conn, enum conn_kind kind);
/* Tells the server whether a request is in progress on it; keeps the counts right. */
void conn_set_busy(struct conn *conn, bool busy);
/* The address of the socket's other end as text, without port, "unix" for a Unix socket. Owned by the conn.
 */
const char *conn_peer(struct conn *conn);
/* Who the connection is for: that address too, unless a proxy in front of us passed another one on. */
const struct ip_address *conn_client(const struct conn *conn);
const char *conn_client_text(struct conn *conn);
/* Whether they are two. */
static inline bool conn_is_passed_on(const struct conn *conn)
{
    return !ip_address_eq(&conn->client, &conn->peer);
}
/* Who is at the other end of a Unix socket; of others, and where the kernel does not tell, pid is 0. Owned by
 * the conn. */
const struct credentials *conn_credentials(struct conn *conn);
/* Whether a request may say that it is for this scheme: that of the connection, or any, where a proxy in
 * front of us may have ended its client's TLS, or begun its own. */
bool conn_may_ask_for(const struct conn *conn, const h2o_url_scheme_t *scheme);
/* Closes its socket when its protocol has ended. With TLS that may have to wait for the client to take the
 * goodbye: until then there is a connection that speaks nothing. */
void conn_close(struct conn *conn);
/* Ends it now, without a word: what is in flight is lost. */
void conn_abort(struct conn *conn);
