#include "metrics/layout.h"

static const char *const class_names[LAYOUT_N_CLASSES] = {"aborted", "1xx", "2xx", "3xx", "4xx", "5xx"};

static int compare_routes(const void *a, const void *b)
{
    const struct route_config *x = *(struct route_config *const *)a, *y = *(struct route_config *const *)b;
    int order = strcmp(x->pattern, y->pattern);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* Gives each distinct pattern a number. */
static void number_routes(struct metrics_layout *layout)
{
    const struct config *config = layout->config;
    layout->route_values = xcalloc(config->n_routes, sizeof(*layout->route_values));
    layout->routes = xcalloc(config->n_routes + 1, sizeof(*layout->routes));

    _cleanup_free_ const struct route_config **sorted = xcalloc(config->n_routes, sizeof(*sorted));
    for (size_t i = 0; i < config->n_routes; i++)
        sorted[i] = config->routes[i];
    qsort(sorted, config->n_routes, sizeof(*sorted), compare_routes);

    size_t n = 0;
    for (size_t i = 0; i < config->n_routes; i++) {
        if (n == 0 || !streq(layout->routes[n - 1], sorted[i]->pattern))
            layout->routes[n++] = sorted[i]->pattern;
        assert(sorted[i]->index < config->n_routes);
        layout->route_values[sorted[i]->index] = (uint32_t)(n - 1);
    }
    layout->routes[n++] = "";
    layout->n_values[DIMENSION_ROUTE] = n;
}

/* Those of the configuration, and room for those that come later. */
static size_t slots_of(const struct upstream_config *upstream)
{
    return MAX(upstream->n_targets, upstream->n_slots);
}

static void number_targets(struct metrics_layout *layout)
{
    const struct config *config = layout->config;
    size_t n_targets = 0;
    for (size_t i = 0; i < config->n_upstreams; i++)
        n_targets += slots_of(config->upstreams[i]);
    layout->target_first = xcalloc(config->n_upstreams, sizeof(*layout->target_first));
    layout->target_values = xcalloc(n_targets, sizeof(*layout->target_values));
    layout->targets = xcalloc(n_targets, sizeof(*layout->targets));

    size_t position = 0, n = 0;
    for (size_t i = 0; i < config->n_upstreams; i++) {
        const struct upstream_config *upstream = config->upstreams[i];
        size_t first_value = n;
        assert(upstream->index == i);
        layout->target_first[i] = (uint32_t)position;
        for (size_t j = 0; j < upstream->n_targets; j++) {
            const char *address = upstream->targets[j].address.text;
            size_t value = first_value;
            assert(upstream->targets[j].index == j);
            if (upstream->targets[j].address.size == 0)
                address = NULL; /* a name: what it stands for has series, it has none */
            while (value < n && !(address && layout->targets[value].address &&
                                  streq(layout->targets[value].address, address)))
                value++;
            if (value == n)
                layout->targets[n++] = (struct layout_target){upstream->name, address};
            layout->target_values[position++] = (uint32_t)value;
        }
        for (size_t j = upstream->n_targets; j < slots_of(upstream); j++) {
            layout->targets[n] = (struct layout_target){upstream->name, NULL};
            layout->target_values[position++] = (uint32_t)n++;
        }
    }
    layout->n_values[DIMENSION_TARGET] = n;
}

void layout_name_target(struct metrics_layout *layout, const struct upstream_config *upstream,
                        const struct target_config *target, const char *address)
{
    layout->targets[layout_target(layout, upstream, target)].address = address;
}

void layout_init(struct metrics_layout *layout, const struct config *config)
{
    *layout = (struct metrics_layout){.config = config};
    layout->n_values[DIMENSION_NONE] = 1;
    layout->n_values[DIMENSION_METHOD] = _METHOD_MAX;
    layout->n_values[DIMENSION_CLASS] = LAYOUT_N_CLASSES;
    layout->n_values[DIMENSION_LISTENER] = config->n_listeners;
    layout->n_values[DIMENSION_PROTOCOL] = _METRICS_PROTOCOL_MAX;
    layout->n_values[DIMENSION_OUTCOME] = _METRICS_TRY_MAX;
    layout->n_values[DIMENSION_FAULT] = _CLIENT_FAULT_MAX;
    layout->n_values[DIMENSION_UPSTREAM] = config->n_upstreams;
    for (size_t i = 0; i < config->n_listeners; i++)
        layout->n_values[DIMENSION_CERTIFICATE] += config->listeners[i].n_certificates;
    number_routes(layout);
    number_targets(layout);

    for (size_t m = 0; m < _METRIC_COUNTED_MAX; m++) {
        size_t n_series = 1;
        for (size_t d = 0; d < METRIC_MAX_DIMENSIONS; d++)
            n_series *= layout->n_values[metric_families[m].dimensions[d]];
        layout->n_series[m] = n_series;
        layout->first[m] = layout->n_cells;
        layout->n_cells += n_series * layout_stride((enum metric)m);
    }
}

void layout_deinit(struct metrics_layout *layout)
{
    free(layout->route_values);
    free(layout->target_first);
    free(layout->target_values);
    free(layout->routes);
    free(layout->targets);
    *layout = (struct metrics_layout){0};
}

size_t layout_certificate(const struct metrics_layout *layout, const struct listener_config *listener,
                          size_t certificate)
{
    for (size_t i = 0; i < listener->index; i++)
        certificate += layout->config->listeners[i].n_certificates;
    return certificate;
}

static size_t add_certificate(const struct config *config, size_t value, struct metric_label *ret)
{
    const struct listener_config *listener = config->listeners;
    for (; value >= listener->n_certificates; listener++)
        value -= listener->n_certificates;
    ret[0] = (struct metric_label){"listener", listener->name};
    ret[1] = (struct metric_label){"certificate", listener->certificates[value].certificate};
    return 2;
}

static size_t add_labels(const struct metrics_layout *layout, enum metric_dimension dimension, size_t value,
                         struct metric_label *ret)
{
    switch (dimension) {
    case DIMENSION_NONE:
        return 0;
    case DIMENSION_ROUTE:
        ret[0] = (struct metric_label){"route", layout->routes[value]};
        return 1;
    case DIMENSION_METHOD:
        ret[0] = (struct metric_label){"method", method_to_string((enum method)value)};
        return 1;
    case DIMENSION_CLASS:
        ret[0] = (struct metric_label){"class", class_names[value]};
        return 1;
    case DIMENSION_LISTENER:
        ret[0] = (struct metric_label){"listener", layout->config->listeners[value].name};
        return 1;
    case DIMENSION_PROTOCOL:
        ret[0] = (struct metric_label){"protocol", metrics_protocol_to_string((enum metrics_protocol)value)};
        return 1;
    case DIMENSION_UPSTREAM:
        ret[0] = (struct metric_label){"upstream", layout->config->upstreams[value]->name};
        return 1;
    case DIMENSION_TARGET:
        ret[0] = (struct metric_label){"upstream", layout->targets[value].upstream};
        ret[1] = (struct metric_label){"target", layout->targets[value].address};
        return 2;
    case DIMENSION_OUTCOME:
        ret[0] = (struct metric_label){"outcome", metrics_try_to_string((enum metrics_try)value)};
        return 1;
    case DIMENSION_CERTIFICATE:
        return add_certificate(layout->config, value, ret);
    case DIMENSION_FAULT:
        ret[0] = (struct metric_label){"fault", client_fault_to_string((enum client_fault)value)};
        return 1;
    case _DIMENSION_MAX:
    default:
        WRONG("dimension");
    }
}

size_t layout_labels(const struct metrics_layout *layout, enum metric metric, size_t series,
                     struct metric_label ret[LAYOUT_MAX_LABELS])
{
    const enum metric_dimension *dimensions = metric_families[metric].dimensions;
    size_t values[METRIC_MAX_DIMENSIONS];
    for (size_t d = METRIC_MAX_DIMENSIONS; d-- > 0;) {
        size_t n = layout->n_values[dimensions[d]];
        values[d] = series % n;
        series /= n;
    }

    size_t n_labels = 0;
    for (size_t d = 0; d < METRIC_MAX_DIMENSIONS; d++)
        n_labels += add_labels(layout, dimensions[d], values[d], &ret[n_labels]);
    return n_labels;
}

bool layout_is_named(const struct metrics_layout *layout, enum metric metric, size_t series)
{
    const enum metric_dimension *dimensions = metric_families[metric].dimensions;
    bool named = true;
    for (size_t d = METRIC_MAX_DIMENSIONS; d-- > 0;) {
        const size_t n = layout->n_values[dimensions[d]], value = series % n;
        if (dimensions[d] == DIMENSION_TARGET)
            named = named && layout->targets[value].address;
        series /= n;
    }
    return named;
}

static bool find_route(const struct metrics_layout *layout, const char *name, size_t *ret)
{
    /* Sorted but for the last, "", which is for no route. */
    const size_t last = layout->n_values[DIMENSION_ROUTE] - 1;
    if (!*name) {
        *ret = last;
        return true;
    }
    for (size_t low = 0, high = last; low < high;) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(name, layout->routes[middle]);
        if (order == 0) {
            *ret = middle;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* By the labels that each value has. */
static bool find_by_labels(const struct metrics_layout *layout, enum metric_dimension dimension,
                           const char *(*label_value)(void *userdata, const char *name), void *userdata,
                           size_t *ret)
{
    for (size_t value = 0; value < layout->n_values[dimension]; value++) {
        struct metric_label labels[LAYOUT_MAX_LABELS];
        const size_t n = add_labels(layout, dimension, value, labels);
        bool same = true;
        for (size_t i = 0; i < n && same; i++) {
            const char *given = label_value(userdata, labels[i].name);
            same = given && labels[i].value && streq(given, labels[i].value);
        }
        if (same) {
            *ret = value;
            return true;
        }
    }
    return false;
}

bool layout_find(const struct metrics_layout *layout, enum metric metric,
                 const char *(*label_value)(void *userdata, const char *name), void *userdata, size_t *ret)
{
    size_t series = 0;
    for (size_t d = 0; d < METRIC_MAX_DIMENSIONS; d++) {
        const enum metric_dimension dimension = metric_families[metric].dimensions[d];
        size_t value = 0;
        if (dimension == DIMENSION_ROUTE) { /* there may be thousands */
            const char *route = label_value(userdata, "route");
            if (!route || !find_route(layout, route, &value))
                return false;
        } else if (!find_by_labels(layout, dimension, label_value, userdata, &value)) {
            return false;
        }
        series = series * layout->n_values[dimension] + value;
    }
    *ret = series;
    return true;
}
