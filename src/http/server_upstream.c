#include "http/server_upstream.h"

#include "config/values.h"
#include "http/proxy.h"
#include "http/server_internal.h"

/* While requests wait, how often it is looked whether one may go, though nothing was heard. */
#define HOLD_LOOK_INTERVAL (20 * USEC_PER_MSEC)

struct server_target {
    struct server_upstream *upstream;
    const struct target_config *target; /* NULL: the slot is empty */
    struct client_pool *pool;
    struct list link; /* among the retired */
    uint64_t key;
    unsigned weight;
    bool ready, familiar;
    bool reserved; /* the connection that is opened next has been counted */
};

/* --- pools ------------------------------------------------------------------------------------------------
 */

static void on_pool_change(void *userdata, int change)
{
    struct server_target *place = userdata;
    const struct server *server = place->upstream->server;
    metrics_pool_change(server->options.metrics, place->upstream->config, place->target, change);
    if (change > 0)
        roster_connection_is_idle(server->options.roster, place->upstream->config);
}

static void on_connection(void *userdata, int change)
{
    struct server_target *place = userdata;
    const struct server *server = place->upstream->server;

    if (change > 0 && place->reserved)
        place->reserved = false;
    else
        roster_count_connection(server->options.roster, place->upstream->config, place->target, change);
}

/* A pool's userdata must outlive it: what a slot had is moved to a place of its own. */
static void retire(struct server_upstream *upstream, struct server_target *place)
{
    client_pool_drain(place->pool);
    if (client_pool_active(place->pool) == 0) {
        client_pool_free(place->pool);
    } else {
        struct server_target *retired = xcalloc(1, sizeof(*retired));
        *retired = *place;
        client_pool_set_userdata(retired->pool, retired);
        list_append(&upstream->retired, &retired->link);
    }
    *place = (struct server_target){.upstream = upstream};
}

static void free_retired(struct server_upstream *upstream)
{
    list_for_each_safe (node, &upstream->retired) {
        struct server_target *retired = list_entry(node, struct server_target, link);
        if (client_pool_active(retired->pool) > 0)
            continue;
        list_unlink(&retired->link);
        client_pool_free(retired->pool);
        free(retired);
    }
}

struct client_pool *server_upstream_pool(struct server_upstream *upstream, const struct target_config *target)
{
    struct server_target *place = &upstream->targets[target->index];
    assert(place->target == target);
    if (!place->pool)
        place->pool = client_pool_new(upstream->server->client_context, upstream->config, target,
                                      on_pool_change, on_connection, place);
    return place->pool;
}

/* --- what comes from the roster ---------------------------------------------------------------------------
 */

static void derive_slot(struct server_upstream *upstream, unsigned slot, usec_t now)
{
    struct server_target *place = &upstream->targets[slot];
    struct roster_slot there = {0};

    (void)roster_look(upstream->server->options.roster, upstream->config, slot, &there);
    if (place->target && place->target != there.target) {
        balance_remove(upstream->balance, slot);
        if (place->pool)
            retire(upstream, place);
        place->target = NULL;
    }
    if (!there.target)
        return;
    if (!place->target) {
        *place = (struct server_target){
            .upstream = upstream, .target = there.target, .key = there.key, .weight = there.weight};
        balance_add(upstream->balance, slot, there.weight, there.key);
    }
    if (place->weight != there.weight)
        balance_set_weight(upstream->balance, slot, there.weight);
    if (place->ready != there.ready)
        balance_set_usable(upstream->balance, slot, there.ready, upstream->derived || !there.seasoned, now);
    place->weight = there.weight;
    place->ready = there.ready;
    place->familiar = there.familiar;
}

static void derive(struct server_upstream *upstream, usec_t now)
{
    const struct roster *roster = upstream->server->options.roster;
    const unsigned version = roster_version(roster, upstream->config);

    if (upstream->derived && upstream->version == version)
        return;
    const unsigned n = roster_n_slots(roster, upstream->config);
    for (unsigned slot = 0; slot < n; slot++)
        derive_slot(upstream, slot, now);
    free_retired(upstream);
    upstream->version = version;
    upstream->derived = true;
}

/* --- picking ----------------------------------------------------------------------------------------------
 */

static bool is_tried(const struct server_choice *choice, unsigned slot)
{
    return choice->tried[slot / 64] >> slot % 64 & 1;
}

/* Makes sure that a request can get there without a connection too many: by one that is kept, or by one that
 * is counted now and opened when the request is started, before anything else happens on this worker. */
static bool reserve_connection(struct server_upstream *upstream, struct server_target *place, bool fresh)
{
    if (upstream->config->max_connections == 0)
        return true;
    if (place->pool && client_pool_has_idle(place->pool)) {
        if (!fresh)
            return true;
        client_pool_close_one(place->pool);
    }
    place->reserved =
        roster_take_connection(upstream->server->options.roster, upstream->config, place->target);
    return place->reserved;
}

