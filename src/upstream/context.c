#include "upstream/context.h"

#include <sys/timerfd.h>

#include "upstream/connection.h"

static void on_timer(h2o_socket_t *timer, const char *error)
{
    struct client_context *context = timer->data;
    struct deadline *deadline;
    uint64_t expirations;

    if (read(h2o_socket_get_fd(timer), &expirations, sizeof(expirations)) < 0)
        return; /* set anew since it rang */
    context->timer_at = USEC_INFINITY;

    usec_t now = now_monotonic();
    while ((deadline = deadlines_pop(&context->deadlines, now)))
        connection_on_deadline(deadline);
    context_await_deadlines(context);
}

int client_context_new(struct client_context **ret, struct st_h2o_evloop_t *loop)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0)
        return -errno;

    struct client_context *context = xcalloc(1, sizeof(*context));
    context->loop = loop;
    context->timer = h2o_evloop_socket_create(loop, fd, 0);
    context->timer->data = context;
    context->timer_at = USEC_INFINITY;
    h2o_socket_dont_read(context->timer, 1);
    h2o_socket_read_start(context->timer, on_timer);
    h2o_timeout_init(loop, &context->soon, 0);
    *ret = context;
    return 0;
}

struct client_context *client_context_free(struct client_context *context)
{
    if (!context)
        return NULL;
    assert(context->n_pools == 0);
    deadlines_deinit(&context->deadlines);
    h2o_timeout_dispose(context->loop, &context->soon);
    h2o_socket_close(context->timer);
    for (struct buffer *b; (b = context->spare);) {
        context->spare = b->next;
        free(b);
    }
    free(context);
    return NULL;
}

void context_await_deadlines(struct client_context *context)
{
    usec_t next = deadlines_next(&context->deadlines);
    if (next >= context->timer_at)
        return;

    /* A time of 0 would stop the timer. */
    const usec_t at = MAX(next, (usec_t)1);
    const struct itimerspec spec = {
        .it_value = {(time_t)(at / USEC_PER_SEC), (long)(at % USEC_PER_SEC) * 1000},
    };
    if (timerfd_settime(h2o_socket_get_fd(context->timer), TFD_TIMER_ABSTIME, &spec, NULL) < 0)
        WRONG("the timer cannot be set");
    context->timer_at = next;
}

void context_run_soon(struct client_context *context, h2o_timeout_entry_t *entry)
{
    if (h2o_timeout_is_linked(entry))
        return;
    h2o_timeout_link(context->loop, &context->soon, entry);
    entry->registered_at = 0; /* due at once, also when the wall clock is set back */
}

struct buffer *context_take_buffer(struct client_context *context)
{
    struct buffer *b = context->spare;

    if (b) {
        context->spare = b->next;
        context->n_spare--;
    } else {
        b = malloc(sizeof(*b)); /* not cleared: most of it is never touched */
        if (!b)
            abort();
    }
    b->next = NULL;
    b->start = b->end = 0;
    return b;
}

struct buffer *context_give_buffer(struct client_context *context, struct buffer *b)
{
    if (!b)
        return NULL;
    if (context->n_spare >= SPARE_BUFFERS_MAX) {
        free(b);
        return NULL;
    }
    b->next = context->spare;
    context->spare = b;
    context->n_spare++;
    return NULL;
}
