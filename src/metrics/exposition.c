#include <inttypes.h>

#include "metrics/exposition.h"
#include "metrics/shard.h"
#include "util/parse.h"

static const char *const type_names[_METRIC_TYPE_MAX] = {
    [METRIC_COUNTER] = "counter",
    [METRIC_GAUGE] = "gauge",
    [METRIC_HISTOGRAM] = "histogram",
};

void exposition_add_label(struct strbuf *out, const char *name, const char *value)
{
    strbuf_add_string(out, name);
    strbuf_add_string(out, "=\"");
    bool is_utf8 = utf8_is_valid(value, strlen(value));
    for (const char *p = value; *p; p++) {
        if (*p == '\\' || *p == '"') {
            strbuf_add_char(out, '\\');
            strbuf_add_char(out, *p);
        } else if (*p == '\n') {
            strbuf_add_string(out, "\\n");
        } else if (!is_utf8 && (unsigned char)*p >= 0x80) {
            strbuf_add_string(out, "\xef\xbf\xbd");
        } else {
            strbuf_add_char(out, *p);
        }
    }
    strbuf_add_char(out, '"');
}

void exposition_add_help(struct strbuf *out, const char *help)
{
    for (const char *p = help; *p; p++) {
        if (*p == '\\')
            strbuf_add_string(out, "\\\\");
        else if (*p == '\n')
            strbuf_add_string(out, "\\n");
        else
            strbuf_add_char(out, *p);
    }
}

static void add_head(struct strbuf *out, const struct metric_family *family)
{
    strbuf_addf(out, "# HELP %s ", family->name);
    exposition_add_help(out, family->help);
    strbuf_addf(out, "\n# TYPE %s %s\n", family->name, type_names[family->type]);
}

/* The name and labels of a sample; `bound` is the value of the label `le`, or NULL. */
static void add_series(struct strbuf *out, const char *name, const char *suffix,
                       const struct metric_label *labels, size_t n_labels, const char *bound)
{
    strbuf_add_string(out, name);
    strbuf_add_string(out, suffix);
    if (n_labels > 0 || bound) {
        char separator = '{';
        for (size_t i = 0; i < n_labels; i++, separator = ',') {
            strbuf_add_char(out, separator);
            exposition_add_label(out, labels[i].name, labels[i].value);
        }
        if (bound) {
            strbuf_add_char(out, separator);
            exposition_add_label(out, "le", bound);
        }
        strbuf_add_char(out, '}');
    }
    strbuf_add_char(out, ' ');
}

static void add_histogram(struct strbuf *out, const char *name, const struct histogram *histogram,
                          const struct metric_label *labels, size_t n_labels)
{
    uint64_t cumulative = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        char bound[32] = "+Inf";
        if (histogram_bounds[i] != USEC_INFINITY)
            snprintf(bound, sizeof(bound), "%g", (double)histogram_bounds[i] / (double)USEC_PER_SEC);
        cumulative += histogram->buckets[i];
        add_series(out, name, "_bucket", labels, n_labels, bound);
        strbuf_addf(out, "%" PRIu64 "\n", cumulative);
    }
    add_series(out, name, "_sum", labels, n_labels, NULL);
    strbuf_addf(out, "%" PRIu64 ".%06" PRIu64 "\n", histogram->sum / USEC_PER_SEC,
                histogram->sum % USEC_PER_SEC);
    add_series(out, name, "_count", labels, n_labels, NULL);
    strbuf_addf(out, "%" PRIu64 "\n", cumulative);
}

static void add_counted(struct strbuf *out, const struct metrics *metrics, enum metric metric)
{
    const struct metric_family *family = &metric_families[metric];
    for (size_t series = 0; series < metrics->layout.n_series[metric]; series++) {
        struct histogram histogram;
        uint64_t value;
        if (!layout_is_named(&metrics->layout, metric, series))
            continue;
        if (family->type == METRIC_HISTOGRAM) {
            metrics_sum_histogram(metrics, metric, series, &histogram);
            value = histogram_count(&histogram);
        } else {
            value = metrics_sum(metrics, metric, series, 0);
        }
        if (family->sparse && value == 0)
            continue;

        struct metric_label labels[LAYOUT_MAX_LABELS];
        size_t n_labels = layout_labels(&metrics->layout, metric, series, labels);
        if (family->type == METRIC_HISTOGRAM) {
            add_histogram(out, family->name, &histogram, labels, n_labels);
        } else {
            add_series(out, family->name, "", labels, n_labels, NULL);
            strbuf_addf(out, "%" PRIu64 "\n", value);
        }
    }
}

void metrics_expose(const struct metrics *metrics, const struct metrics_process *process, struct strbuf *out)
{
    struct process_usage usage;
    process_usage_read(&usage);

    for (size_t m = 0; m < _METRIC_MAX; m++) {
        const struct metric_family *family = &metric_families[m];
        if (!family->name)
            continue;
        if (!family->read) {
            add_head(out, family);
            add_counted(out, metrics, (enum metric)m);
            continue;
        }
        struct metric_reading reading = {0};
        if (!family->read(process, &usage, &reading))
            continue;
        add_head(out, family);
        add_series(out, family->name, "", &reading.label, reading.label.name ? 1 : 0, NULL);
        strbuf_addf(out, "%.15g\n", reading.value);
    }
}
