/* Values that make up what a route answers by itself. */

#include "config/config.h"
#include "config/values.h"
#include "util/parse.h"

/* Splits "STATUS rest"; false when no number stands there. */
static bool split_status(const char *value, uint64_t *ret_status, const char **ret_rest)
{
    size_t size = strcspn(value, " \t");
    _cleanup_free_ char *word = xstrndup(value, size);

    if (parse_u64(word, 0, UINT64_MAX, ret_status) < 0)
        return false;
    *ret_rest = value + size + strspn(value + size, " \t");
    return true;
}

/* Reads a text in double quotes in which \" \\ \n and \t stand for what they do in C. */
static const char *unquote(const char *s, struct strbuf *out)
{
    if (*s++ != '"')
        return "the text does not begin with a double quote";
    for (; *s != '"'; s++) {
        if (*s == '\0')
            return "the text does not end in a double quote";
        if (*s != '\\') {
            strbuf_add_char(out, *s);
            continue;
        }
        static const char escapes[] = "\"\\nt", meanings[] = "\"\\\n\t";
        const char *escape = s[1] ? strchr(escapes, s[1]) : NULL;
        if (!escape)
            return "after a backslash only \", \\, n and t are known";
        strbuf_add_char(out, meanings[escape - escapes]);
        s++;
    }
    return s[1] == '\0' ? NULL : "something follows the closing double quote";
}

static bool parse_respond(const struct config_option *option, const char *value, void *member,
                          struct strbuf *error)
{
    struct route_config *route = member;
    _cleanup_strbuf_ struct strbuf body = STRBUF_INIT;
    const char *rest, *problem = NULL;
    uint64_t status;

    if (!split_status(value, &status, &rest))
        return false;
    if (status < 200 || status > 599)
        problem = "the status is out of range";
    else if (status >= 300 && status <= 399 && status != 304)
        problem = "a redirect is made with Redirect=";
    else if (*rest != '\0')
        problem = unquote(rest, &body);
    if (!problem && body.size > RESPOND_BODY_MAX)
        problem = "the text is longer than 16K; serve it from a file with Static=";
    if (!problem && body.size > 0 && (status == 204 || status == 205 || status == 304))
        problem = "a response with this status has no body";
    if (problem) {
        strbuf_add_string(error, problem);
        return false;
    }
    route->respond.status = (int)status;
    set_string(&route->respond.body, strbuf_steal(&body));
    return true;
}

static void reset_respond(void *member)
{
    set_string(&((struct route_config *)member)->respond.body, NULL);
}
const struct option_type option_respond = {parse_respond, reset_respond};

static bool is_url(const char *s)
{
    bool is_path = s[0] == '/' && s[1] != '/';
    const char *authority = strncmp(s, "http://", 7) == 0    ? s + 7
                            : strncmp(s, "https://", 8) == 0 ? s + 8
                                                             : NULL;

    if (!is_path && (!authority || *authority == '\0' || *authority == '/'))
        return false;
    for (; *s; s++)
        if (*s <= 0x20 || *s >= 0x7f || strchr("\"<>\\^`{|}", *s))
            return false;
    return true;
}

static bool parse_redirect(const struct config_option *option, const char *value, void *member,
                           struct strbuf *error)
{
    static const unsigned statuses[] = {301, 302, 303, 307, 308};
    struct route_config *route = member;
    const char *rest;
    uint64_t status;
    bool is_redirect = false;

    if (!split_status(value, &status, &rest))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        is_redirect = is_redirect || status == statuses[i];
    if (!is_redirect) {
        strbuf_add_string(error, "the status is not that of a redirect");
        return false;
    }
    if (!is_url(rest)) {
        strbuf_add_string(error,
                          "the status is not followed by a URL or path in ASCII (others are %-escaped)");
        return false;
    }
    route->respond.status = (int)status;
    set_string(&route->respond.location, xstrdup(rest));
    return true;
}

static void reset_redirect(void *member)
{
    set_string(&((struct route_config *)member)->respond.location, NULL);
}
const struct option_type option_redirect = {parse_redirect, reset_redirect};
