#include "upstream/window.h"

#define CALL_FAILED 1u
#define CALL_SLOW 2u
#define BITS_PER_CALL 2u
#define CALLS_PER_WORD (64u / BITS_PER_CALL)

/* Beyond all that one window sees, and small enough for products of it. */
#define TALLY_MAX UINT64_C(1000000000000)

struct window {
    struct tally sum; /* of all that is in the ring */
    unsigned size;    /* of the ring: calls, or parts */
    /* BREAKER_COUNT */
    uint64_t *calls;
    unsigned next; /* the place of the oldest call in a full ring */
    /* BREAKER_TIME */
    struct tally *parts; /* part number n at n % size */
    uint64_t head;       /* the newest part's number: time in units of `length` */
    usec_t length;
};

struct window *window_new(enum breaker_window kind, unsigned size)
{
    struct window *window = xcalloc(1, sizeof(*window));

    assert(size > 0);
    switch (kind) {
    case BREAKER_COUNT:
        window->size = size;
        /* What is not touched yet costs no memory: calloc() maps large blocks. */
        window->calls = xcalloc((size - 1) / CALLS_PER_WORD + 1, sizeof(*window->calls));
        return window;
    case BREAKER_TIME: {
        const unsigned seconds = (size - 1) / WINDOW_PARTS_MAX + 1;
        window->size = (size - 1) / seconds + 1;
        window->length = seconds * USEC_PER_SEC;
        window->parts = xcalloc(window->size, sizeof(*window->parts));
        return window;
    }
    default:
        WRONG("no such window");
    }
}

struct window *window_free(struct window *window)
{
    if (!window)
        return NULL;
    free(window->calls);
    free(window->parts);
    free(window);
    return NULL;
}

void window_clear(struct window *window)
{
    window->sum = (struct tally){0};
    window->next = 0;
    if (window->parts)
        memset(window->parts, 0, window->size * sizeof(*window->parts));
}

static void tally_add(struct tally *tally, bool failed, bool slow)
{
    tally->calls++;
    tally->failed += failed;
    tally->slow += slow;
}

static void tally_subtract(struct tally *tally, const struct tally *part)
{
    tally->calls -= part->calls;
    tally->failed -= part->failed;
    tally->slow -= part->slow;
}

/* --- calls ------------------------------------------------------------------------------------------------
 */

static void add_call(struct window *window, bool failed, bool slow)
{
    uint64_t *word = &window->calls[window->next / CALLS_PER_WORD];
    const unsigned shift = window->next % CALLS_PER_WORD * BITS_PER_CALL;
    const uint64_t bits = (failed ? CALL_FAILED : 0) | (slow ? CALL_SLOW : 0);

    if (window->sum.calls == window->size) {
        const uint64_t oldest = *word >> shift;
        tally_subtract(&window->sum, &(struct tally){.calls = 1,
                                                     .failed = (oldest & CALL_FAILED) != 0,
                                                     .slow = (oldest & CALL_SLOW) != 0});
    }
    *word = (*word & ~((uint64_t)(CALL_FAILED | CALL_SLOW) << shift)) | bits << shift;
    tally_add(&window->sum, failed, slow);
    window->next = (window->next + 1) % window->size;
}

/* Whether the i-th of `all` calls is one of `some` that are spread evenly among them. */
static bool is_one_of(uint64_t i, uint64_t some, uint64_t all)
{
    return (i + 1) * some / all > i * some / all;
}

static void fill_calls(struct window *window, const struct tally *tally)
{
    const uint64_t n = MIN(tally->calls, window->size);

    for (uint64_t i = 0; i < n; i++)
        add_call(window, is_one_of(i, tally->failed, tally->calls), is_one_of(i, tally->slow, tally->calls));
}

/* --- time -------------------------------------------------------------------------------------------------
 */

/* How many of the parts, from the oldest on, are no longer in the window. */
static unsigned n_outdated(const struct window *window, usec_t now)
{
    const uint64_t number = now / window->length;
    return number > window->head ? (unsigned)MIN(number - window->head, window->size) : 0;
}

/* The i-th part from the oldest on. */
static struct tally *part_at(const struct window *window, unsigned i)
{
    return &window->parts[(window->head + 1 + i) % window->size];
}

static void move_on(struct window *window, usec_t now)
{
    const unsigned n = n_outdated(window, now);

    for (unsigned i = 0; i < n; i++) {
        struct tally *part = part_at(window, i);
        tally_subtract(&window->sum, part);
        *part = (struct tally){0};
    }
    window->head = MAX(window->head, now / window->length);
}

static void fill_part(struct window *window, const struct tally *tally, uint64_t age, usec_t now)
{
    move_on(window, now);
    const uint64_t parts_ago = age / (window->length / USEC_PER_SEC);
    if (parts_ago >= window->size)
        return;
    *part_at(window, window->size - 1 - (unsigned)parts_ago) = *tally;
    window->sum = *tally;
}

/* --- either -----------------------------------------------------------------------------------------------
 */

void window_add(struct window *window, bool failed, bool slow, usec_t now)
{
    if (window->calls) {
        add_call(window, failed, slow);
        return;
    }
    move_on(window, now);
    tally_add(part_at(window, window->size - 1), failed, slow);
    tally_add(&window->sum, failed, slow);
}

struct tally window_tally(const struct window *window, usec_t now)
{
    struct tally tally = window->sum;

    if (window->parts) {
        const unsigned n = n_outdated(window, now);
        for (unsigned i = 0; i < n; i++)
            tally_subtract(&tally, part_at(window, i));
    }
    return tally;
}

uint64_t window_age(const struct window *window, usec_t now)
{
    uint64_t calls = 0, ages = 0; /* in parts */

    if (!window->parts)
        return 0;
    const unsigned outdated = n_outdated(window, now);
    for (unsigned i = outdated; i < window->size; i++) {
        const uint64_t n = part_at(window, i)->calls;
        calls += n;
        ages += n * (outdated + window->size - 1 - i);
    }
    return calls > 0 ? ages * (window->length / USEC_PER_SEC) / calls : 0;
}

void window_fill(struct window *window, const struct tally *tally, uint64_t age, usec_t now)
{
    struct tally possible = {.calls = MIN(tally->calls, TALLY_MAX)};
    possible.failed = MIN(tally->failed, possible.calls);
    possible.slow = MIN(tally->slow, possible.calls);

    window_clear(window);
    if (possible.calls == 0)
        return;
    if (window->calls)
        fill_calls(window, &possible);
    else
        fill_part(window, &possible, age, now);
}
