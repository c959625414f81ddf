#include "http/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* A loop with nothing to do turns this often at least. */
#define IDLE_TURN USEC_PER_SEC

struct worker {
    struct loop *loop;
    struct server *server;
    struct journal *journal;
    pthread_t thread;
    bool running;

    /* Written by the worker's thread only. */
    bool ended;
    bool draining;
    usec_t quiet;

    /* Read by the control thread. */
    atomic_bool accepting, failed, drained;
    atomic_uint_fast64_t turns, connections, idle, requests, cut;

    /* Connections that were sent here and have not come yet. */
    atomic_uint_fast64_t coming;
};

/* Messages that carry values are allocated; the others' userdata is the worker. */
struct message {
    struct worker *worker;
    usec_t quiet;
    connection_taker taker;
    void *userdata;
    struct moving_connection connection;
    struct flight_slot *flight;
    const struct upstream_config *upstream;
};

static void post(void (*callback)(void *userdata), struct message values)
{
    struct message *message = xcalloc(1, sizeof(*message));
    *message = values;
    loop_post(values.worker->loop, callback, message);
}

/* Not for ever: a connection may come back that has found no room elsewhere. */
static void note_drained(struct worker *worker)
{
    if (worker->draining)
        atomic_store(&worker->drained, server_is_empty(worker->server));
}

static void publish(struct worker *worker)
{
    struct server_load load;

    server_load(worker->server, &load);
    atomic_store_explicit(&worker->connections, load.connections, memory_order_relaxed);
    atomic_store_explicit(&worker->idle, load.idle, memory_order_relaxed);
    atomic_store_explicit(&worker->requests, load.requests, memory_order_relaxed);
    note_drained(worker);
    atomic_fetch_add_explicit(&worker->turns, 1, memory_order_relaxed);
}

static void *run(void *userdata)
{
    struct worker *worker = userdata;

    while (!worker->ended) {
        int r = loop_run_once(worker->loop, IDLE_TURN);
        if (r < 0) {
            /* A loop that cannot poll serves nobody: not turning, it will starve the watchdog. */
            journal_log(worker->journal, EVENT_WARNING, "a worker's event loop failed: %s", strerror(-r));
            atomic_store(&worker->failed, true);
            break;
        }
        publish(worker);
    }
    return NULL;
}

static void do_accept(void *userdata)
{
    struct message *message = userdata;
    struct worker *worker = message->worker;

    if (server_start_accepting(worker->server, message->flight) < 0)
        atomic_store(&worker->failed, true);
    else
        atomic_store(&worker->accepting, true);
    free(message);
}

static void stop_accepting(struct worker *worker)
{
    if (!worker->draining)
        server_stop_accepting(worker->server);
    worker->draining = true;
    atomic_store(&worker->accepting, false);
}

static void do_drain(void *userdata)
{
    struct message *message = userdata;

    stop_accepting(message->worker);
    server_drain(message->worker->server, message->quiet);
    free(message);
}

static void do_give_away(void *userdata)
{
    struct message *message = userdata;

    stop_accepting(message->worker);
    server_give_away(message->worker->server, message->quiet, message->taker, message->userdata);
    free(message);
}

static void do_adopt(void *userdata)
{
    struct message *message = userdata;

    server_adopt(message->worker->server, &message->connection);
    note_drained(message->worker);
    atomic_fetch_sub(&message->worker->coming, 1);
    free(message);
}

static void do_cut(void *userdata)
{
    struct worker *worker = userdata;
    atomic_fetch_add(&worker->cut, server_cut(worker->server));
}

static void do_wake(void *userdata)
{
    struct message *message = userdata;

    server_wake(message->worker->server, message->upstream);
    free(message);
}

static void do_nothing(void *userdata)
{
}

static void do_wedge(void *userdata)
{
    for (;;)
        pause();
}

static void do_end(void *userdata)
{
    struct worker *worker = userdata;
    worker->ended = true;
}

int worker_new(struct worker **ret, const struct worker_options *options)
{
    struct worker *worker = xcalloc(1, sizeof(*worker));

    worker->journal = options->journal;
    int r = loop_new(&worker->loop);
    if (r == 0)
        r = server_new(&worker->server, &(struct server_options){.index = options->index,
                                                                 .group = options->group,
                                                                 .loop = worker->loop,
                                                                 .config = options->config,
                                                                 .router = options->router,
                                                                 .metrics = options->metrics,
                                                                 .journal = options->journal,
                                                                 .roster = options->roster,
                                                                 .limits = options->limits,
                                                                 .bodies = options->bodies,
                                                                 .rate_limits = options->rate_limits,
                                                                 .sockets = options->sockets,
                                                                 .n_sockets = options->n_sockets});
    if (r == 0) {
        sigset_t all, old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the control thread's */
        r = -pthread_create(&worker->thread, NULL, run, worker);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    if (r < 0) {
        worker_free(worker);
        return r;
    }
    worker->running = true;
    char name[16];
    snprintf(name, sizeof(name), "worker-%u", options->index);
    pthread_setname_np(worker->thread, name);
    *ret = worker;
    return 0;
}

void worker_end(struct worker *worker)
{
    if (!worker->running)
        return;
    loop_post(worker->loop, do_end, worker);
    pthread_join(worker->thread, NULL);
    worker->running = false;
}

struct worker *worker_free(struct worker *worker)
{
    if (!worker)
        return NULL;
    worker_end(worker);
    server_free(worker->server);
    loop_free(worker->loop);
    free(worker);
    return NULL;
}

void worker_accept(struct worker *worker, struct flight_slot *flight)
{
    post(do_accept, (struct message){.worker = worker, .flight = flight});
}

void worker_drain(struct worker *worker, usec_t quiet)
{
    post(do_drain, (struct message){.worker = worker, .quiet = quiet});
}

void worker_give_away(struct worker *worker, usec_t quiet, connection_taker taker, void *userdata)
{
    post(do_give_away,
         (struct message){.worker = worker, .quiet = quiet, .taker = taker, .userdata = userdata});
}

void worker_adopt(struct worker *worker, const struct moving_connection *connection)
{
    atomic_fetch_add(&worker->coming, 1);
    post(do_adopt, (struct message){.worker = worker, .connection = *connection});
}

void worker_cut(struct worker *worker)
{
    loop_post(worker->loop, do_cut, worker);
}

void worker_wake(struct worker *worker, const struct upstream_config *upstream)
{
    if (server_claim_wake(worker->server, upstream))
        post(do_wake, (struct message){.worker = worker, .upstream = upstream});
}

void worker_poke(struct worker *worker)
{
    loop_post(worker->loop, do_nothing, NULL);
}

void worker_wedge(struct worker *worker)
{
    loop_post(worker->loop, do_wedge, NULL);
}

void worker_state(const struct worker *worker, struct worker_state *ret)
{
    /* In this order: one that has come is seen by the other. */
    const bool complete = atomic_load(&worker->coming) == 0;
    *ret = (struct worker_state){
        .accepting = atomic_load(&worker->accepting),
        .failed = atomic_load(&worker->failed),
        .drained = complete && atomic_load(&worker->drained),
        .turns = atomic_load_explicit(&worker->turns, memory_order_relaxed),
        .connections = atomic_load_explicit(&worker->connections, memory_order_relaxed),
        .idle = atomic_load_explicit(&worker->idle, memory_order_relaxed),
        .requests = atomic_load_explicit(&worker->requests, memory_order_relaxed),
        .cut = atomic_load(&worker->cut),
    };
}
