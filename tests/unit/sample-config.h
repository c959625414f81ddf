#pragma once
/* A configuration made by hand, for tests of parts that only read one: two listeners, two upstreams, four
 * routes of which two share a pattern. Names hold what has to be escaped somewhere. */

#include "config/config.h"
#include "router/method.h"

static struct listener_config sample_listeners[] = {
    {.name = (char *)"http", .index = 0, .protocol = LISTENER_HTTP},
    {.name = (char *)"https", .index = 1, .protocol = LISTENER_HTTPS},
};

static struct target_config sample_orders_targets[] = {
    {.address.text = (char *)"unix:/run/orders/blue.sock", .address.size = 1, .index = 0, .weight = 1},
    {.address.text = (char *)"127.0.0.1:9001", .address.size = 1, .index = 1, .weight = 2},
    {.address.text = (char *)"127.0.0.1:9001", .address.size = 1, .index = 2, .weight = 1},
};
static struct target_config sample_users_targets[] = {
    {.address.text = (char *)"127.0.0.1:9001", .address.size = 1, .index = 0, .weight = 1},
};
static struct upstream_config sample_orders = {.name = (char *)"orders",
                                               .index = 0,
                                               .targets = sample_orders_targets,
                                               .n_targets = 3,
                                               .n_slots = 5,
                                               .health = {.max_failures = 3, .rise = 1, .fall = 3},
                                               .hold = 1000000,
                                               .hold_max = 10,
                                               .hold_max_size = 1000};
static struct upstream_config sample_users = {.name = (char *)"users",
                                              .index = 1,
                                              .targets = sample_users_targets,
                                              .n_targets = 1,
                                              .n_slots = 1,
                                              .health = {.max_failures = 3, .rise = 1, .fall = 3}};
static struct upstream_config *sample_upstreams[] = {&sample_orders, &sample_users};

static struct route_config sample_read_orders = {
    .pattern = (char *)"/api/orders/:id",
    .index = 0,
    .methods = METHOD_BIT(METHOD_GET),
    .kind = ROUTE_UPSTREAM,
    .upstream = &sample_orders,
};
static struct route_config sample_odd = {
    .pattern = (char *)"/odd/\"quoted\"\\back\nline",
    .index = 1,
    .methods = METHOD_ALL,
    .kind = ROUTE_STATIC,
    .files.root = (char *)"/srv/www",
};
static struct route_config sample_write_orders = {
    .pattern = (char *)"/api/orders/:id",
    .index = 2,
    .methods = METHOD_BIT(METHOD_PUT) | METHOD_BIT(METHOD_POST),
    .kind = ROUTE_UPSTREAM,
    .upstream = &sample_users,
};
static struct route_config sample_old = {
    .pattern = (char *)"old.example.com/*rest",
    .index = 3,
    .methods = METHOD_ALL,
    .kind = ROUTE_REDIRECT,
    .respond.status = 301,
    .respond.location = (char *)"https://example.com/",
};
static struct route_config *sample_routes[] = {&sample_read_orders, &sample_odd, &sample_write_orders,
                                               &sample_old};

static const struct config sample_config = {
    .gateway.threads = 2,
    .listeners = sample_listeners,
    .n_listeners = ARRAY_SIZE(sample_listeners),
    .upstreams = sample_upstreams,
    .n_upstreams = ARRAY_SIZE(sample_upstreams),
    .routes = sample_routes,
    .n_routes = ARRAY_SIZE(sample_routes),
};
