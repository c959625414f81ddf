#include "http/request_body.h"

#include "http/access.h"
#include "http/server_internal.h"

static int refuse_too_large(const char **ret_detail)
{
    *ret_detail = "The request's body is larger than is accepted here.";
    return 413;
}

/* `error`: a negative errno of the disk's, or BODY_NO_ROOM. */
static int refuse_for_now(struct exchange *exchange, int error, const char **ret_detail)
{
    metrics_body_refused(exchange->server->options.metrics);
    access_body_refused(exchange, error);
    body_deinit(&exchange->body);
    exchange_add_retry_after(exchange);
    *ret_detail = "There is no room for the request's body at the moment.";
    return 503;
}

int request_body_begin(struct exchange *exchange, uint64_t expected, const char **ret_detail)
{
    struct body_store *store = exchange->server->options.bodies;

    if (expected == UINT64_MAX) {
        body_init(&exchange->body, store, 0);
        return 0;
    }
    if (expected > exchange_max_body(exchange))
        return refuse_too_large(ret_detail);
    body_init(&exchange->body, store, expected);
    if (store && !body_budget_has(&store->budget, expected))
        return refuse_for_now(exchange, BODY_NO_ROOM, ret_detail);
    return 0;
}

int request_body_add(struct exchange *exchange, const char *data, size_t size, const char **ret_detail)
{
    struct body *body = &exchange->body;
    const bool was_on_disk = body_is_on_disk(body);

    if (body->size + size > exchange_max_body(exchange)) {
        body_deinit(body);
        return refuse_too_large(ret_detail);
    }
    const int r = body_add(body, data, size);
    if (r)
        return refuse_for_now(exchange, r, ret_detail);
    if (body_is_on_disk(body) && !was_on_disk)
        metrics_body_spill(exchange->server->options.metrics);
    return 0;
}

void request_body_end(struct exchange *exchange)
{
    const struct body *body = &exchange->body;
    exchange->req->entity = body->memory ? h2o_iovec_init(body->memory, body->size) : h2o_iovec_init("", 0);
}
