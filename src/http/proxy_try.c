/* A request's way to a target.
 *
 *   pick a target ─► exchange with it ─► response head: from here on it is proxy.c's
 *      ▲    │               │
 *      │    │ none is ready │ it failed, and retry_decide() agrees
 *      │    ▼               │
 *      │   HELD             │
 *      └────┴───────────────┘
 *
 * A request is in one of three places: at a target (proxy->client), in the queue (proxy->hold.queued), or
 * answered. What holds in the queue is said at the top of upstream/hold.h. */

#include "http/access.h"
#include "http/forward.h"
#include "http/proxy_internal.h"
#include "http/request_body.h"
#include "http/request_field.h"
#include "http/server_internal.h"
#include "upstream/retry.h"

static void choose(struct proxy *proxy);

static const enum metrics_try tries[_CLIENT_ERROR_MAX] = {
    [CLIENT_OK] = TRY_OK,
    [CLIENT_CONNECT_FAILED] = TRY_CONNECT_FAILED,
    [CLIENT_CONNECT_TIMEOUT] = TRY_CONNECT_TIMEOUT,
    [CLIENT_SEND_FAILED] = TRY_SEND_FAILED,
    [CLIENT_CLOSED_EARLY] = TRY_CLOSED_EARLY,
    [CLIENT_BAD_RESPONSE] = TRY_BAD_RESPONSE,
    [CLIENT_FIRST_BYTE_TIMEOUT] = TRY_FIRST_BYTE_TIMEOUT,
    [CLIENT_TRY_TIMEOUT] = TRY_TIMEOUT,
    [CLIENT_BETWEEN_BYTES_TIMEOUT] = TRY_BETWEEN_BYTES_TIMEOUT,
    [CLIENT_TRUNCATED] = TRY_TRUNCATED,
};

/* --- the end of a try -------------------------------------------------------------------------------------
 */

/* What an outcome says about the target. */
static enum verdict judge(const struct client_outcome *outcome)
{
    switch (outcome->error) {
    case CLIENT_OK:
        return VERDICT_ANSWERED;
    case CLIENT_CONNECT_FAILED:
        if (client_outcome_is_refused(outcome))
            return VERDICT_REFUSED;
        if (outcome->os_error == EMFILE || outcome->os_error == ENFILE || outcome->os_error == ENOMEM ||
            outcome->os_error == ENOBUFS || outcome->os_error == EADDRNOTAVAIL)
            return VERDICT_NONE; /* it is ourselves who lack something */
        return VERDICT_FAILED;
    case CLIENT_SEND_FAILED:
    case CLIENT_CLOSED_EARLY:
        return outcome->reused ? VERDICT_NONE : VERDICT_FAILED;
    default:
        return VERDICT_FAILED;
    }
}

/* The place at the target is given back, once. */
static void give_back(struct proxy *proxy, enum verdict verdict, const char *reason, usec_t now)
{
    if (!proxy->placed)
        return;
    proxy->placed = false;
    const usec_t waiting = proxy->sent_at > 0 ? usec_sub(now, proxy->sent_at) : 0;
    const struct try_report report = {
        .verdict = verdict,
        .status = proxy->response_started ? proxy->exchange->req->res.status : 0,
        .duration = usec_sub(now, proxy->try_began),
        .client_time = usec_add(proxy->client_time, waiting),
        .reason = reason,
    };
    server_upstream_give_back(proxy->upstream, proxy->exchange->target, &proxy->permit, &report, now);
}

static void end_try(struct proxy *proxy, const struct client_outcome *outcome, enum verdict verdict,
                    usec_t now)
{
    char reason[160];

    timer_stop(&proxy->try_timer);
    if (!proxy->placed)
        return; /* proxy_completed() */
    metrics_try_end(proxy->exchange->server->options.metrics, proxy->exchange->upstream,
                    proxy->exchange->target, tries[outcome->error], outcome->reused, outcome->duration);
    reason[0] = '\0'; /* what went well is told by nobody */
    if (outcome->error != CLIENT_OK)
        client_outcome_describe(outcome, reason, sizeof(reason));
    give_back(proxy, verdict, reason, now);
    if (outcome->sent)
        proxy->sent++;
}

/* The failure of a try is told when it is known what becomes of the request. */
static void tell_failure(struct proxy *proxy, bool again)
{
    if (proxy->untold)
        access_try_failed(proxy->exchange, &proxy->failure, again);
    proxy->untold = false;
}

