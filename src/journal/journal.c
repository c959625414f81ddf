#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "journal/entry.h"
#include "journal/fields.h"
#include "journal/queue.h"
#include "journal/text.h"

#define QUEUE_SIZE (512 * 1024)
#define QUEUE_SIZE_INFO (QUEUE_SIZE / 4 * 3)
#define STOP_TIMEOUT USEC_PER_SEC

struct journal {
    bool native;
    bool with_time;
    pthread_t thread;
    atomic_uint_fast64_t generation;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work;  /* for the thread: something was queued, or it is to stop */
    pthread_cond_t sent;  /* for who waits: `n_done` moved, or the thread has ended */
    struct queue queue;
    bool waiting; /* the thread sleeps and wants a signal */
    bool stopping;
    bool ended;
    uint64_t n_queued, n_done;
    uint64_t n_lost, n_lost_told;
};

static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    if (!stream)
        return false;
    struct stat st;
    if (fstat(STDERR_FILENO, &st) < 0)
        return false;
    /* Somebody may have redirected stderr since and passed the environment on. */
    char actual[48];
    snprintf(actual, sizeof(actual), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return streq(stream, actual);
}

static int write_line(struct journal *journal, const struct journal_entry *entry)
{
    _cleanup_strbuf_ struct strbuf line = STRBUF_INIT;
    journal_entry_format(entry, journal->with_time, &line);
    for (size_t done = 0; done < line.size;) {
        const ssize_t n = write(STDERR_FILENO, line.data + done, line.size - done);
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int put_out(struct journal *journal, const struct journal_entry *entry)
{
    return journal->native ? journal_entry_send(entry) : write_line(journal, entry);
}

/* Says how many records were lost since it was said last. Straight from the thread, past the queue. */
static void tell_lost(struct journal *journal, uint64_t n)
{
    struct journal_record record;
    journal_begin(&record, EVENT_RECORDS_LOST);
    journal_add_u64(&record, FIELD_RECORDS_LOST, n);
    char message[64];
    const int size = snprintf(message, sizeof(message), "%llu journal record%s lost", (unsigned long long)n,
                              n == 1 ? " was" : "s were");
    _cleanup_free_ struct journal_entry *entry = xcalloc(1, journal_entry_size(&record, (size_t)size));
    journal_entry_fill(entry, &record, slice_make(message, (size_t)size));
    entry->generation = atomic_load(&journal->generation);
    if (put_out(journal, entry) < 0)
        return;
    pthread_mutex_lock(&journal->lock);
    journal->n_lost_told += n;
    pthread_mutex_unlock(&journal->lock);
}

static void send_front(struct journal *journal)
{
    /* The entry stays in place while it is sent; others only add behind it. */
    const struct journal_entry *entry = queue_front(&journal->queue);
    pthread_mutex_unlock(&journal->lock);
    const int r = put_out(journal, entry);
    pthread_mutex_lock(&journal->lock);

    queue_pop(&journal->queue);
    journal->n_done++;
    if (r < 0)
        journal->n_lost++;
    const uint64_t untold = journal->n_lost - journal->n_lost_told;
    if (r >= 0 && untold > 0) {
        pthread_mutex_unlock(&journal->lock);
        tell_lost(journal, untold);
        pthread_mutex_lock(&journal->lock);
    }
    pthread_cond_broadcast(&journal->sent);
}

static void *run(void *userdata)
{
    struct journal *journal = userdata;
    pthread_mutex_lock(&journal->lock);
    for (;;) {
        if (!queue_is_empty(&journal->queue)) {
            send_front(journal);
        } else if (journal->stopping) {
            break;
        } else {
            journal->waiting = true;
            pthread_cond_wait(&journal->work, &journal->lock);
            journal->waiting = false;
        }
    }
    journal->ended = true;
    pthread_cond_broadcast(&journal->sent);
    pthread_mutex_unlock(&journal->lock);
    return NULL;
}

static struct journal *destroy(struct journal *journal)
{
    pthread_mutex_destroy(&journal->lock);
    pthread_cond_destroy(&journal->work);
    pthread_cond_destroy(&journal->sent);
    queue_deinit(&journal->queue);
    free(journal);
    return NULL;
}

static int start_thread(struct journal *journal)
{
    pthread_attr_t attributes;
    int r = pthread_attr_init(&attributes);
    if (r != 0)
        return -r;
    sigset_t all;
    sigfillset(&all);
    pthread_attr_setsigmask_np(&attributes, &all);
    r = pthread_create(&journal->thread, &attributes, run, journal);
    pthread_attr_destroy(&attributes);
    if (r != 0)
        return -r;
    pthread_setname_np(journal->thread, "journal");
    return 0;
}

int journal_new(struct journal **ret, enum journal_mode mode)
{
    struct journal *journal = xcalloc(1, sizeof(*journal));
    journal->native = mode == JOURNAL_NATIVE || (mode == JOURNAL_AUTO && stderr_is_journal());
    journal->with_time = isatty(STDERR_FILENO);
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->work, NULL);
    pthread_cond_init(&journal->sent, NULL);
    queue_init(&journal->queue, QUEUE_SIZE);

    const int r = start_thread(journal);
    if (r < 0) {
        destroy(journal);
        return r;
    }
    *ret = journal;
    return 0;
}

static struct timespec timespec_at(usec_t t)
{
    return (struct timespec){.tv_sec = (time_t)(t / USEC_PER_SEC),
                             .tv_nsec = (long)(t % USEC_PER_SEC * 1000)};
}

/* Waits on `sent` until `deadline`; false when that has passed. */
static bool wait_for_sent(struct journal *journal, usec_t deadline)
{
    const struct timespec until = timespec_at(deadline);
    return pthread_cond_clockwait(&journal->sent, &journal->lock, CLOCK_MONOTONIC, &until) == 0;
}

struct journal *journal_free(struct journal *journal)
{
    if (!journal)
        return NULL;
    const usec_t deadline = now_monotonic() + STOP_TIMEOUT;
    pthread_mutex_lock(&journal->lock);
    journal->stopping = true;
    pthread_cond_signal(&journal->work);
    while (!journal->ended && wait_for_sent(journal, deadline))
        ;
    const bool ended = journal->ended;
    pthread_mutex_unlock(&journal->lock);

    if (!ended) {
        /* It waits for a journald that takes nothing. The process is about to end and takes the thread, and
         * the memory that the thread may still look at, with it. */
        pthread_detach(journal->thread);
        return NULL;
    }
    pthread_join(journal->thread, NULL);
    return destroy(journal);
}

bool journal_is_native(const struct journal *journal)
{
    return journal && journal->native;
}

void journal_set_generation(struct journal *journal, uint64_t generation)
{
    if (journal)
        atomic_store(&journal->generation, generation);
}

void journal_flush(struct journal *journal, usec_t timeout)
{
    if (!journal)
        return;
    /* Far beyond any process's life, and no overflow in a timespec. */
    const usec_t deadline = usec_add(now_monotonic(), MIN(timeout, 1000000 * USEC_PER_SEC));
    pthread_mutex_lock(&journal->lock);
    const uint64_t goal = journal->n_queued;
    while (journal->n_done < goal && wait_for_sent(journal, deadline))
        ;
    pthread_mutex_unlock(&journal->lock);
}

uint64_t journal_dropped(struct journal *journal)
{
    if (!journal)
        return 0;
    pthread_mutex_lock(&journal->lock);
    const uint64_t n = journal->n_lost;
    pthread_mutex_unlock(&journal->lock);
    return n;
}

static bool enqueue(struct journal *journal, const struct journal_record *record, struct slice message)
{
    const size_t limit = record->priority >= LOG_INFO ? QUEUE_SIZE_INFO : SIZE_MAX;
    pthread_mutex_lock(&journal->lock);
    struct journal_entry *entry =
        queue_push(&journal->queue, journal_entry_size(record, message.size), limit);
    bool wake = false;
    if (entry) {
        journal_entry_fill(entry, record, message);
        entry->generation = atomic_load(&journal->generation);
        journal->n_queued++;
        wake = journal->waiting;
    } else {
        journal->n_lost++;
    }
    pthread_mutex_unlock(&journal->lock);
    if (wake)
        pthread_cond_signal(&journal->work);
    return entry;
}

static bool send_formatted(struct journal *journal, const struct journal_record *record, const char *format,
                           va_list args) _printf_(3, 0);
static bool send_formatted(struct journal *journal, const struct journal_record *record, const char *format,
                           va_list args)
{
    char message[JOURNAL_MESSAGE_SIZE];
    char text[sizeof(message) + 1]; /* one more, so that what is cut off here is seen to be too long below */
    const int n = vsnprintf(text, sizeof(text), format, args);
    const size_t size = n < 0 ? 0 : MIN((size_t)n, sizeof(text) - 1);
    return enqueue(journal, record,
                   slice_make(message, text_escape(slice_make(text, size), message, sizeof(message))));
}

bool journal_send(struct journal *journal, struct journal_record *record, const char *format, ...)
{
    if (!journal)
        return true;
    va_list args;
    va_start(args, format);
    const bool sent = send_formatted(journal, record, format, args);
    va_end(args);
    return sent;
}

bool journal_log(struct journal *journal, enum journal_event event, const char *format, ...)
{
    if (!journal)
        return true;
    struct journal_record record;
    journal_begin(&record, event);
    va_list args;
    va_start(args, format);
    const bool sent = send_formatted(journal, &record, format, args);
    va_end(args);
    return sent;
}
