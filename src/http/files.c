#include "http/files.h"

#include <sys/random.h>

#include "http/accept.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/file_body.h"
#include "http/file_open.h"
#include "http/mime.h"
#include "http/problem.h"
#include "http/request_field.h"
#include "util/clock.h"

struct files_request {
    h2o_req_t *req;
    const struct route_config *route;
    struct slice path; /* as requested, normalised */
    struct slice request_id;
    bool is_get; /* else HEAD */
    int root;
};

/* A file that was found, or the variant of it that is sent. */
struct found {
    int fd;
    struct stat st;
    const char *path; /* relative to the root; in the request's pool */
    struct mime_type type;
    const char *encoding; /* NULL: none */
};

static const struct {
    const char *coding, *extension;
} variants[] = {
    {"br", ".br"}, /* the smaller one first */
    {"gzip", ".gz"},
};

static void add_header(h2o_req_t *req, const h2o_token_t *token, const char *value)
{
    h2o_add_header(&req->pool, &req->res.headers, token, NULL, value, strlen(value));
}

static const char *pool_concat(h2o_req_t *req, const char *a, const char *b)
{
    return h2o_concat(&req->pool, h2o_iovec_init(a, strlen(a)), h2o_iovec_init(b, strlen(b))).base;
}

static void send_problem(struct files_request *request, int status, const char *detail)
{
    problem_send(request->req, status, detail, request->request_id);
}

/* For anything but FILE_OPENED. */
static void send_open_failure(struct files_request *request, int result)
{
    switch (result) {
    case FILE_MISSING:
        send_problem(request, 404, "There is no such file.");
        break;
    case FILE_FORBIDDEN:
        send_problem(request, 403, "The server may not read this file.");
        break;
    case FILE_BUSY:
        add_header(request->req, H2O_TOKEN_RETRY_AFTER, "1");
        send_problem(request, 503, "The server has no descriptor left to read this file with.");
        break;
    default:
        send_problem(request, 500, "The file cannot be read.");
    }
}

static void add_request_id(struct files_request *request)
{
    if (request->request_id.size)
        h2o_add_header_by_str(&request->req->pool, &request->req->res.headers, H2O_STRLIT("x-request-id"), 0,
                              "X-Request-ID", request->request_id.data, request->request_id.size);
}

static void send_empty(struct files_request *request, int status, size_t content_length)
{
    static h2o_generator_t generator = {NULL, NULL};
    h2o_req_t *req = request->req;
    req->res.status = status;
    req->res.reason = problem_reason(status);
    req->res.content_length = content_length;
    add_request_id(request);
    h2o_start_response(req, &generator);
    h2o_send(req, NULL, 0, H2O_SEND_STATE_FINAL);
}

/* To the same folder with a '/' behind it. The reference is relative and begins with "./": it leads nowhere
 * else, whatever the path looks like ("//host", "a:b"), also behind a proxy that cuts off a prefix. */
static void redirect_to_folder(struct files_request *request)
{
    h2o_req_t *req = request->req;
    const char *slash = memrchr(request->path.data, '/', request->path.size);
    struct slice name = request->path;
    if (slash)
        name = slice_skip(name, (size_t)(slash - name.data) + 1);
    const char *mark = memchr(req->path.base, '?', req->path.len);
    struct slice query = {NULL, 0};
    if (mark)
        query = slice_make(mark, (size_t)(req->path.base + req->path.len - mark));

    h2o_iovec_t location = h2o_concat(&req->pool, h2o_iovec_init(H2O_STRLIT("./")), iovec_of_slice(name),
                                      h2o_iovec_init(H2O_STRLIT("/")), iovec_of_slice(query));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_LOCATION, NULL, location.base, location.len);
    send_empty(request, 301, 0);
}

static int open_file(struct files_request *request, const char *path, struct found *found)
{
    found->path = path;
    return file_open_beneath(request->root, path, request->route->files.symlinks, &found->fd, &found->st);
}

/* The first index file that is there. */
static int open_index(struct files_request *request, const char *folder, struct found *found)
{
    int result = FILE_MISSING;
    for (char **index = request->route->files.index; index && *index; index++) {
        result = open_file(request, pool_concat(request->req, folder, *index), found);
        if (result == FILE_OPENED && S_ISDIR(found->st.st_mode)) {
            close_and_forget(&found->fd);
            result = FILE_MISSING;
        }
        if (result != FILE_MISSING)
            break;
    }
    return result;
}

static bool is_older(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec < b->st_mtim.tv_sec;
}

/* Opens the variant beside the file, if there is one of use. */
static bool open_variant(struct files_request *request, const struct found *file, size_t i, struct found *ret)
{
    struct found variant = {.fd = -1, .type = file->type, .encoding = variants[i].coding};
    const char *path = pool_concat(request->req, file->path, variants[i].extension);
    if (open_file(request, path, &variant) != FILE_OPENED)
        return false; /* the file itself is as good an answer, whatever the reason */
    if (!S_ISREG(variant.st.st_mode) || is_older(&variant.st, &file->st)) {
        close(variant.fd);
        return false;
    }
    *ret = variant;
    return true;
}

