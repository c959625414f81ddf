#include "config/values.h"

#include <sched.h>

#include "config/config.h"
#include "config/words.h"
#include "router/method.h"
#include "util/parse.h"

#define THREADS_MAX 256

/* Numbers, sizes, times */

static bool refuse(struct strbuf *error, const char *message)
{
    strbuf_add_string(error, message);
    return false;
}

static bool parse_boolean(const struct config_option *option, const char *value, void *member,
                          struct strbuf *error)
{
    return parse_bool(value, member) == 0;
}
const struct option_type option_bool = {parse_boolean};

static bool parse_choice(const struct config_option *option, const char *value, void *member,
                         struct strbuf *error)
{
    for (unsigned i = 0; option->choices[i]; i++) {
        if (streq(option->choices[i], value)) {
            *(unsigned *)member = i;
            return true;
        }
    }
    return false;
}
const struct option_type option_choice = {parse_choice};

static bool parse_bytes(const struct config_option *option, const char *value, void *member,
                        struct strbuf *error)
{
    int r = parse_size(value, member);
    return r == -ERANGE ? refuse(error, "too large") : r == 0;
}
const struct option_type option_size = {parse_bytes};

#define RATE_MAX (UINT64_C(1024) * 1024 * 1024)

static bool parse_rate(const struct config_option *option, const char *value, void *member,
                       struct strbuf *error)
{
    uint64_t rate;
    const int r = parse_size(value, &rate);

    if (r == -ERANGE || (r == 0 && rate > RATE_MAX))
        return refuse(error, "too large");
    if (r < 0)
        return false;
    *(uint64_t *)member = rate;
    return true;
}
const struct option_type option_rate = {parse_rate};

static bool parse_head_size(const struct config_option *option, const char *value, void *member,
                            struct strbuf *error)
{
    uint64_t size;
    const int r = parse_size(value, &size);

    if (r == -ERANGE || (r == 0 && (size < 1024 || size > 1024 * 1024)))
        return refuse(error, "out of range");
    if (r < 0)
        return false;
    *(uint64_t *)member = size;
    return true;
}
const struct option_type option_head_size = {parse_head_size};

/* A time span within bounds; infinity only where max is. */
static bool parse_span(const char *value, usec_t min, usec_t max, usec_t *ret, struct strbuf *error)
{
    usec_t t;
    int r = parse_duration(value, &t);

    if (r == -EINVAL)
        return false;
    if (r < 0 || t > max)
        return refuse(error, "too long");
    if (t < min)
        return refuse(error, "too short");
    *ret = t;
    return true;
}

static bool parse_timeout(const struct config_option *option, const char *value, void *member,
                          struct strbuf *error)
{
    return parse_span(value, USEC_PER_MSEC, USEC_INFINITY, member, error);
}
const struct option_type option_timeout = {parse_timeout};

static bool parse_finite(const struct config_option *option, const char *value, void *member,
                         struct strbuf *error)
{
    return parse_span(value, USEC_PER_MSEC, USEC_INFINITY - 1, member, error);
}
const struct option_type option_finite = {parse_finite};

static bool parse_pause(const struct config_option *option, const char *value, void *member,
                        struct strbuf *error)
{
    return parse_span(value, 0, 3600 * USEC_PER_SEC, member, error);
}
const struct option_type option_pause = {parse_pause};

/* OpenSSL counts seconds, and clients keep no session for longer than a week (RFC 8446 4.6.1). */
static bool parse_ticket_time(const struct config_option *option, const char *value, void *member,
                              struct strbuf *error)
{
    usec_t t = 0;
    if (!parse_span(value, 0, 7 * 24 * 3600 * USEC_PER_SEC, &t, error))
        return false;
    if (t > 0 && t < USEC_PER_SEC)
        return refuse(error, "too short");
    *(usec_t *)member = t;
    return true;
}
const struct option_type option_ticket_time = {parse_ticket_time};

static bool parse_drain(const struct config_option *option, const char *value, void *member,
                        struct strbuf *error)
{
    if (streq(value, "auto")) {
        *(usec_t *)member = USEC_INFINITY;
        return true;
    }
    return parse_span(value, 0, USEC_INFINITY - 1, member, error);
}
const struct option_type option_drain = {parse_drain};

