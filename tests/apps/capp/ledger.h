#pragma once
/* What the app has executed, in a file that outlives it: a line for each request, "ID", or "ID KEY" where the
 * request had an Idempotency-Key. The keys in the file are known from the start, so that an app knows what
 * its predecessor has executed. */

#include "util/list.h"
#include "util/slice.h"

#define LEDGER_TEXT_MAX 128  /* of an id, and of a key */
#define LEDGER_BUCKETS 65536 /* of the table of keys */

struct ledger_key;

struct ledger {
    int fd; /* -1: there is none */
    struct ledger_key **recorded;
    struct list running; /* keys whose request is being executed */
};

enum ledger_state {
    LEDGER_NEW,
    LEDGER_RUNNING,
    LEDGER_RECORDED,
};

#define LEDGER_INIT(name) ((struct ledger){.fd = -1, .recorded = NULL, .running = LIST_INIT((name).running)})

/* Opens or makes the file and reads it. A last line that is not whole, as a power failure leaves it, was
 * never answered: it is cut off. Returns a negative errno. */
int ledger_open(struct ledger *ledger, const char *path) _warn_unused_;
void ledger_deinit(struct ledger *ledger);

/* What is known of a key. With LEDGER_RECORDED, *ret_id is the id of the request that was executed; it
 * belongs to the ledger. */
enum ledger_state ledger_look_up(const struct ledger *ledger, struct slice key, struct slice *ret_id);
/* The request with this key, which must be new, is being executed; `owner` stands for it. */
void ledger_begin(struct ledger *ledger, struct slice key, const void *owner);
/* It was executed: written and on disk when this returns 0; otherwise a negative errno. Without data, there
 * is no key. */
int ledger_record(struct ledger *ledger, struct slice id, struct slice key) _warn_unused_;
/* It came to nothing: its key is new again. Harmless when `owner` has begun nothing. */
void ledger_abandon(struct ledger *ledger, const void *owner);
