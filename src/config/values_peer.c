/* Values that name something outside this process: targets, and what checks ask. */

#include "config/address.h"
#include "config/values.h"
#include "config/words.h"
#include "util/parse.h"

static bool refuse(struct strbuf *error, const char *message)
{
    strbuf_add_string(error, message);
    return false;
}

/* Splits "FIRST [name=REST]": the first word goes to *ret_first, for the caller to free, what follows the '='
 * to *ret_rest (NULL if there is only one word). */
static bool split_first(const char *value, const char *name, char **ret_first, const char **ret_rest,
                        struct strbuf *error)
{
    size_t size = strcspn(value, " \t"), name_size = strlen(name);
    const char *rest = value + size + strspn(value + size, " \t");

    if (*rest != '\0' && (strncmp(rest, name, name_size) != 0 || rest[name_size] != '=' ||
                          rest[strcspn(rest, " \t")] != '\0')) {
        strbuf_addf(error, "\"%s\" is not understood", rest);
        return false;
    }
    *ret_first = xstrndup(value, size);
    *ret_rest = *rest != '\0' ? rest + name_size + 1 : NULL;
    return true;
}

/* What is wrong with the name of a unit, or NULL. */
static const char *unit_name_problem(const char *name)
{
    static const char *const suffixes[] = {".service", ".socket", ".device", ".mount", ".automount", ".swap",
                                           ".target",  ".path",   ".timer",  ".slice", ".scope"};
    const char *dot = strrchr(name, '.');
    bool has_suffix = false;

    for (size_t i = 0; dot && i < ARRAY_SIZE(suffixes); i++)
        has_suffix = has_suffix || streq(dot, suffixes[i]);
    if (!has_suffix || dot == name)
        return "a unit's name ends in .service or another unit type";
    if (strlen(name) > 255 ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@")] != '\0')
        return "not a unit name";
    return NULL;
}

static bool parse_unit(const struct config_option *option, const char *value, void *member,
                       struct strbuf *error)
{
    const char *problem = unit_name_problem(value);
    if (problem)
        return refuse(error, problem);
    set_string(member, xstrdup(value));
    return true;
}

static void reset_unit(void *member)
{
    set_string(member, NULL);
}
const struct option_type option_unit = {parse_unit, reset_unit};

/* One word after the address. */
static const char *parse_target_word(const char *word, struct target_config *target)
{
    uint64_t n;

    if (strncmp(word, "weight=", 7) == 0) {
        if (parse_u64(word + 7, 0, 256, &n) < 0)
            return "the weight is not a number from 0 to 256";
        target->weight = (unsigned)n;
        return NULL;
    }
    if (strncmp(word, "unit=", 5) == 0) {
        const char *problem = unit_name_problem(word + 5);
        if (problem)
            return problem;
        set_string(&target->unit, xstrdup(word + 5));
        return NULL;
    }
    return "";
}

static const char *parse_target_address(const char *word, struct target_config *target)
{
    if (strncmp(word, "srv:", 4) != 0)
        return address_parse(word, true, &target->address);
    if (!host_name_is_valid(word + 4))
        return "after srv: stands the name of SRV records, as _http._tcp.example.com";
    target->is_service = true;
    target->address.text = xstrdup(word);
    return NULL;
}

static const char *parse_target_part(const char *word, void *object)
{
    struct target_config *target = object;
    return target->address.text ? parse_target_word(word, target) : parse_target_address(word, target);
}

bool target_parse(const char *value, struct target_config *ret, struct strbuf *error)
{
    struct target_config target = {.weight = 1};

    if (!parse_words(value, parse_target_part, &target, error)) {
        target_deinit(&target);
        return false;
    }
    *ret = target;
    return true;
}

/* Names are the same when their spelling is. */
static bool is_same_target(const struct target_config *a, const struct target_config *b)
{
    return a->address.size == 0 ? streq(a->address.text, b->address.text)
                                : address_eq(&a->address, &b->address);
}

static bool parse_target(const struct config_option *option, const char *value, void *member,
                         struct strbuf *error)
{
    struct upstream_config *upstream =
        container_of((struct target_config **)member, struct upstream_config, targets);
    struct target_config target;

    if (!target_parse(value, &target, error))
        return false;
    target.index = (unsigned)upstream->n_targets;
    const struct target_config *same = NULL;
    for (size_t i = 0; i < upstream->n_targets && !same; i++)
        if (is_same_target(&upstream->targets[i], &target))
            same = &upstream->targets[i];
    if (!same && upstream->n_targets < UPSTREAM_TARGETS_MAX) {
        upstream->targets = xrealloc(upstream->targets, upstream->n_targets + 1, sizeof(target));
        upstream->targets[upstream->n_targets++] = target;
        return true;
    }
    if (same)
        strbuf_addf(error, "the same address is a target already, at %s:%u", same->place.file,
                    same->place.line);
    else
        strbuf_add_string(error, "an upstream has at most 256 targets");
    target_deinit(&target);
    return false;
}

static void reset_targets(void *member)
{
    struct upstream_config *upstream =
        container_of((struct target_config **)member, struct upstream_config, targets);

    for (size_t i = 0; i < upstream->n_targets; i++)
        target_deinit(&upstream->targets[i]);
    free(upstream->targets);
    upstream->targets = NULL;
    upstream->n_targets = 0;
}
const struct option_type option_target = {parse_target, reset_targets};

static void reset_balance(void *member)
{
    struct upstream_config *upstream = container_of(member, struct upstream_config, balance);
    set_string(&upstream->balance.hash_name, NULL);
}

static bool parse_balance(const struct config_option *option, const char *value, void *member,
                          struct strbuf *error)
{
    static const struct {
        const char *text;
        enum balance how;
        enum hash_by by;
        bool named;
    } kinds[] = {
        {"round-robin", BALANCE_ROUND_ROBIN, 0, false},
        {"least-connections", BALANCE_LEAST_CONNECTIONS, 0, false},
        {"random-two", BALANCE_RANDOM_TWO, 0, false},
        {"hash client", BALANCE_HASH, HASH_BY_CLIENT, false},
        {"hash header:", BALANCE_HASH, HASH_BY_HEADER, true},
        {"hash cookie:", BALANCE_HASH, HASH_BY_COOKIE, true},
    };
    struct upstream_config *upstream = container_of(member, struct upstream_config, balance);
    char *name = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const size_t size = strlen(kinds[i].text);
        if (kinds[i].named ? strncmp(value, kinds[i].text, size) != 0 : !streq(value, kinds[i].text))
            continue;
        if (kinds[i].named && !option_token.parse(option, value + size, &name, error))
            return refuse(error, "the name after the colon is missing, or is none");
        reset_balance(member);
        upstream->balance.how = kinds[i].how;
        upstream->balance.hash_by = kinds[i].by;
        upstream->balance.hash_name = name;
        return true;
    }
    return false;
}
const struct option_type option_balance = {parse_balance, reset_balance};

