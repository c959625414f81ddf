#include "gateway/checker.h"

#include "upstream/client.h"

/* A process that dies takes connections as long as its socket is there, and resets them when it goes. So one
 * to a target that has failed must stand for a while, unless nobody listened there meanwhile. */
#define STAND_TIME (30 * USEC_PER_MSEC)

/* One slot of the roster. */
struct check {
    struct checker *checker;
    const struct upstream_config *upstream;
    const struct target_config *target; /* that the pool is for */
    struct client_pool *pool;
    struct client *client; /* while one is under way */
    struct strbuf head;
    usec_t deadline;
    int status;
};

struct checker {
    const struct config *config;
    struct roster *roster;
    struct client_context *context;
    struct check **checks; /* by upstream and slot; allocated when first used */
};

int checker_new(struct checker **ret, const struct config *config, struct roster *roster, struct loop *loop)
{
    struct checker *checker = xcalloc(1, sizeof(*checker));

    checker->config = config;
    checker->roster = roster;
    int r = client_context_new(&checker->context, loop_h2o(loop));
    if (r < 0) {
        free(checker);
        return r;
    }
    checker->checks = xcalloc(config->n_upstreams, sizeof(*checker->checks));
    *ret = checker;
    return 0;
}

static void forget(struct check *check)
{
    if (check->client)
        client_cancel(TAKE_PTR(check->client));
    check->pool = client_pool_free(check->pool);
    check->target = NULL;
    strbuf_deinit(&check->head);
}

struct checker *checker_free(struct checker *checker)
{
    if (!checker)
        return NULL;
    for (size_t i = 0; i < checker->config->n_upstreams; i++) {
        for (size_t j = 0; checker->checks[i] && j < checker->config->upstreams[i]->n_slots; j++)
            forget(&checker->checks[i][j]);
        free(checker->checks[i]);
    }
    free(checker->checks);
    client_context_free(checker->context);
    free(checker);
    return NULL;
}

/* --- what came of one -------------------------------------------------------------------------------------
 */

static void conclude(struct check *check, bool passed, bool refused, const char *reason)
{
    roster_checked(check->checker->roster, check->upstream, check->target, passed, refused, reason,
                   now_monotonic());
}

/* The status is all that counts: the rest of the answer is not waited for. */
static void on_head(void *userdata, const struct client_response *response)
{
    struct check *check = userdata;
    const struct health_config *health = &check->upstream->health;
    char reason[80];

    client_cancel(TAKE_PTR(check->client));
    snprintf(reason, sizeof(reason), "its check answers %d", response->status);
    conclude(check,
             response->status >= (int)health->status_first && response->status <= (int)health->status_last,
             false, reason);
}

static void on_body(void *userdata, struct slice data, bool final)
{
}

static void on_done(void *userdata, const struct client_outcome *outcome)
{
    struct check *check = userdata;
    char what[140], reason[160];

    check->client = NULL;
    if (outcome->error == CLIENT_OK) {
        conclude(check, true, false, NULL); /* it took a connection */
        return;
    }
    client_outcome_describe(outcome, what, sizeof(what));
    snprintf(reason, sizeof(reason), "its check: %s", what);
    conclude(check, false, client_outcome_is_refused(outcome), reason);
}

static const struct client_callbacks callbacks = {NULL, on_head, on_body, on_done};

/* --- beginning one ----------------------------------------------------------------------------------------
 */

/* RFC 9112 3.2: an address without a name of its own is asked by that address. */
static void format_head(struct check *check)
{
    const char *address = check->target->address.text;
    const bool is_unix = strncmp(address, "unix:", 5) == 0;

    strbuf_clear(&check->head);
    strbuf_addf(&check->head,
                "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: holdfast/" HOLDFAST_VERSION
                " (health check)\r\nAccept: */*\r\nConnection: close\r\n\r\n",
                check->upstream->health.path, is_unix ? "localhost" : address);
}

static void begin(struct check *check, const struct target_config *target, usec_t now)
{
    const struct health_config *health = &check->upstream->health;
    const bool by_request = health->check == HEALTH_CHECK_HTTP;

    if (check->target != target) {
        forget(check);
        check->target = target;
        check->pool = client_pool_new(check->checker->context, check->upstream, target, NULL, NULL, NULL);
    }
    if (by_request)
        format_head(check);
    const struct client_request request = {
        .head = slice_make(check->head.data, check->head.size),
        .fresh = true,
        .connect_only = !by_request,
        .stand = roster_was_refused(check->checker->roster, check->upstream, target) ? 0 : STAND_TIME,
        .connect_timeout = health->timeout,
        .first_byte_timeout = health->timeout,
    };
    roster_check_begun(check->checker->roster, check->upstream, target, now);
    check->deadline = usec_add(now, health->timeout);
    check->client = client_start(check->pool, &request, &callbacks, check);
}

/* Connecting and answering each have the time that the whole may take. */
static usec_t watch(struct check *check, usec_t now)
{
    if (now < check->deadline)
        return check->deadline;
    client_cancel(TAKE_PTR(check->client));
    conclude(check, false, false, "its check: no answer in time");
    return now;
}

static usec_t step_slot(struct checker *checker, size_t upstream, unsigned slot, usec_t now)
{
    const struct upstream_config *config = checker->config->upstreams[upstream];
    struct check *check = checker->checks[upstream] ? &checker->checks[upstream][slot] : NULL;
    struct roster_slot there;

    if (check && check->client)
        return watch(check, now);
    const usec_t due = roster_next_check(checker->roster, config, slot);
    if (due > now || !roster_look(checker->roster, config, slot, &there))
        return due;
    if (!check) {
        checker->checks[upstream] = xcalloc(config->n_slots, sizeof(**checker->checks));
        check = &checker->checks[upstream][slot];
    }
    check->checker = checker;
    check->upstream = config;
    begin(check, there.target, now);
    return check->deadline;
}

usec_t checker_step(struct checker *checker, usec_t now)
{
    usec_t next = USEC_INFINITY;

    for (size_t i = 0; i < checker->config->n_upstreams; i++) {
        const struct upstream_config *upstream = checker->config->upstreams[i];
        for (unsigned slot = 0; slot < roster_n_slots(checker->roster, upstream); slot++)
            next = usec_min(next, step_slot(checker, i, slot, now));
    }
    return next;
}