static bool take(struct server_upstream *upstream, unsigned slot, const struct server_choice *choice,
                 usec_t now, struct roster_permit *ret)
{
    struct server_target *place = &upstream->targets[slot];
    struct roster *roster = upstream->server->options.roster;

    if (!reserve_connection(upstream, place, choice->fresh))
        return false;
    if (!roster_begin(roster, upstream->config, place->target, now, ret)) {
        if (place->reserved)
            roster_count_connection(roster, upstream->config, place->target, -1);
        place->reserved = false;
        return false;
    }
    balance_begin(upstream->balance, slot);
    return true;
}

/* The one that a cookie names; NULL when it is not there. */
static const struct server_target *find_sticky(const struct server_upstream *upstream,
                                               const struct server_choice *choice)
{
    for (unsigned slot = 0; choice->sticky && slot < upstream->config->n_slots; slot++)
        if (upstream->targets[slot].target && upstream->targets[slot].key == choice->sticky)
            return &upstream->targets[slot];
    return NULL;
}

/* Also where it gets no new clients. */
static const struct target_config *pick_sticky(struct server_upstream *upstream,
                                               const struct server_choice *choice, usec_t now,
                                               struct roster_permit *ret)
{
    const struct server_target *place = find_sticky(upstream, choice);

    if (!place || !place->familiar || is_tried(choice, place->target->index) ||
        !take(upstream, place->target->index, choice, now, ret))
        return NULL;
    return place->target;
}

static const struct target_config *pick_balanced(struct server_upstream *upstream,
                                                 const struct server_choice *choice, usec_t now,
                                                 struct roster_permit *ret)
{
    uint64_t exclude[(UPSTREAM_SLOTS_LIMIT + 63) / 64];
    struct balance_request request = {
        .hash = choice->hash, .exclude = choice->tried, .n_exclude = choice->n_tried, .now = now};

    for (int slot; (slot = balance_pick(upstream->balance, &request)) >= 0;) {
        if (take(upstream, (unsigned)slot, choice, now, ret))
            return upstream->targets[slot].target;
        if (request.exclude == choice->tried) {
            assert(choice->n_tried <= ARRAY_SIZE(exclude));
            memcpy(exclude, choice->tried, choice->n_tried * sizeof(exclude[0]));
            request.exclude = exclude;
        }
        exclude[slot / 64] |= UINT64_C(1) << (slot % 64);
    }
    return NULL;
}

/* None is known to be good: one that is not may have come back. */
static const struct target_config *pick_any(struct server_upstream *upstream,
                                            const struct server_choice *choice, usec_t now,
                                            struct roster_permit *ret)
{
    for (unsigned slot = 0; slot < upstream->config->n_slots; slot++) {
        const struct server_target *place = &upstream->targets[slot];
        struct roster_slot there;
        if (place->target && place->weight > 0 && !is_tried(choice, slot) &&
            roster_look(upstream->server->options.roster, upstream->config, slot, &there) && there.wanted &&
            take(upstream, slot, choice, now, ret))
            return place->target;
    }
    return NULL;
}

const struct target_config *server_upstream_pick(struct server_upstream *upstream,
                                                 const struct server_choice *choice, usec_t now,
                                                 struct roster_permit *ret_permit)
{
    derive(upstream, now);
    const struct target_config *target = pick_sticky(upstream, choice, now, ret_permit);
    if (!target)
        target = pick_balanced(upstream, choice, now, ret_permit);
    if (!target && choice->any)
        target = pick_any(upstream, choice, now, ret_permit);
    return target;
}

const struct target_config *server_upstream_pick_drained(struct server_upstream *upstream,
                                                         const struct server_choice *choice, usec_t now,
                                                         struct roster_permit *ret_permit)
{
    if (!choice->sticky)
        return NULL;
    derive(upstream, now);
    const struct server_target *place = find_sticky(upstream, choice);
    return place && !place->ready ? pick_sticky(upstream, choice, now, ret_permit) : NULL;
}

bool server_upstream_has_other(struct server_upstream *upstream, const struct server_choice *choice)
{
    derive(upstream, now_monotonic());
    for (unsigned slot = 0; slot < upstream->config->n_slots; slot++) {
        const struct server_target *place = &upstream->targets[slot];
        if (place->target && place->ready && place->weight > 0 && !is_tried(choice, slot))
            return true;
    }
    return false;
}

void server_upstream_give_back(struct server_upstream *upstream, const struct target_config *target,
                               const struct roster_permit *permit, const struct try_report *report,
                               usec_t now)
{
    balance_end(upstream->balance, target->index);
    roster_end(upstream->server->options.roster, upstream->config, target, permit, report, now);
}