/* --- giving up --------------------------------------------------------------------------------------------
 */

static void fail(struct proxy *proxy, int status, const char *detail)
{
    tell_failure(proxy, false);
    timer_stop(&proxy->request_timer);
    if (status == 503)
        metrics_hold_expired(proxy->exchange->server->options.metrics, proxy->exchange->upstream);
    proxy_fail(proxy, status, detail);
}

static void fail_with(struct proxy *proxy, const struct client_outcome *outcome)
{
    switch (outcome->error) {
    case CLIENT_CONNECT_FAILED:
        fail(proxy, 503, "The service behind this address cannot be reached at the moment.");
        break;
    case CLIENT_CONNECT_TIMEOUT:
        fail(proxy, 504, "The service behind this address did not take the connection in time.");
        break;
    case CLIENT_FIRST_BYTE_TIMEOUT:
    case CLIENT_TRY_TIMEOUT:
    case CLIENT_BETWEEN_BYTES_TIMEOUT:
        fail(proxy, 504, "The service behind this address did not answer in time.");
        break;
    case CLIENT_BAD_RESPONSE:
        fail(proxy, 502, "The service behind this address gave an answer that is not HTTP.");
        break;
    default:
        fail(proxy, 502, "The service behind this address ended the connection without an answer.");
        break;
    }
}

/* --- waiting ----------------------------------------------------------------------------------------------
 */

static void begin_to_wait(struct proxy *proxy, bool again)
{
    const struct exchange *exchange = proxy->exchange;

    proxy->hold.size = proxy->head.size + request_body_size(exchange);
    if (exchange->upstream->hold == 0) {
        fail(proxy, 503, "There is no service behind this address at the moment.");
    } else if (!server_upstream_hold(proxy->upstream, &proxy->hold, again)) {
        access_hold_ended(proxy->exchange, 0, "HoldMax= or HoldMaxSize= is reached");
        fail(proxy, 503, "There is no service behind this address at the moment, and too many wait for it.");
    } else {
        proxy->hold_began = now_monotonic();
        tell_failure(proxy, true);
    }
}

static void note_wait(struct proxy *proxy)
{
    proxy->held += usec_sub(now_monotonic(), proxy->hold_began);
}

void proxy_expire(struct hold_entry *entry)
{
    struct proxy *proxy = container_of(entry, struct proxy, hold);

    note_wait(proxy);
    access_hold_ended(proxy->exchange, proxy->held, "no target was ready in the time of HoldSec=");
    fail(proxy, 503, "The service behind this address was not there in time.");
}

/* --- trying -----------------------------------------------------------------------------------------------
 */

static void on_done(void *userdata, const struct client_outcome *outcome)
{
    struct proxy *proxy = userdata;
    struct exchange *exchange = proxy->exchange;
    const usec_t now = now_monotonic();

    proxy->client = NULL;
    end_try(proxy, outcome, judge(outcome), now);
    if (outcome->error == CLIENT_OK)
        return;
    proxy->failure = *outcome;
    proxy->untold = true;
    const enum retry retry = proxy->response_started ? RETRY_NO
                                                     : retry_decide(outcome, proxy->repeatable, proxy->sent,
                                                                    exchange->upstream->max_tries);
    if (retry == RETRY_NO) {
        if (proxy->response_started) {
            tell_failure(proxy, false);
            proxy_break_off(proxy);
        } else {
            fail_with(proxy, outcome);
        }
        return;
    }
    proxy->choice.fresh = true;
    if (retry == RETRY_FRESH)
        proxy->tried[exchange->target->index / 64] &= ~(UINT64_C(1) << (exchange->target->index % 64));
    const bool affordable = !retry_costs(outcome) || budget_take(&proxy->upstream->budget, now);
    if (!affordable && exchange->upstream->hold == 0) {
        fail_with(proxy, outcome);
        return;
    }
    /* What was sent has had its chance: its patience begins anew. */
    const bool again = proxy->hold.since != 0 && !outcome->sent;
    if (!affordable) {
        begin_to_wait(proxy, again); /* those that wait go out at a bounded rate, which is a bound as well */
        return;
    }
    proxy->again = again;
    choose(proxy);
}

static const struct client_callbacks callbacks = {proxy_on_informational, proxy_on_head, proxy_on_body,
                                                  on_done};

