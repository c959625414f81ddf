#pragma once
/* How this process follows one generation and is followed by another: the parts of that (heir, reload,
 * ancestors, hand-over) put together. What it means for the rest of the gateway comes as events.
 *
 *              heir.c                         reload.c                    ancestors.c
 *   we start ─► READY? ─► GO ─► LEAD ──► we serve ──► a successor leads ──► we drain, and give away
 *                                 └─ the predecessor becomes an ancestor, which gives away to us
 */

#include <jansson.h>

#include "gateway/ancestors.h"
#include "gateway/crew.h"
#include "gateway/reload.h"

struct succession;

struct succession_options {
    struct loop *loop;
    const struct config *config;
    struct journal *journal;
    struct notify *notify;
    const struct descriptors *descriptors;
    struct crew *crew;
    struct heir *heir; /* borrowed; NULL: we follow nobody */
    uint64_t generation;

    /* As an heir: accept, then succession_accepting() is called; say READY, then succession_leading(); and:
     * nobody waits for this process any more. */
    void (*on_go)(void *userdata);
    void (*on_lead)(void *userdata, const json_t *document);
    void (*on_disowned)(void *userdata, const char *reason);
    /* As a predecessor: a number for the next generation; what it is to know at its start and when it leads;
     * it leads; it has ended, and nobody takes our connections any more. */
    uint64_t (*next_generation)(void *userdata);
    json_t *(*at_start)(void *userdata);
    json_t *(*at_lead)(void *userdata);
    void (*on_replaced)(void *userdata, uint64_t generation);
    void (*on_orphaned)(void *userdata, bool orderly);
    /* A reload has failed; the gateway serves as before. */
    void (*on_failed)(void *userdata, const char *reason);
    /* A connection has come from an ancestor, and is served. */
    void (*on_moved)(void *userdata);
    /* What an ancestor counted; an ancestor's end. */
    void (*on_counters)(void *userdata, const json_t *document);
    void (*on_ancestor_end)(void *userdata, const struct ancestor *ancestor);
    void *userdata;
};

struct succession *succession_new(const struct succession_options *options);
/* The workers must have ended. Accepts NULL, returns NULL. */
struct succession *succession_free(struct succession *succession);

/* Steps of an heir; without one they do nothing. */
void succession_ready(struct succession *succession);
void succession_accepting(struct succession *succession);
void succession_leading(struct succession *succession);

/* The outcome of a reload, for whoever asked for it. */
struct succession_outcome {
    uint64_t generation; /* the successor's; 0: the reload has failed */
    const char *reason;  /* … why */
    struct reload_times times;
};
typedef void (*succession_done)(void *userdata, const struct succession_outcome *outcome);
/* Begins a reload; `done` is called once, at the latest by succession_free(): with a success when whoever
 * connects from then on meets the successor. Or returns a negative errno: nothing was begun, and `error` says
 * why. */
int succession_reload(struct succession *succession, succession_done done, void *userdata,
                      struct strbuf *error) _warn_unused_;
/* Whether whoever asked for a reload that has succeeded has been answered, or need not be. Until then to be
 * called: returns when again. The process is not to end before the loop has turned once more, for the answer
 * to go out. */
bool succession_is_settled(const struct succession *succession);
usec_t succession_step(struct succession *succession, usec_t now);
/* The process ends: whoever waits for a reload is answered now. */
void succession_settle(struct succession *succession);
bool succession_is_reloading(const struct succession *succession);
/* We are told to stop: a reload that is under way ends. */
void succession_abort(struct succession *succession, const char *reason);

/* As one that was replaced. Whether idle connections can go to the successor, and the connection_taker for
 * them. */
bool succession_takes(const struct succession *succession);
void succession_take(void *succession, const struct moving_connection *connection);
/* Sends what was taken; what the successor does not take is back with the crew. */
void succession_flush(void *succession);
/* Tells the successor how far we are, and what we have counted since (`counters`: consumed, may be NULL). */
void succession_tell_progress(struct succession *succession, const struct crew_state *crew, usec_t deadline,
                              json_t *counters);
/* The last word: what we did in our life. */
void succession_tell_farewell(struct succession *succession, uint64_t answered, uint64_t cut,
                              json_t *counters);
/* How many connections have gone to the successor. */
uint64_t succession_moved(const struct succession *succession);

/* Before we end: those before us can give us nothing any more, and what they have given has come. */
void succession_take_last(struct succession *succession);
/* Tells those before us that this generation ends, as it should. */
void succession_leave(struct succession *succession);

const struct ancestors *succession_ancestors(const struct succession *succession);