/* Puts a compressed variant in the file's place, the one that the client likes best. */
static void choose_variant(struct files_request *request, struct found *found)
{
    struct slice accept = request_field(request->req, H2O_TOKEN_ACCEPT_ENCODING);
    int identity = accept_coding_quality(accept, SLICE_LITERAL("identity"));
    bool is_tried[ARRAY_SIZE(variants)] = {false};

    for (size_t round = 0; round < ARRAY_SIZE(variants); round++) {
        int best_quality = 0;
        size_t best = 0;
        for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
            int quality = accept_coding_quality(accept, slice_of(variants[i].coding));
            if (!is_tried[i] && quality > best_quality) {
                best = i;
                best_quality = quality;
            }
        }
        struct found variant;
        if (best_quality == 0 || best_quality < identity)
            return;
        is_tried[best] = true;
        if (open_variant(request, found, best, &variant)) {
            close(found->fd);
            *found = variant;
            return;
        }
    }
}

/* Finds what is to be sent. Answers the request itself, and returns false, when that is no file. */
static bool find_file(struct files_request *request, struct found *found)
{
    char *path = h2o_mem_alloc_pool(&request->req->pool, request->path.size + 1);
    int result = FILE_MISSING;
    if (file_path_decode(request->path, path)) {
        result = file_open_root(request->route->files.root, &request->root);
        if (result == FILE_OPENED) {
            bool is_folder = !*path || path[strlen(path) - 1] == '/';
            result = is_folder ? open_index(request, path, found) : open_file(request, path, found);
        }
    }
    if (result != FILE_OPENED) {
        send_open_failure(request, result);
        return false;
    }
    if (S_ISDIR(found->st.st_mode)) {
        close_and_forget(&found->fd);
        redirect_to_folder(request);
        return false;
    }
    return true;
}

static struct slice make_etag(struct files_request *request, const struct found *found)
{
    enum { SIZE = 64 };
    char *etag = h2o_mem_alloc_pool(&request->req->pool, SIZE);
    int n = snprintf(etag, SIZE, "\"%llx.%lx-%llx%s%s\"", (unsigned long long)found->st.st_mtim.tv_sec,
                     (unsigned long)found->st.st_mtim.tv_nsec, (unsigned long long)found->st.st_size,
                     found->encoding ? "-" : "", found->encoding ? found->encoding : "");
    assert(n > 0 && n < SIZE);
    return slice_make(etag, (size_t)n);
}

static void read_fields(h2o_req_t *req, struct conditional_fields *ret)
{
    *ret = (struct conditional_fields){
        .if_match = request_field(req, H2O_TOKEN_IF_MATCH),
        .if_none_match = request_field(req, H2O_TOKEN_IF_NONE_MATCH),
        .if_modified_since = request_field(req, H2O_TOKEN_IF_MODIFIED_SINCE),
        .if_unmodified_since = request_field(req, H2O_TOKEN_IF_UNMODIFIED_SINCE),
        .if_range = request_field(req, H2O_TOKEN_IF_RANGE),
        .range = request_field(req, H2O_TOKEN_RANGE),
    };
}

/* The fields that 304 has too (RFC 9110 15.4.5). */
static void add_validators(struct files_request *request, const struct found *found,
                           const struct conditional_target *target)
{
    h2o_req_t *req = request->req;
    char *date = h2o_mem_alloc_pool(&req->pool, HTTP_DATE_MAX);
    size_t size = http_date_format(target->last_modified, date);
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_LAST_MODIFIED, NULL, date, size);
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_ETAG, NULL, target->etag.data, target->etag.size);
    if (found->type.is_compressible)
        add_header(req, H2O_TOKEN_VARY, "Accept-Encoding");
}

static const char *format_content_range(struct files_request *request, struct byte_range range, uint64_t size)
{
    enum { SIZE = 80 };
    char *text = h2o_mem_alloc_pool(&request->req->pool, SIZE);
    snprintf(text, SIZE, "bytes %llu-%llu/%llu", (unsigned long long)range.first,
             (unsigned long long)(range.first + range.size - 1), (unsigned long long)size);
    return text;
}

static struct slice pool_slice(struct files_request *request, struct strbuf *text)
{
    return slice_of_iovec(h2o_strdup(&request->req->pool, strbuf_string(text), text->size));
}