static bool parse_statuses(const struct config_option *option, const char *value, void *member,
                           struct strbuf *error)
{
    struct health_config *health = member;
    const char *dash = strchr(value, '-');
    _cleanup_free_ char *word = xstrndup(value, dash ? (size_t)(dash - value) : strlen(value));
    uint64_t first, last;

    if (parse_u64(word, 100, 599, &first) < 0 || parse_u64(dash ? dash + 1 : word, 100, 599, &last) < 0)
        return false;
    if (last < first)
        return refuse(error, "the second status is less than the first");
    health->status_first = (unsigned)first;
    health->status_last = (unsigned)last;
    return true;
}
const struct option_type option_statuses = {parse_statuses};

static void reset_prefixes(void *member)
{
    prefix_set_deinit(member);
}

static bool add_prefixes(const char *value, struct prefix_set *set, struct strbuf *error)
{
    for (;;) {
        _cleanup_free_ char *word = next_word(&value);
        if (!word)
            return true;
        if (!prefix_set_add(set, slice_of(word), error))
            return false;
    }
}

static bool parse_prefixes(const struct config_option *option, const char *value, void *member,
                           struct strbuf *error)
{
    struct prefix_set alone = {0}; /* the member is not to be touched when a later word is wrong */
    const bool is_good = add_prefixes(value, &alone, error);

    prefix_set_deinit(&alone);
    return is_good && add_prefixes(value, member, error);
}
const struct option_type option_prefixes = {parse_prefixes, reset_prefixes};

/* A check asks one thing only, so whatever an earlier value left is replaced as a whole. */
static void reset_check(void *member)
{
    struct check_config *check = member;

    set_string(&check->target, NULL);
    set_string(&check->address.text, NULL);
    set_string(&check->http_host, NULL);
    set_string(&check->http_path, NULL);
    check->address = (struct address_config){0};
}