static unsigned count_usable_cpus(void)
{
    /* The kernel refuses a set smaller than its own. */
    for (size_t n = 1024; n <= 65536; n *= 2) {
        cpu_set_t *set = CPU_ALLOC(n);
        if (!set)
            abort();
        int count =
            sched_getaffinity(0, CPU_ALLOC_SIZE(n), set) == 0 ? CPU_COUNT_S(CPU_ALLOC_SIZE(n), set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return MIN((unsigned)count, (unsigned)THREADS_MAX);
    }
    return 1;
}

static bool parse_unsigned(const char *value, uint64_t min, uint64_t max, unsigned *ret, struct strbuf *error)
{
    uint64_t n;
    int r = parse_u64(value, min, max, &n);

    if (r == -ERANGE)
        return refuse(error, "out of range");
    if (r < 0)
        return false;
    *ret = (unsigned)n;
    return true;
}

static bool parse_threads(const struct config_option *option, const char *value, void *member,
                          struct strbuf *error)
{
    if (streq(value, "auto")) {
        *(unsigned *)member = count_usable_cpus();
        return true;
    }
    return parse_unsigned(value, 1, THREADS_MAX, member, error);
}
const struct option_type option_threads = {parse_threads};

static bool parse_pool_size(const struct config_option *option, const char *value, void *member,
                            struct strbuf *error)
{
    return parse_unsigned(value, 0, 65536, member, error);
}
const struct option_type option_pool_size = {parse_pool_size};

static bool parse_generations(const struct config_option *option, const char *value, void *member,
                              struct strbuf *error)
{
    return parse_unsigned(value, 2, 64, member, error);
}
const struct option_type option_generations = {parse_generations};

/* The upper bound is REQUEST_HEAD_FIELDS_LIMIT of http/request_head.h. */
static bool parse_headers(const struct config_option *option, const char *value, void *member,
                          struct strbuf *error)
{
    return parse_unsigned(value, 10, 1000, member, error);
}
const struct option_type option_headers = {parse_headers};

static bool parse_rate_clients(const struct config_option *option, const char *value, void *member,
                               struct strbuf *error)
{
    return parse_unsigned(value, 1024, 1048576, member, error);
}
const struct option_type option_clients = {parse_rate_clients};

static bool parse_percent(const struct config_option *option, const char *value, void *member,
                          struct strbuf *error)
{
    size_t size = strlen(value);
    _cleanup_free_ char *number = xstrndup(value, size > 1 && value[size - 1] == '%' ? size - 1 : size);
    return parse_unsigned(number, 1, 100, member, error);
}
const struct option_type option_percent = {parse_percent};

#define COUNT_MAX 1000000

static bool parse_count(const struct config_option *option, const char *value, void *member,
                        struct strbuf *error)
{
    return parse_unsigned(value, 1, COUNT_MAX, member, error);
}
const struct option_type option_count = {parse_count};

static bool parse_number(const struct config_option *option, const char *value, void *member,
                         struct strbuf *error)
{
    return parse_unsigned(value, 0, COUNT_MAX, member, error);
}
const struct option_type option_number = {parse_number};

static bool parse_limit(const struct config_option *option, const char *value, void *member,
                        struct strbuf *error)
{
    if (streq(value, "infinity")) {
        *(unsigned *)member = 0;
        return true;
    }
    return parse_unsigned(value, 1, COUNT_MAX, member, error);
}
const struct option_type option_limit = {parse_limit};

static bool parse_places(const struct config_option *option, const char *value, void *member,
                         struct strbuf *error)
{
    if (streq(value, "auto")) {
        *(unsigned *)member = 0;
        return true;
    }
    return parse_unsigned(value, 1, COUNT_MAX, member, error);
}
const struct option_type option_places = {parse_places};

/* Strings */

static void reset_string(void *member)
{
    char **s = member;
    free(*s);
    *s = NULL;
}

/* Visible ASCII only: what may stand in a request line or a field without further ado. */
static bool is_visible(const char *s)
{
    for (; *s; s++)
        if (*s <= 0x20 || *s >= 0x7f)
            return false;
    return true;
}

bool section_name_is_valid(const char *name)
{
    size_t size = strlen(name);
    return size >= 1 && size <= 255 &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@+\\")] ==
               '\0';
}

static bool parse_name(const struct config_option *option, const char *value, void *member,
                       struct strbuf *error)
{
    return section_name_is_valid(value);
}
const struct option_type option_name = {parse_name};

static bool parse_path(const struct config_option *option, const char *value, void *member,
                       struct strbuf *error)
{
    size_t size = strlen(value);

    if (value[0] != '/')
        return refuse(error, "not an absolute path");
    while (size > 1 && value[size - 1] == '/')
        size--;
    set_string(member, xstrndup(value, size));
    return true;
}
const struct option_type option_path = {parse_path, reset_string};

static bool parse_url_path(const struct config_option *option, const char *value, void *member,
                           struct strbuf *error)
{
    if (value[0] != '/' || !is_visible(value) || strchr(value, '#'))
        return false;
    set_string(member, xstrdup(value));
    return true;
}
const struct option_type option_url_path = {parse_url_path, reset_string};

#define TOKEN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"

bool token_is_valid(const char *s)
{
    return *s != '\0' && s[strspn(s, TOKEN)] == '\0';
}

static bool parse_token(const struct config_option *option, const char *value, void *member,
                        struct strbuf *error)
{
    if (!token_is_valid(value))
        return false;
    set_string(member, xstrdup(value));
    return true;
}
const struct option_type option_token = {parse_token, reset_string};

static bool parse_media_type(const struct config_option *option, const char *value, void *member,
                             struct strbuf *error)
{
    static const char token[] = TOKEN;
    size_t type = strspn(value, token);

    if (type == 0 || value[type] != '/')
        return false;
    size_t subtype = strspn(value + type + 1, token);
    const char *rest = value + type + 1 + subtype;
    if (subtype == 0 || (*rest != '\0' && *rest != ';' && *rest != ' '))
        return false;
    for (const char *p = rest; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            return false;
    set_string(member, xstrdup(value));
    return true;
}
const struct option_type option_media_type = {parse_media_type, reset_string};

static void reset_strings(void *member)
{
    char ***strings = member;
    *strings = strv_free(*strings);
}

static bool parse_file_names(const struct config_option *option, const char *value, void *member,
                             struct strbuf *error)
{
    char ***names = member;
    size_t n = 0;

    for (const char *s = value;;) {
        _cleanup_free_ char *word = next_word(&s);
        if (!word)
            break;
        if (strchr(word, '/') || streq(word, ".") || streq(word, ".."))
            return refuse(error, "not the name of a file within the directory");
    }
    while (*names && (*names)[n])
        n++;
    for (const char *s = value;;) {
        char *word = next_word(&s);
        *names = xrealloc(*names, n + 1, sizeof(char *));
        (*names)[n++] = word;
        if (!word)
            return true;
    }
}
const struct option_type option_file_names = {parse_file_names, reset_strings};

static void reset_methods(void *member)
{
    *(uint32_t *)member = 0;
}

static bool parse_methods(const struct config_option *option, const char *value, void *member,
                          struct strbuf *error)
{
    uint32_t methods = 0;

    for (const char *s = value;;) {
        _cleanup_free_ char *word = next_word(&s);
        if (!word)
            break;
        enum method method = method_from_slice(slice_of(word));
        if (method == METHOD_OTHER) {
            strbuf_addf(error, "unknown method \"%s\"", word);
            return false;
        }
        methods |= METHOD_BIT(method);
    }
    *(uint32_t *)member |= methods;
    return true;
}
const struct option_type option_methods = {parse_methods, reset_methods};

/* Credentials */

char *credential_path(const char *value, struct strbuf *error)
{
    /* Where the running service's are, so that a check from a shell finds what the service will find. */
    static const char of_service[] = "/run/credentials/holdfast.service";
    const char *directory = getenv("CREDENTIALS_DIRECTORY");

    if (!directory && access(of_service, X_OK) == 0)
        directory = of_service;
    if (value[0] == '/')
        return xstrdup(value);
    if (strchr(value, '/') || streq(value, ".") || streq(value, "..")) {
        strbuf_add_string(error, "neither an absolute path nor the name of a credential");
        return NULL;
    }
    if (!directory || directory[0] != '/') {
        strbuf_add_string(
            error,
            "this names a credential, but none is passed to this process (LoadCredential= in the unit)");
        return NULL;
    }
    struct strbuf path = STRBUF_INIT;
    strbuf_addf(&path, "%s/%s", directory, value);
    return strbuf_steal(&path);
}

static bool parse_credential(const struct config_option *option, const char *value, void *member,
                             struct strbuf *error)
{
    _cleanup_free_ char *path = credential_path(value, error);
    return path != NULL;
}
const struct option_type option_credential = {parse_credential};

static bool parse_staple(const struct config_option *option, const char *value, void *member,
                         struct strbuf *error)
{
    return streq(value, "-") || parse_credential(option, value, member, error);
}
const struct option_type option_staple = {parse_staple};

static bool parse_credential_string(const struct config_option *option, const char *value, void *member,
                                    struct strbuf *error)
{
    char *path = credential_path(value, error);

    if (!path)
        return false;
    set_string(member, path);
    return true;
}
const struct option_type option_credential_string = {parse_credential_string, reset_string};