/* Several ranges become a multipart/byteranges body (RFC 9110 14.6). Returns its tail. */
static struct slice make_multipart(struct files_request *request, const struct found *found,
                                   const struct byte_ranges *ranges, struct file_part *parts)
{
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    unsigned long long boundary[2] = {0, 0};
    if (getrandom(boundary, sizeof(boundary), GRND_NONBLOCK) != sizeof(boundary))
        boundary[0] = now_monotonic(); /* before the random pool is ready: unlikely to be in a file, too */

    for (size_t i = 0; i < ranges->n; i++) {
        strbuf_clear(&text);
        strbuf_addf(&text, "%s--%016llx%016llx\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n",
                    i ? "\r\n" : "", boundary[0], boundary[1], found->type.name,
                    format_content_range(request, ranges->range[i], (uint64_t)found->st.st_size));
        parts[i] = (struct file_part){pool_slice(request, &text), ranges->range[i]};
    }
    strbuf_clear(&text);
    strbuf_addf(&text, "multipart/byteranges; boundary=%016llx%016llx", boundary[0], boundary[1]);
    add_header(request->req, H2O_TOKEN_CONTENT_TYPE, pool_slice(request, &text).data);
    strbuf_clear(&text);
    strbuf_addf(&text, "\r\n--%016llx%016llx--\r\n", boundary[0], boundary[1]);
    return pool_slice(request, &text);
}

/* 200 or 206. Consumes found->fd. */
static void send_file(struct files_request *request, struct found *found,
                      const struct conditional_target *target, const struct byte_ranges *ranges)
{
    h2o_req_t *req = request->req;
    const h2o_headers_t before = req->res.headers; /* of the file they say nothing */
    struct file_part parts[FILE_BODY_MAX_PARTS];
    size_t n_parts = 1, status = 206;
    struct slice tail = {NULL, 0};

    if (!ranges) {
        status = 200;
        parts[0] = (struct file_part){.range = {0, target->size}};
        add_header(req, H2O_TOKEN_CONTENT_TYPE, found->type.name);
    } else if (ranges->n == 1) {
        parts[0] = (struct file_part){.range = ranges->range[0]};
        add_header(req, H2O_TOKEN_CONTENT_TYPE, found->type.name);
        add_header(req, H2O_TOKEN_CONTENT_RANGE,
                   format_content_range(request, ranges->range[0], target->size));
    } else {
        n_parts = ranges->n;
        tail = make_multipart(request, found, ranges, parts);
    }
    if (found->encoding)
        add_header(req, H2O_TOKEN_CONTENT_ENCODING, found->encoding);
    add_header(req, H2O_TOKEN_ACCEPT_RANGES, "bytes");
    add_validators(request, found, target);

    uint64_t length = tail.size;
    for (size_t i = 0; i < n_parts; i++)
        length += parts[i].head.size + parts[i].range.size;
    if (!request->is_get || length == 0) {
        send_empty(request, (int)status, (size_t)length);
        return;
    }
    req->res.status = (int)status;
    req->res.reason = problem_reason((int)status);
    req->res.content_length = (size_t)length;
    add_request_id(request);
    if (file_body_send(req, TAKE_FD(found->fd), parts, n_parts, tail) < 0) {
        req->res.headers = before;
        send_problem(request, 500, "The file cannot be read.");
    }
}

static void respond(struct files_request *request, struct found *found)
{
    time_t now = time(NULL),
           modified = MIN(found->st.st_mtim.tv_sec, now); /* RFC 9110 8.8.2.1: never in the future */
    struct conditional_target target = {
        .etag = make_etag(request, found),
        .last_modified = MAX(modified, 0),
        .now = now,
        .size = (uint64_t)found->st.st_size,
    };
    struct conditional_fields fields;
    struct byte_ranges ranges;
    read_fields(request->req, &fields);

    switch (conditional_evaluate(&fields, &target, request->is_get, &ranges)) {
    case CONDITIONAL_FULL:
        send_file(request, found, &target, NULL);
        break;
    case CONDITIONAL_PARTIAL:
        send_file(request, found, &target, &ranges);
        break;
    case CONDITIONAL_NOT_MODIFIED:
        add_validators(request, found, &target);
        send_empty(request, 304, SIZE_MAX);
        break;
    case CONDITIONAL_PRECONDITION_FAILED:
        send_problem(request, 412, "The file is not the one that the request is about.");
        break;
    case CONDITIONAL_UNSATISFIABLE: {
        _cleanup_strbuf_ struct strbuf range = STRBUF_INIT;
        strbuf_addf(&range, "bytes */%llu", (unsigned long long)target.size);
        add_header(request->req, H2O_TOKEN_CONTENT_RANGE, pool_slice(request, &range).data);
        send_problem(request, 416, "The file is shorter than that.");
        break;
    }
    default:
        WRONG("conditional result");
    }
}

void files_respond(h2o_req_t *req, const struct route_config *route, struct slice path,
                   struct slice request_id)
{
    bool is_get = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("GET"));
    bool is_head = h2o_memis(req->method.base, req->method.len, H2O_STRLIT("HEAD"));
    struct files_request request = {req, route, path, request_id, is_get, -1};
    struct found found = {.fd = -1};

    if (!is_get && !is_head) {
        add_header(req, H2O_TOKEN_ALLOW, "GET, HEAD");
        send_problem(&request, 405, "Files can be read only.");
        return;
    }
    if (find_file(&request, &found)) {
        found.type = mime_type_of(slice_of(found.path));
        if (found.type.is_compressible)
            choose_variant(&request, &found);
        respond(&request, &found);
    }
    close_and_forget(&found.fd);
    close_and_forget(&request.root);
}
