#include "http/loop.h"

#include <pthread.h>
#include <sys/eventfd.h>

#include "http/h2o.h"
#include "http/timer.h"
#include "util/list.h"

struct loop {
    h2o_evloop_t *h2o;
    int epoll; /* h2o's; negative errno when it cannot be told */
    int wake;  /* eventfd: something was posted */
    struct loop_fd *wake_watch;
    struct timers timers;
    pthread_mutex_t lock;
    struct list posts; /* of struct post, under the lock */
};

struct post {
    struct list link;
    void (*callback)(void *userdata);
    void *userdata;
};

struct loop_fd {
    struct loop *loop;
    h2o_socket_t *sock;
    void (*callback)(void *userdata);
    void *userdata;
};

struct loop_timer {
    struct loop *loop;
    struct timer timer;
    void (*callback)(void *userdata);
    void *userdata;
};

static void run_posts(void *userdata)
{
    struct loop *loop = userdata;
    uint64_t n;

    if (read(loop->wake, &n, sizeof(n)) < 0)
        return; /* somebody was faster: nothing to do */
    struct list batch = LIST_INIT(batch);
    pthread_mutex_lock(&loop->lock);
    while (!list_is_empty(&loop->posts)) {
        struct list *first = loop->posts.next;
        list_unlink(first);
        list_append(&batch, first);
    }
    pthread_mutex_unlock(&loop->lock);
    while (!list_is_empty(&batch)) {
        struct post *post = list_entry(batch.next, struct post, link);
        list_unlink(&post->link);
        post->callback(post->userdata);
        free(post);
    }
}

/* The epoll back end extends h2o_evloop_t by one int, its descriptor; no function tells it. That this is what
 * we look at is checked: /proc names such a descriptor. */
static int find_epoll(h2o_evloop_t *h2o)
{
    struct {
        h2o_evloop_t super;
        int ep;
    } *epoll = (void *)h2o;
    char path[64], name[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", epoll->ep);
    ssize_t n = readlink(path, name, sizeof(name) - 1);
    if (n < 0)
        return -errno;
    name[n] = '\0';
    return streq(name, "anon_inode:[eventpoll]") ? epoll->ep : -ENOTSUP;
}

int loop_new(struct loop **ret)
{
    _cleanup_close_ int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0)
        return -errno;
    struct loop *loop = xcalloc(1, sizeof(*loop));
    loop->h2o = h2o_evloop_create();
    loop->epoll = find_epoll(loop->h2o);
    loop->wake = TAKE_FD(wake);
    pthread_mutex_init(&loop->lock, NULL);
    list_init(&loop->posts);
    loop->wake_watch = loop_fd_new(loop, loop->wake, run_posts, loop);
    *ret = loop;
    return 0;
}

struct loop *loop_free(struct loop *loop)
{
    if (!loop)
        return NULL;
    loop_fd_free(loop->wake_watch);
    while (!list_is_empty(&loop->posts)) {
        struct post *post = list_entry(loop->posts.next, struct post, link);
        list_unlink(&post->link);
        free(post);
    }
    h2o_evloop_run(loop->h2o, 0);  /* lets it free the sockets that were closed */
    h2o_evloop_destroy(loop->h2o); /* which leaves its epoll descriptor open */
    if (loop->epoll >= 0)
        close(loop->epoll);
    close(loop->wake);
    timers_deinit(&loop->timers);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
    return NULL;
}

/* For epoll_wait(): not too early, or the loop would turn for nothing until the time has come. */
static int32_t milliseconds(usec_t length)
{
    return length >= INT32_MAX * USEC_PER_MSEC ? INT32_MAX
                                               : (int32_t)((length + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
}

int loop_run_once(struct loop *loop, usec_t max_wait)
{
    const usec_t now = now_monotonic();

    /* What was written in a callback is told by h2o after it has polled: then that must not wait. */
    if (timers_run(&loop->timers, now) > 0)
        max_wait = 0;
    max_wait = usec_min(max_wait, usec_sub(timers_next(&loop->timers), now));
    loop->timers.now = 0; /* it will have passed when anybody asks */
    if (h2o_evloop_run(loop->h2o, milliseconds(max_wait)) == 0 || errno == EINTR)
        return 0;
    return -errno;
}

struct timers *loop_timers(struct loop *loop)
{
    return &loop->timers;
}

struct st_h2o_evloop_t *loop_h2o(struct loop *loop)
{
    return loop->h2o;
}

int loop_epoll_fd(struct loop *loop)
{
    return loop->epoll;
}

void loop_post(struct loop *loop, void (*callback)(void *userdata), void *userdata)
{
    struct post *post = xcalloc(1, sizeof(*post));
    *post = (struct post){.callback = callback, .userdata = userdata};
    pthread_mutex_lock(&loop->lock);
    list_append(&loop->posts, &post->link);
    pthread_mutex_unlock(&loop->lock);
    while (eventfd_write(loop->wake, 1) < 0 && errno == EINTR)
        ;
}

void loop_unpost(struct loop *loop, const void *userdata)
{
    pthread_mutex_lock(&loop->lock);
    list_for_each_safe (node, &loop->posts) {
        struct post *post = list_entry(node, struct post, link);
        if (post->userdata == userdata) {
            list_unlink(node);
            free(post);
        }
    }
    pthread_mutex_unlock(&loop->lock);
}

static void on_readable(h2o_socket_t *sock, const char *error)
{
    struct loop_fd *watch = sock->data;
    watch->callback(watch->userdata);
}

struct loop_fd *loop_fd_new(struct loop *loop, int fd, void (*callback)(void *userdata), void *userdata)
{
    struct loop_fd *watch = xcalloc(1, sizeof(*watch));
    *watch = (struct loop_fd){loop, h2o_evloop_socket_create(loop->h2o, fd, H2O_SOCKET_FLAG_DONT_READ),
                              callback, userdata};
    watch->sock->data = watch;
    h2o_socket_read_start(watch->sock, on_readable);
    return watch;
}

struct loop_fd *loop_fd_free(struct loop_fd *watch)
{
    if (!watch)
        return NULL;
    /* Exporting takes the descriptor away from the socket object, so that closing that does not close it. */
    h2o_socket_export_t export;
    h2o_socket_read_stop(watch->sock);
    if (h2o_socket_export(watch->sock, &export) == 0)
        h2o_buffer_dispose(&export.input);
    free(watch);
    return NULL;
}

static void on_timeout(struct timer *t)
{
    struct loop_timer *timer = container_of(t, struct loop_timer, timer);
    timer->callback(timer->userdata);
}

struct loop_timer *loop_timer_new(struct loop *loop, void (*callback)(void *userdata), void *userdata)
{
    struct loop_timer *timer = xcalloc(1, sizeof(*timer));
    *timer = (struct loop_timer){
        .loop = loop, .timer.callback = on_timeout, .callback = callback, .userdata = userdata};
    return timer;
}

void loop_timer_arm(struct loop_timer *timer, usec_t from_now)
{
    timer_start(&timer->loop->timers, &timer->timer, from_now);
}

void loop_timer_disarm(struct loop_timer *timer)
{
    timer_suspend(&timer->timer);
}

struct loop_timer *loop_timer_free(struct loop_timer *timer)
{
    if (!timer)
        return NULL;
    timer_stop(&timer->timer);
    free(timer);
    return NULL;
}
