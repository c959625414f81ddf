#include "admin/query.h"

#include "util/parse.h"
#include "util/suggest.h"

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL when there is something that no value may have. */
static char *decode(struct slice s)
{
    if (s.size > 3 * (size_t)QUERY_VALUE_MAX)
        return NULL;
    _cleanup_free_ char *value = xcalloc(s.size + 1, 1);
    size_t size = 0;
    for (size_t i = 0; i < s.size; i++) {
        char c = s.data[i];
        if (c == '%') {
            const int high = i + 2 < s.size ? digit_of(s.data[i + 1]) : -1;
            const int low = high >= 0 ? digit_of(s.data[i + 2]) : -1;
            if (low < 0)
                return NULL;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f || size == QUERY_VALUE_MAX)
            return NULL;
        value[size++] = c;
    }
    return utf8_is_valid(value, size) ? TAKE_PTR(value) : NULL;
}

static void tell_accepted(const struct query_parameter *parameters, size_t n, struct strbuf *error)
{
    strbuf_add_string(error, "; accepted: ");
    for (size_t i = 0; i < n; i++)
        strbuf_addf(error, "%s%s=", i > 0 ? ", " : "", parameters[i].name);
}

static bool refuse_name(const char *name, const struct query_parameter *parameters, size_t n,
                        struct strbuf *error)
{
    struct suggestion suggestion;
    suggest_init(&suggestion, name);
    for (size_t i = 0; i < n; i++)
        suggest_consider(&suggestion, parameters[i].name);
    strbuf_addf(error, "'%s' is no parameter here", name);
    if (suggestion.best)
        strbuf_addf(error, ": did you mean '%s'?", suggestion.best);
    else
        tell_accepted(parameters, n, error);
    return false;
}

static bool take(struct slice pair, struct query_parameter *parameters, size_t n, struct strbuf *error)
{
    const bool has_value = memchr(pair.data, '=', pair.size);
    _cleanup_free_ char *name = decode(slice_split(&pair, '='));
    if (!name || !has_value) {
        strbuf_add_string(error, "the query is not of the form name=value&name=value");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!streq(parameters[i].name, name))
            continue;
        if (parameters[i].value) {
            strbuf_addf(error, "%s= stands there twice", name);
            return false;
        }
        parameters[i].value = decode(pair);
        if (!parameters[i].value)
            strbuf_addf(error, "%s= is longer than %d bytes, or has something that is not text", name,
                        QUERY_VALUE_MAX);
        return parameters[i].value;
    }
    return refuse_name(name, parameters, n, error);
}

bool query_parse(struct slice query, struct query_parameter *parameters, size_t n, struct strbuf *error)
{
    while (query.size > 0)
        if (!take(slice_split(&query, '&'), parameters, n, error))
            return false;
    for (size_t i = 0; i < n; i++)
        if (parameters[i].required && (!parameters[i].value || !*parameters[i].value)) {
            strbuf_addf(error, "%s= is missing", parameters[i].name);
            tell_accepted(parameters, n, error);
            return false;
        }
    return true;
}

void query_deinit(struct query_parameter *parameters, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(parameters[i].value);
        parameters[i].value = NULL;
    }
}
