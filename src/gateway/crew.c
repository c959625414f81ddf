#include "gateway/crew.h"

#include <sys/resource.h>

#include "http/body.h"

struct crew {
    struct worker **workers;
    size_t n_workers;
    struct server_socket *sockets; /* shared by all workers */
    struct accept_group *group;
    struct limits *limits;
    struct body_store bodies;
    size_t n_sockets;
    struct worker_state *states;
    uint64_t *turns;
    struct crew_state sum;
    size_t next; /* to adopt a connection */
};

static void collect_sockets(struct crew *crew, const struct crew_options *options)
{
    const struct config *config = options->plan->config;
    crew->sockets = xcalloc(options->descriptors->n_items, sizeof(*crew->sockets));
    for (size_t i = 0; i < options->descriptors->n_items; i++) {
        const struct descriptor *descriptor = &options->descriptors->items[i];
        for (size_t j = 0; j < config->n_listeners; j++)
            if (streq(config->listeners[j].name, descriptor->name))
                crew->sockets[crew->n_sockets++] =
                    (struct server_socket){descriptor->fd, &config->listeners[j], options->plan->tls[j]};
    }
}

static void init_bodies(struct crew *crew, const struct gateway_config *gateway)
{
    body_budget_init(&crew->bodies.budget, gateway->max_buffered_size);
    crew->bodies.memory_max = gateway->body_memory_size;
    crew->bodies.folder = gateway->temporary_directory;
}

static size_t count_descriptors(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 1024 : (size_t)limit.rlim_cur;
}

int crew_new(struct crew **ret, const struct crew_options *options)
{
    struct crew *crew = xcalloc(1, sizeof(*crew));
    const size_t n = options->plan->config->gateway.threads;
    crew->workers = xcalloc(n, sizeof(*crew->workers));
    crew->states = xcalloc(n, sizeof(*crew->states));
    crew->turns = xcalloc(n, sizeof(*crew->turns));
    crew->group = accept_group_new(n);
    crew->limits = limits_new(options->plan->config, count_descriptors());
    init_bodies(crew, &options->plan->config->gateway);
    collect_sockets(crew, options);

    for (unsigned i = 0; i < n; i++) {
        const struct worker_options worker = {
            .index = i,
            .group = crew->group,
            .config = options->plan->config,
            .router = options->plan->router,
            .metrics = metrics_shard(options->metrics, i),
            .journal = options->journal,
            .roster = options->roster,
            .limits = crew->limits,
            .bodies = &crew->bodies,
            .rate_limits = options->rate_limits,
            .sockets = crew->sockets,
            .n_sockets = crew->n_sockets,
        };
        const int r = worker_new(&crew->workers[i], &worker);
        if (r < 0) {
            crew_free(crew);
            return r;
        }
        crew->n_workers++;
    }
    *ret = crew;
    return 0;
}

void crew_end(struct crew *crew)
{
    for (size_t i = 0; i < crew->n_workers; i++)
        worker_end(crew->workers[i]);
}

struct crew *crew_free(struct crew *crew)
{
    if (!crew)
        return NULL;
    crew_end(crew);
    for (size_t i = 0; i < crew->n_workers; i++)
        worker_free(crew->workers[i]);
    accept_group_free(crew->group);
    limits_free(crew->limits);
    free(crew->workers);
    free(crew->sockets);
    free(crew->states);
    free(crew->turns);
    free(crew);
    return NULL;
}

void crew_accept(struct crew *crew, struct flight *flight)
{
    for (unsigned i = 0; i < crew->n_workers; i++)
        worker_accept(crew->workers[i], flight_slot(flight, i));
}

void crew_drain(struct crew *crew, usec_t quiet)
{
    for (size_t i = 0; i < crew->n_workers; i++)
        worker_drain(crew->workers[i], quiet);
}

void crew_give_away(struct crew *crew, usec_t quiet, connection_taker taker, void *userdata)
{
    for (size_t i = 0; i < crew->n_workers; i++)
        worker_give_away(crew->workers[i], quiet, taker, userdata);
}

void crew_adopt(struct crew *crew, const struct moving_connection *connection)
{
    worker_adopt(crew->workers[crew->next++ % crew->n_workers], connection);
}

void crew_cut(struct crew *crew)
{
    for (size_t i = 0; i < crew->n_workers; i++)
        worker_cut(crew->workers[i]);
}

void crew_wake(struct crew *crew, const struct upstream_config *upstream)
{
    for (size_t i = 0; i < crew->n_workers; i++)
        worker_wake(crew->workers[i], upstream);
}

void crew_poke(struct crew *crew)
{
    for (size_t i = 0; i < crew->n_workers; i++)
        worker_poke(crew->workers[i]);
}

void crew_wedge(struct crew *crew, size_t worker)
{
    assert(worker < crew->n_workers);
    worker_wedge(crew->workers[worker]);
}

const struct crew_state *crew_look(struct crew *crew)
{
    crew->sum = (struct crew_state){
        .n_workers = crew->n_workers,
        .workers = crew->states,
        .turns = crew->turns,
    };
    crew->sum.places = limits_look(crew->limits, NULL);
    body_budget_look(&crew->bodies.budget, &crew->sum.body_memory, &crew->sum.body_disk);
    for (size_t i = 0; i < crew->n_workers; i++) {
        struct worker_state *state = &crew->states[i];
        worker_state(crew->workers[i], state);
        crew->turns[i] = state->turns;
        crew->sum.n_accepting += state->accepting;
        crew->sum.n_failed += state->failed;
        crew->sum.n_drained += state->drained;
        crew->sum.connections += state->connections;
        crew->sum.requests += state->requests;
        crew->sum.cut += state->cut;
    }
    return &crew->sum;
}
