#pragma once
/* The generations before this one that still drain: each has a channel to us, over which its connections come
 * as they become idle, what it has counted, and what it says of itself. */

#include <jansson.h>

#include "http/loop.h"
#include "lifecycle/channel.h"
#include "util/clock.h"

struct ancestors;

struct ancestor {
    uint64_t generation;            /* 0: it did not say */
    uint64_t requests, connections; /* what it still has, as it said last */
    usec_t deadline;                /* when it cuts what is left, CLOCK_MONOTONIC; USEC_INFINITY: never */
    bool farewell;                  /* it has said that it ends */
    uint64_t answered, cut;         /* … and what it did in its life */
    uint64_t not_moved;             /* connections that it could not hand over */
};

struct ancestors_options {
    struct loop *loop;
    /* Idle connections: see handover_receive(). The callee may take descriptors out of the message. */
    void (*on_connections)(void *userdata, struct channel_message *message);
    /* What it has counted since it said so last. */
    void (*on_counters)(void *userdata, const json_t *document);
    /* One has ended; without farewell it died. */
    void (*on_end)(void *userdata, const struct ancestor *ancestor);
    void *userdata;
};

struct ancestors *ancestors_new(const struct ancestors_options *options);
/* Accepts NULL, returns NULL. */
struct ancestors *ancestors_free(struct ancestors *ancestors);

/* Consumes the channel. */
void ancestors_add(struct ancestors *ancestors, int channel, uint64_t generation);
size_t ancestors_count(const struct ancestors *ancestors);
/* The i-th, the youngest first; NULL beyond the last. Valid until the loop turns. */
const struct ancestor *ancestors_get(const struct ancestors *ancestors, size_t i);
/* Sends all of them a message without fields. */
void ancestors_tell(struct ancestors *ancestors, const char *type);
/* We end: what they have sent is taken, and from now on they can send nothing, so that what they would give
 * stays theirs. They still hear us. */
void ancestors_take_last(struct ancestors *ancestors);
/* We are replaced, too: from now on they talk to our successor, at the other end of `channel`. */
void ancestors_pass_on(struct ancestors *ancestors, int channel);