/* Whether another may be asked what was sent to this one: on_done() must not find that it may not. */
static bool may_repeat(const struct proxy *proxy)
{
    const usec_t now = now_monotonic();

    return proxy->repeatable && !client_is_answered(proxy->client) &&
           proxy->sent + 1 < proxy->exchange->upstream->max_tries &&
           budget_next(&proxy->upstream->budget, now) <= now;
}

static void on_try_timeout(struct timer *timer)
{
    struct proxy *proxy = container_of(timer, struct proxy, try_timer);
    struct client_outcome outcome;

    if (!proxy->client)
        return;
    /* What cannot be asked again elsewhere has all the time that is left. */
    if ((client_has_sent(proxy->client) && !may_repeat(proxy)) ||
        !server_upstream_has_other(proxy->upstream, &proxy->choice)) {
        server_timer_start(proxy->exchange->server, &proxy->try_timer,
                           proxy->exchange->upstream->try_timeout);
        return;
    }
    client_abandon(TAKE_PTR(proxy->client), &outcome);
    on_done(proxy, &outcome);
}

static void start(struct proxy *proxy, const struct target_config *target, usec_t now)
{
    struct exchange *exchange = proxy->exchange;
    const struct client_request request = {
        .head = proxy->head,
        .body = slice_of_iovec(exchange->req->entity),
        .body_file = body_is_on_disk(&exchange->body) ? &proxy->body_file : NULL,
        .is_head = exchange->method == METHOD_HEAD,
        .is_upgrade = exchange->req->upgrade.len > 0,
        .fresh = proxy->choice.fresh,
    };

    tell_failure(proxy, true);
    if (exchange->tries > 0)
        metrics_retry(exchange->server->options.metrics, exchange->upstream);
    exchange->target = target;
    exchange->tries++;
    proxy->tried[target->index / 64] |= UINT64_C(1) << (target->index % 64);
    proxy->try_began = now;
    proxy->placed = true;
    server_timer_start(exchange->server, &proxy->try_timer, exchange->upstream->try_timeout);
    proxy->client = client_start(server_upstream_pool(proxy->upstream, target), &request, &callbacks, proxy);
}

static const struct target_config *pick(struct proxy *proxy, usec_t now)
{
    return server_upstream_pick(proxy->upstream, &proxy->choice, now, &proxy->permit);
}

/* Sends it to a target, or to wait, or back. */
static void choose(struct proxy *proxy)
{
    const usec_t now = now_monotonic();
    const struct target_config *target =
        server_upstream_has_queue(proxy->upstream) && !proxy->again
            ? server_upstream_pick_drained(proxy->upstream, &proxy->choice, now, &proxy->permit)
            : pick(proxy, now);

    if (target)
        start(proxy, target, now);
    else if (proxy->exchange->upstream->hold == 0 && proxy->failure.error != CLIENT_OK)
        fail_with(proxy, &proxy->failure);
    else
        begin_to_wait(proxy, proxy->again);
}

bool proxy_release(struct hold_entry *entry)
{
    struct proxy *proxy = container_of(entry, struct proxy, hold);
    const usec_t now = now_monotonic();
    const struct target_config *target = pick(proxy, now);

    if (!target) {
        /* While it waited everything may have changed: where there is no other, any may be tried again. */
        memset(proxy->tried, 0, proxy->choice.n_tried * sizeof(*proxy->tried));
        target = pick(proxy, now);
    }
    if (!target)
        return false;
    note_wait(proxy);
    start(proxy, target, now);
    return true;
}

void proxy_answered(struct proxy *proxy)
{
    timer_stop(&proxy->try_timer);
    timer_stop(&proxy->request_timer);
}

/* The target has done its part, however long the client takes over what there is: its place is free. */
static void end_well(struct proxy *proxy, bool reused)
{
    const usec_t now = now_monotonic();

    metrics_try_end(proxy->exchange->server->options.metrics, proxy->exchange->upstream,
                    proxy->exchange->target, TRY_OK, reused, usec_sub(now, proxy->try_began));
    give_back(proxy, VERDICT_ANSWERED, NULL, now);
}

void proxy_completed(struct proxy *proxy)
{
    end_well(proxy, client_is_reused(proxy->client));
}

void proxy_stolen(struct proxy *proxy)
{
    end_well(proxy, false);
}

/* --- the whole request ------------------------------------------------------------------------------------
 */

