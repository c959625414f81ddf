#pragma once
/* Replacing a running generation: the successor's side of a reload, until it leads. */

#include <jansson.h>

#include "http/loop.h"
#include "util/macros.h"

struct heir;

/* Reads what the predecessor has to say to begin with. The channel is consumed. */
struct heir *heir_new(int channel);
/* Accepts NULL, returns NULL. */
struct heir *heir_free(struct heir *heir);

/* The number of the predecessor, and the one that it gave us; 0: it did not say. */
uint64_t heir_predecessor(const struct heir *heir);
uint64_t heir_generation(const struct heir *heir);
/* How long it took from the request until we were ready, and from then until we were told to lead. */
void heir_times(const struct heir *heir, usec_t *ret_start, usec_t *ret_hand_over);
/* What the predecessor lets us know; NULL: nothing. Lives as long as the heir. */
const json_t *heir_document(const struct heir *heir);

struct heir_events {
    /* "go": accept, then call heir_serving(). */
    void (*on_go)(void *userdata);
    /* "lead": this is the main process now: say READY, then call heir_leading(). `document` may be NULL. */
    void (*on_lead)(void *userdata, const json_t *document);
    /* The predecessor has given up, ended, or fallen silent before "lead": this process is nobody's. */
    void (*on_disowned)(void *userdata, const char *reason);
    void *userdata;
};
/* From now on the events come, from the loop. */
void heir_attach(struct heir *heir, struct loop *loop, const struct heir_events *events);

/* Everything is built and checked. */
void heir_ready(struct heir *heir);
/* Every worker accepts. */
void heir_serving(struct heir *heir);
/* READY was said. Returns the channel, which is the caller's from then on, or -1 when the predecessor has
 * ended. */
int heir_leading(struct heir *heir);
/* This start has failed: what is told to whoever asked for the reload. */
void heir_failed(struct heir *heir, const char *reason);
