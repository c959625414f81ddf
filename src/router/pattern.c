#include "router/pattern.h"

#include "router/path.h"
#include "util/parse.h"

static bool is_name_start(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool is_name_char(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9') || c == '-';
}

/* The bytes of one path segment from s on. */
static size_t segment_size(const char *s)
{
    return strcspn(s, "/");
}

static int parse_name(struct pattern *pattern, const char *wildcard, struct strbuf *problem)
{
    struct slice name = {wildcard + 1, segment_size(wildcard + 1)};
    if (name.size == 0) {
        strbuf_addf(problem, "'%c' needs a name behind it, as in \"%cname\"", *wildcard, *wildcard);
        return -EINVAL;
    }
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == ':' || name.data[i] == '*') {
            strbuf_addf(problem, "only one parameter per path segment is possible, but \"%.*s\" holds more",
                        (int)name.size + 1, wildcard);
            return -EINVAL;
        }
        if (i == 0 ? !is_name_start(name.data[i]) : !is_name_char(name.data[i])) {
            strbuf_addf(
                problem,
                "\"%.*s\" is not a parameter name: a letter or '_', then letters, digits, '_' or '-', up "
                "to the end of the segment",
                (int)name.size, name.data);
            return -EINVAL;
        }
    }
    if (pattern->n_params == ROUTER_MAX_PARAMS) {
        strbuf_addf(problem, "more than %d parameters", ROUTER_MAX_PARAMS);
        return -EINVAL;
    }
    for (size_t i = 0; i < pattern->n_params; i++)
        if (slice_eq(pattern->names[i], name)) {
            strbuf_addf(problem, "the parameter name \"%.*s\" is used twice", (int)name.size, name.data);
            return -EINVAL;
        }
    pattern->names[pattern->n_params++] = name;
    return 0;
}

/* Why a static byte cannot be in a pattern, or NULL. */
static const char *refuse_byte(char c)
{
    if (c == '%')
        return "a '%' escape is not possible in a pattern: write the character itself";
    if (c == '?')
        return "a query ('?') is not part of a pattern: routes look at the path only";
    if (c == '#')
        return "a fragment ('#') never reaches a server";
    if ((unsigned char)c <= ' ' || c == 0x7f)
        return "blanks and control characters are not possible in a path";
    return NULL;
}

/* Appends a static byte as it looks in a normalised path: what is not ASCII arrives escaped. */
static void add_text(struct strbuf *text, char c)
{
    if ((unsigned char)c >= 0x80)
        strbuf_addf(text, "%%%02X", (unsigned char)c);
    else
        strbuf_add_char(text, c);
}

static int parse_pieces(struct pattern *pattern, const char *source, bool implied_rest, struct strbuf *text,
                        struct strbuf *problem)
{
    size_t piece = 0; /* where the current piece of text began */
    for (const char *s = source; *s;) {
        if (*s == '/') {
            size_t size = segment_size(s + 1);
            if ((size == 1 && s[1] == '.') || (size == 2 && s[1] == '.' && s[2] == '.')) {
                strbuf_addf(problem, "the segment \"%.*s\" can never match: dot segments are resolved first",
                            (int)size, s + 1);
                return -EINVAL;
            }
        }
        if (*s == ':' || *s == '*') {
            int r = parse_name(pattern, s, problem);
            if (r < 0)
                return r;
            pattern->text_sizes[pattern->n_params - 1] = text->size - piece;
            piece = text->size;
            const char *next = s + 1 + segment_size(s + 1);
            if (*s == '*') {
                if (s[-1] != '/' || *next) {
                    strbuf_add_string(problem,
                                      "a catch-all must be the whole last segment, as in \"/files/*rest\"");
                    return -EINVAL;
                }
                pattern->end = PATTERN_END_REST;
            }
            s = next;
            continue;
        }
        const char *why = refuse_byte(*s);
        if (why) {
            strbuf_add_string(problem, why);
            return -EINVAL;
        }
        add_text(text, *s++);
    }

    if (implied_rest && pattern->end == PATTERN_END_EXACT && source[strlen(source) - 1] == '/') {
        if (pattern->n_params == ROUTER_MAX_PARAMS) {
            strbuf_addf(problem, "more than %d parameters", ROUTER_MAX_PARAMS - 1);
            return -EINVAL;
        }
        pattern->text_sizes[pattern->n_params] = text->size - piece;
        piece = text->size;
        pattern->names[pattern->n_params++] = SLICE_LITERAL(PATTERN_IMPLIED_REST);
        pattern->end = PATTERN_END_IMPLIED_REST;
    }
    pattern->text_sizes[pattern->n_params] = text->size - piece;
    return 0;
}

int pattern_parse(struct pattern *pattern, const char *source, bool implied_rest, struct strbuf *problem)
{
    *pattern = (struct pattern){0};
    size_t size = strlen(source);
    if (source[0] != '/') {
        strbuf_add_string(problem, "the path of a pattern begins with '/'");
        return -EINVAL;
    }
    if (size > PATTERN_MAX_SIZE) {
        strbuf_addf(problem, "a pattern of %zu bytes is longer than %d", size, PATTERN_MAX_SIZE);
        return -EINVAL;
    }
    if (!utf8_is_valid(source, size)) {
        strbuf_add_string(problem, "the pattern is not valid UTF-8");
        return -EINVAL;
    }

    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    int r = parse_pieces(pattern, source, implied_rest, &text, problem);
    if (r < 0)
        return r;
    pattern->text = strbuf_steal(&text);
    return 0;
}

void pattern_deinit(struct pattern *pattern)
{
    free(pattern->text);
    *pattern = (struct pattern){0};
}

int pattern_check_host(const char *host, struct strbuf *problem)
{
    if (!*host)
        return 0;
    if (strlen(host) > 255) {
        strbuf_add_string(problem, "a host name is at most 255 bytes long");
        return -EINVAL;
    }
    if (*host == '[') {
        size_t size = strspn(host + 1, "0123456789abcdef:.");
        if (size > 0 && streq(host + 1 + size, "]"))
            return 0;
        strbuf_addf(problem, "\"%s\" is not an IPv6 address in brackets, in lower case and without a port",
                    host);
        return -EINVAL;
    }
    const char *name = strncmp(host, "*.", 2) == 0 ? host + 2 : host;
    if (strchr(name, '*')) {
        strbuf_addf(problem, "a '*' in a host is possible only as its first label, as in \"*.example.com\"");
        return -EINVAL;
    }
    if (strchr(name, ':')) {
        strbuf_add_string(problem, "a port is not part of a host: a route is the same on every port");
        return -EINVAL;
    }
    for (const char *label = name;;) {
        size_t size = strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-_");
        if (size == 0 || (label[size] && label[size] != '.')) {
            strbuf_addf(
                problem,
                "\"%s\" is not a host: labels of lower-case letters, digits, '-' and '_', joined by dots, "
                "without one at the end (an international name in its xn-- form)",
                host);
            return -EINVAL;
        }
        if (!label[size])
            return 0;
        label += size + 1;
    }
}