static void on_request_timeout(struct timer *timer)
{
    struct proxy *proxy = container_of(timer, struct proxy, request_timer);
    struct client_outcome outcome;

    if (!proxy->client) {
        server_upstream_unhold(proxy->upstream, &proxy->hold);
        note_wait(proxy);
        access_hold_ended(proxy->exchange, proxy->held,
                          "no target was ready in the time of RequestTimeoutSec=");
        fail(proxy, 503, "The service behind this address was not there in time.");
        return;
    }
    const usec_t now = now_monotonic();
    client_abandon(TAKE_PTR(proxy->client), &outcome);
    outcome.error = CLIENT_FIRST_BYTE_TIMEOUT;
    /* Who got it when most of the time was spent, by waiting or by others, is not to blame. */
    const bool late = outcome.duration < proxy->exchange->route->request_timeout / 2;
    end_try(proxy, &outcome, late ? VERDICT_NONE : judge(&outcome), now);
    proxy->failure = outcome;
    proxy->untold = true;
    fail_with(proxy, &outcome);
}

/* The value that Balance=hash goes by. Requests without it are spread. */
static uint64_t hash_of(struct exchange *exchange)
{
    const struct upstream_config *upstream = exchange->upstream;
    struct slice value = {0};

    if (upstream->balance.how != BALANCE_HASH)
        return 0;
    switch (upstream->balance.hash_by) {
    case HASH_BY_CLIENT:
        value = slice_of(exchange_client_text(exchange));
        break;
    case HASH_BY_HEADER:
        value = request_field_named(exchange->req, upstream->balance.hash_name);
        break;
    case HASH_BY_COOKIE:
        value = request_cookie(exchange->req, upstream->balance.hash_name);
        break;
    case _HASH_BY_MAX:
    default:
        WRONG("hash_by");
    }
    if (value.size == 0)
        value = exchange->request_id;
    return balance_hash(value.data, value.size);
}

static uint64_t sticky_of(struct exchange *exchange)
{
    uint64_t key = 0;

    if (!exchange->upstream->sticky)
        return 0;
    const struct slice value = request_cookie(exchange->req, exchange->upstream->sticky);
    if (value.size != 16)
        return 0;
    for (size_t i = 0; i < value.size; i++) {
        const char *digit = strchr("0123456789abcdef", value.data[i]);
        if (!digit || value.data[i] == '\0')
            return 0;
        key = key << 4 | (uint64_t)(digit - "0123456789abcdef");
    }
    return key;
}

/* RFC 9110 9.2.2; draft-ietf-httpapi-idempotency-key-header. */
static bool is_repeatable(struct exchange *exchange)
{
    return method_is_idempotent(exchange->method) ||
           (exchange->route->replay_idempotency_key &&
            request_field_named(exchange->req, "Idempotency-Key").size > 0);
}

void proxy_begin(struct proxy *proxy)
{
    struct exchange *exchange = proxy->exchange;
    h2o_req_t *req = exchange->req;
    const size_t n = (exchange->upstream->n_slots + 63) / 64;

    proxy->tried = h2o_mem_alloc_pool(&req->pool, n * sizeof(*proxy->tried));
    memset(proxy->tried, 0, n * sizeof(*proxy->tried));
    proxy->choice = (struct server_choice){.hash = hash_of(exchange),
                                           .sticky = sticky_of(exchange),
                                           .tried = proxy->tried,
                                           .n_tried = n,
                                           .any = exchange->upstream->hold == 0};
    proxy->repeatable = is_repeatable(exchange);
    proxy->try_timer.callback = on_try_timeout;
    proxy->request_timer.callback = on_request_timeout;
    proxy->head = forward_head(exchange);
    proxy->body_file = (struct client_file){exchange->body.fd, exchange->body.size};
    budget_request(&proxy->upstream->budget, exchange->began);
    server_timer_start(exchange->server, &proxy->request_timer, exchange->route->request_timeout);
    choose(proxy);
}

void proxy_abandon(struct proxy *proxy)
{
    timer_stop(&proxy->try_timer);
    timer_stop(&proxy->request_timer);
    server_upstream_unhold(proxy->upstream, &proxy->hold);
    if (!proxy->client)
        return;
    const struct exchange *exchange = proxy->exchange;
    const usec_t now = now_monotonic();
    if (proxy->placed)
        metrics_try_end(exchange->server->options.metrics, exchange->upstream, exchange->target,
                        proxy->ended ? TRY_OK : TRY_CANCELLED, client_is_reused(proxy->client),
                        usec_sub(now, proxy->try_began));
    give_back(proxy, proxy->response_started ? VERDICT_ANSWERED : VERDICT_NONE, NULL, now);
    client_cancel(TAKE_PTR(proxy->client));
}
