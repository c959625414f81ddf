#pragma once
/* What the two halves of the proxy share: proxy.c brings a response to the client, proxy_try.c a request to a
 * target. Nobody else includes this. */

#include "http/exchange.h"
#include "http/proxy.h"
#include "http/server_upstream.h"

struct proxy {
    h2o_generator_t generator; /* must be first: h2o hands it back */
    struct exchange *exchange;
    struct server_upstream *upstream;

    /* towards the target: proxy_try.c */
    struct client *client; /* NULL between tries and after the end */
    struct slice head;
    struct client_file body_file; /* if the body is in one */
    struct server_choice choice;
    struct roster_permit permit; /* of the try under way */
    uint64_t *tried;             /* a bit per slot; forgotten when a held request finds no other */
    usec_t try_began;
    unsigned sent;                 /* tries of which something was sent */
    bool repeatable;               /* it may be sent again after it was sent */
    bool again;                    /* it comes from the queue, and goes back to its old place there */
    bool placed;                   /* it has a place at a target: there is a permit to give back */
    struct client_outcome failure; /* of the last try */
    bool untold;                   /* … and the journal has yet to hear of it */
    usec_t hold_began;             /* waiting, the last time */
    usec_t held;                   /* for how long, in all */
    struct hold_entry hold;
    struct timer try_timer;     /* TryTimeoutSec= */
    struct timer request_timer; /* RequestTimeoutSec= */

    /* towards the client: proxy.c */
    bool response_started; /* the client's response has its head */
    bool sending;          /* an h2o_send() has not been proceeded yet */
    usec_t sent_at;        /* what the client has yet to take; 0: nothing */
    usec_t client_time;    /* spent on what it has taken */
    bool piece_out;        /* a body piece is the client's to take */
    bool ended;            /* the final piece was sent */
    bool broken;           /* the target broke off: so must the response, at the next proceed */
    struct {
        struct slice data;
        bool present, final;
    } waiting;
    struct timer flush_timer; /* sends a head whose body does not follow at once */
};

/* proxy.c: what comes of the request is told to the client. */
/* An error of our own; 503 with Retry-After. */
void proxy_fail(struct proxy *proxy, int status, const char *detail);
/* A response that has begun ends here; the client must see that it is not whole. */
void proxy_break_off(struct proxy *proxy);
void proxy_on_informational(void *userdata, const struct client_response *response);
void proxy_on_head(void *userdata, const struct client_response *response);
void proxy_on_body(void *userdata, struct slice data, bool final);

/* proxy_try.c: the request's way to a target. */
void proxy_begin(struct proxy *proxy);
/* A response head has come: no further try will be made. */
void proxy_answered(struct proxy *proxy);
/* The last of a response's body has come. */
void proxy_completed(struct proxy *proxy);
/* The connection is the client's now, as a tunnel: the try has ended well. */
void proxy_stolen(struct proxy *proxy);
/* The request is gone: whatever is under way is undone. */
void proxy_abandon(struct proxy *proxy);
