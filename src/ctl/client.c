#include <curl/curl.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "ctl/client.h"
#include "util/parse.h"

/* More than any answer of a gateway with ten thousand routes; less than what would hurt. */
#define ANSWER_MAX (256u << 20)

DEFINE_CLEANUP(CURL *, cleanup_curl, curl_easy_cleanup)

static size_t take_body(char *data, size_t size, size_t n, void *body)
{
    struct strbuf *b = body;
    if (b->size + size * n > ANSWER_MAX)
        return 0;
    strbuf_add(b, data, size * n);
    return size * n;
}

/* Who may use a socket: the name of its group. */
static const char *group_of(const char *path, char *buffer, size_t size)
{
    struct stat st;
    struct group group, *found = NULL;
    if (stat(path, &st) == 0 && getgrgid_r(st.st_gid, &group, buffer, size, &found) == 0 && found)
        return found->gr_name;
    return "holdfast";
}

/* What a failed connect() means for whoever asked. Returns the negative errno. */
static int explain_connect(const struct ctl_options *options, long os_error, struct strbuf *reason)
{
    char buffer[4096];
    switch (os_error) {
    case ENOENT:
        strbuf_addf(reason, "there is no %s: is holdfast.service running? Try: systemctl status holdfast",
                    options->admin);
        break;
    case ECONNREFUSED:
        strbuf_addf(reason,
                    "nobody listens on %s: is holdfast.service running? Try: systemctl status holdfast",
                    options->admin);
        break;
    case EACCES:
    case EPERM: {
        const char *group = group_of(options->admin, buffer, sizeof(buffer));
        strbuf_addf(reason,
                    "no permission to use %s: only root and the members of the group %s may (to join: "
                    "usermod -aG %s USER, and log in again)",
                    options->admin, group, group);
        break;
    }
    default:
        strbuf_addf(reason, "cannot connect to %s: %s", options->admin,
                    os_error ? strerror((int)os_error) : "not a socket that can be used");
    }
    return os_error ? -(int)os_error : -ECONNREFUSED;
}

static int explain(const struct ctl_options *options, CURL *curl, CURLcode code, const char *details,
                   struct strbuf *reason)
{
    char timeout[FORMAT_DURATION_MAX];
    long os_error = 0;
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_error);
        return explain_connect(options, os_error, reason);
    case CURLE_OPERATION_TIMEDOUT:
        strbuf_addf(reason, "no answer from %s within %s", options->admin,
                    format_duration(timeout, options->timeout));
        return -ETIMEDOUT;
    case CURLE_WRITE_ERROR:
        strbuf_addf(reason, "the answer from %s is larger than %u MB", options->admin, ANSWER_MAX >> 20);
        return -EFBIG;
    default:
        strbuf_addf(reason, "no answer from %s: %s", options->admin,
                    *details ? details : curl_easy_strerror(code));
        return -EIO;
    }
}

static int request(const struct ctl_options *options, const char *path, bool post, struct client_answer *ret,
                   struct strbuf *reason)
{
    if (strlen(options->admin) >= sizeof(((struct sockaddr_un *)NULL)->sun_path) || !*options->admin) {
        strbuf_addf(reason, "'%s' cannot be the path of a socket: at most %zu bytes are possible",
                    options->admin, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
        return -ENAMETOOLONG;
    }

    char details[CURL_ERROR_SIZE] = "";
    _cleanup_strbuf_ struct strbuf url = STRBUF_INIT;
    strbuf_addf(&url, "http://holdfast%s", path);

    _cleanup_(cleanup_curl)
    CURL *curl = curl_easy_init();
    if (!curl)
        abort();
    usec_t timeout_ms =
        options->timeout == USEC_INFINITY ? 0 : MAX(options->timeout / USEC_PER_MSEC, UINT64_C(1));
    curl_easy_setopt(curl, CURLOPT_URL, url.data);
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, options->admin);
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever http_proxy says */
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)MIN(timeout_ms, (usec_t)INT32_MAX));
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "holdfastctl/" HOLDFAST_VERSION);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &ret->body);

    if (post) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
    }

    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        return explain(options, curl, code, details, reason);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
    return 0;
}

int client_get(const struct ctl_options *options, const char *path, struct client_answer *ret,
               struct strbuf *reason)
{
    return request(options, path, false, ret, reason);
}

int client_post(const struct ctl_options *options, const char *path, struct client_answer *ret,
                struct strbuf *reason)
{
    return request(options, path, true, ret, reason);
}

json_t *client_parse(const struct ctl_options *options, const struct client_answer *answer,
                     struct strbuf *reason)
{
    json_error_t error;
    json_t *value = json_loadb(strbuf_string(&answer->body), answer->body.size, 0, &error);
    if (json_is_object(value))
        return value;
    strbuf_addf(reason, "what answers at %s is not the admin API of holdfast (%s)", options->admin,
                value ? "no JSON object" : error.text);
    json_decref(value);
    return NULL;
}

static int request_or_tell(const struct ctl_options *options, const char *path, bool post,
                           struct client_answer *ret)
{
    _cleanup_strbuf_ struct strbuf reason = STRBUF_INIT;
    int r = request(options, path, post, ret, &reason);
    if (r < 0) {
        ctl_error("%s", strbuf_string(&reason));
        return r;
    }
    if (ret->status == 200)
        return 0;

    json_t *problem = client_parse(options, ret, &reason);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    ctl_error("refused with status %ld: %s", ret->status, detail ? detail : "no reason given");
    json_decref(problem);
    return -EPROTO;
}

int client_get_or_tell(const struct ctl_options *options, const char *path, struct client_answer *ret)
{
    return request_or_tell(options, path, false, ret);
}

int client_post_or_tell(const struct ctl_options *options, const char *path, struct client_answer *ret)
{
    return request_or_tell(options, path, true, ret);
}

void client_add_parameter(struct strbuf *path, const char *name, const char *value)
{
    const bool has_query = path->size > 0 && memchr(path->data, '?', path->size);
    strbuf_addf(path, "%c%s=", has_query ? '&' : '?', name);
    for (const char *p = value; *p; p++)
        if ((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
            strchr("-._~:/@", *p))
            strbuf_add_char(path, *p);
        else
            strbuf_addf(path, "%%%02X", (unsigned char)*p);
}