/* --- holding ----------------------------------------------------------------------------------------------
 */

bool server_upstream_has_queue(const struct server_upstream *upstream)
{
    return upstream->hold.n > 0 && !upstream->releasing;
}

/* `blocked`: no target takes any now, whatever the rate allows. */
static void arm(struct server_upstream *upstream, bool blocked)
{
    usec_t left = HOLD_LOOK_INTERVAL;

    if (upstream->hold.n == 0) {
        loop_timer_disarm(upstream->hold_timer);
        return;
    }
    if (!blocked)
        left = usec_min(left, usec_sub(hold_next_at(&upstream->hold), now_monotonic()));
    loop_timer_arm(upstream->hold_timer, MAX(left, USEC_PER_MSEC));
}

bool server_upstream_hold(struct server_upstream *upstream, struct hold_entry *entry, bool again)
{
    const struct server *server = upstream->server;
    const bool first = upstream->hold.n == 0;

    if (!roster_hold(server->options.roster, upstream->config, entry->size, again))
        return false;
    if (!again) {
        entry->since = now_monotonic();
        metrics_hold(server->options.metrics, upstream->config);
        if (!first && balance_n_usable(upstream->balance) > 0)
            hold_allow_one(&upstream->hold);
    }
    hold_add(&upstream->hold, entry, again);
    if (first && !upstream->releasing)
        arm(upstream, true);
    return true;
}

/* One of `size` bytes has left the queue for good. */
static void uncount(struct server_upstream *upstream, size_t size)
{
    roster_unhold(upstream->server->options.roster, upstream->config, size);
}

void server_upstream_unhold(struct server_upstream *upstream, struct hold_entry *entry)
{
    if (!entry->queued)
        return;
    hold_remove(&upstream->hold, entry);
    uncount(upstream, entry->size);
}

void server_upstream_release(struct server_upstream *upstream)
{
    struct hold_entry *entry;
    const usec_t now = now_monotonic();

    upstream->releasing = true;
    derive(upstream, now);
    while ((entry = hold_expired(&upstream->hold, now))) {
        uncount(upstream, entry->size);
        proxy_expire(entry);
    }
    /* Those of a drained target may go all the same. */
    bool blocked = balance_n_usable(upstream->balance) == 0 && !upstream->config->sticky;
    while (!blocked && (entry = hold_next(&upstream->hold, now))) {
        const size_t size = entry->size;
        if (!proxy_release(entry)) {
            hold_add(&upstream->hold, entry, true);
            hold_allow_one(&upstream->hold); /* it has not gone */
            blocked = true;
        } else {
            uncount(upstream, size);
        }
    }
    upstream->releasing = false;
    arm(upstream, blocked);
}

void server_upstream_make_room(struct server_upstream *upstream)
{
    const struct roster *roster = upstream->server->options.roster;

    if (upstream->config->max_connections == 0)
        return;
    for (unsigned slot = 0; slot < upstream->config->n_slots; slot++) {
        struct server_target *place = &upstream->targets[slot];
        if (place->pool && !roster_may_connect(roster, upstream->config, place->target))
            client_pool_close_one(place->pool);
    }
}

static void on_hold_timer(void *userdata)
{
    server_upstream_release(userdata);
}

/* --- life -------------------------------------------------------------------------------------------------
 */

void server_upstream_init(struct server_upstream *upstream, struct server *server,
                          const struct upstream_config *config)
{
    const unsigned threads = server->options.config->gateway.threads;
    const struct balance_options balance = {
        .how = config->balance.how,
        .n_slots = (unsigned)config->n_slots,
        .slow_start = config->slow_start,
        .seed = server->options.index,
    };
    upstream->server = server;
    upstream->config = config;
    upstream->balance = balance_new(&balance);
    upstream->targets = xcalloc(config->n_slots, sizeof(*upstream->targets));
    list_init(&upstream->retired);
    budget_init(&upstream->budget, config->retry_budget, config->retry_minimum, threads, now_monotonic());
    hold_init(&upstream->hold, config->hold, MAX(config->hold_rate / threads, 1u));
    upstream->hold_timer = loop_timer_new(server->options.loop, on_hold_timer, upstream);
}

void server_upstream_deinit(struct server_upstream *upstream)
{
    if (!upstream->config)
        return;
    assert(upstream->hold.n == 0);
    free_retired(upstream);
    assert(list_is_empty(&upstream->retired));
    for (size_t i = 0; i < upstream->config->n_slots; i++)
        client_pool_free(upstream->targets[i].pool);
    loop_timer_free(upstream->hold_timer);
    balance_free(upstream->balance);
    free(upstream->targets);
}
