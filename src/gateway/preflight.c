#include "gateway/preflight.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

struct preflight {
    const struct config *config;
    void (*on_done)(void *userdata);
    void *userdata;
    int ended; /* eventfd: the thread has nothing more to do */
    struct loop_fd *watch;
    pthread_t thread;
    bool joined;
    atomic_bool give_up;
    atomic_size_t running;
    struct check_result *results; /* the thread's until it has ended */
    size_t failed;
};

static bool on_progress(void *userdata, size_t running)
{
    struct preflight *preflight = userdata;
    atomic_store(&preflight->running, running);
    return !atomic_load(&preflight->give_up);
}

static void join(struct preflight *preflight)
{
    if (!preflight->joined)
        pthread_join(preflight->thread, NULL);
    preflight->joined = true;
}

static void on_ended(void *userdata)
{
    struct preflight *preflight = userdata;
    eventfd_t n;
    if (eventfd_read(preflight->ended, &n) < 0)
        return;
    join(preflight);
    preflight->on_done(preflight->userdata);
}

static void *run(void *userdata)
{
    struct preflight *preflight = userdata;
    preflight->failed = checks_run(preflight->config, preflight->results, on_progress, preflight);
    atomic_store(&preflight->running, 0);
    eventfd_write(preflight->ended, 1);
    return NULL;
}

static int start_thread(struct preflight *preflight)
{
    pthread_attr_t attributes;
    sigset_t all;
    int r = pthread_attr_init(&attributes);
    if (r != 0)
        return -r;
    sigfillset(&all);
    pthread_attr_setsigmask_np(&attributes, &all);
    r = pthread_create(&preflight->thread, &attributes, run, preflight);
    pthread_attr_destroy(&attributes);
    if (r != 0)
        return -r;
    pthread_setname_np(preflight->thread, "checks");
    return 0;
}

int preflight_new(struct preflight **ret, const struct config *config, struct loop *loop,
                  void (*on_done)(void *userdata), void *userdata)
{
    struct preflight *preflight = xcalloc(1, sizeof(*preflight));
    preflight->config = config;
    preflight->on_done = on_done;
    preflight->userdata = userdata;
    preflight->results = xcalloc(config->n_checks, sizeof(*preflight->results));
    preflight->joined = true;
    atomic_store(&preflight->running, config->n_checks);

    preflight->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = preflight->ended < 0 ? -errno : start_thread(preflight);
    if (r < 0) {
        preflight_free(preflight);
        return r;
    }
    preflight->joined = false;
    preflight->watch = loop_fd_new(loop, preflight->ended, on_ended, preflight);
    *ret = preflight;
    return 0;
}

struct preflight *preflight_free(struct preflight *preflight)
{
    if (!preflight)
        return NULL;
    atomic_store(&preflight->give_up, true);
    join(preflight);
    if (preflight->watch)
        loop_fd_free(preflight->watch);
    close_and_forget(&preflight->ended);
    checks_results_deinit(preflight->results, preflight->config->n_checks);
    free(preflight->results);
    free(preflight);
    return NULL;
}

size_t preflight_running(const struct preflight *preflight)
{
    return atomic_load(&preflight->running);
}

const struct check_result *preflight_results(const struct preflight *preflight, size_t *ret_failed)
{
    assert(preflight->joined);
    *ret_failed = preflight->failed;
    return preflight->results;
}