static bool parse_check_connect(const struct config_option *option, const char *value, void *member,
                                struct strbuf *error)
{
    struct check_config *check = member;
    struct address_config address;
    const char *problem = address_parse(value, true, &address);

    if (problem)
        return refuse(error, problem);
    reset_check(check);
    check->kind = CHECK_CONNECT;
    check->target = xstrdup(value);
    check->address = address;
    return true;
}
const struct option_type option_check_connect = {parse_check_connect, reset_check};

/* Takes a URL apart: the address to connect to, the Host field, the path with its query. Returns what is
 * wrong. */
static const char *split_url(const char *url, struct address_config *ret_address, char **ret_host,
                             const char **ret_path)
{
    for (const char *p = url; *p; p++)
        if (*p <= 0x20 || *p >= 0x7f || *p == '#')
            return "a URL contains neither blanks nor '#', and only ASCII";

    _cleanup_strbuf_ struct strbuf address = STRBUF_INIT;
    const char *host = "localhost", *path;
    size_t host_size = strlen(host);

    if (strncmp(url, "unix:", 5) == 0) {
        path = strstr(url, ":/") ? strchr(url + 5, ':') : NULL;
        if (!path || path[1] != '/')
            return "after the socket's path, \":/path\" is missing";
        strbuf_add(&address, url, (size_t)(path - url));
        path++;
    } else if (strncmp(url, "http://", 7) == 0) {
        host = url + 7;
        host_size = strcspn(host, "/?");
        path = host + host_size;
        if (memchr(host, '@', host_size))
            return "a user or password in the URL is not supported";
        if (*path == '?')
            return "the path is missing before '?'";
        strbuf_add(&address, host, host_size);
        const char *colon = memrchr(host, ':', host_size);
        if (!colon || memchr(colon, ']', (size_t)(host + host_size - colon)))
            strbuf_add_string(&address, ":80");
    } else if (strncmp(url, "https://", 8) == 0) {
        return "https is not supported here; Connect= checks that something listens";
    } else {
        return "neither http:// nor unix: stands at the beginning";
    }

    const char *problem = address_parse(strbuf_string(&address), true, ret_address);
    if (problem)
        return problem;
    *ret_host = xstrndup(host, host_size);
    *ret_path = *path ? path : "/";
    return NULL;
}

static bool parse_check_http(const struct config_option *option, const char *value, void *member,
                             struct strbuf *error)
{
    struct check_config *check = member;
    struct address_config address;
    const char *path;
    char *host;
    const char *problem = split_url(value, &address, &host, &path);

    if (problem)
        return refuse(error, problem);
    reset_check(check);
    check->kind = CHECK_HTTP;
    check->target = xstrdup(value);
    check->address = address;
    check->http_host = host;
    check->http_path = xstrdup(path);
    return true;
}
const struct option_type option_check_http = {parse_check_http, reset_check};

static bool parse_check_path(const struct config_option *option, const char *value, void *member,
                             struct strbuf *error)
{
    struct check_config *check = member;
    _cleanup_free_ char *path = NULL;
    const char *access_letters;
    int mode = F_OK;

    if (value[0] != '/')
        return refuse(error, "not an absolute path");
    if (!split_first(value, "access", &path, &access_letters, error))
        return false;
    if (access_letters && (*access_letters == '\0' || access_letters[strspn(access_letters, "rwx")] != '\0'))
        return refuse(error, "access= is followed by some of the letters r, w and x");
    for (const char *p = access_letters; p && *p; p++)
        mode |= *p == 'r' ? R_OK : *p == 'w' ? W_OK : X_OK;
    reset_check(check);
    check->kind = CHECK_PATH;
    check->target = TAKE_PTR(path);
    check->path_mode = mode;
    return true;
}
const struct option_type option_check_path = {parse_check_path, reset_check};

static bool parse_check_unit(const struct config_option *option, const char *value, void *member,
                             struct strbuf *error)
{
    struct check_config *check = member;

    const char *problem = unit_name_problem(value);
    if (problem)
        return refuse(error, problem);
    reset_check(check);
    check->kind = CHECK_UNIT;
    check->target = xstrdup(value);
    return true;
}
const struct option_type option_check_unit = {parse_check_unit, reset_check};
