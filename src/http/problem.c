#include "http/problem.h"

#include "util/strbuf.h"

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *problem_reason(int status)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Status";
}

static bool accepts(h2o_req_t *req, const char *type, size_t size)
{
    for (ssize_t at = -1; (at = h2o_find_header(&req->headers, H2O_TOKEN_ACCEPT, at)) >= 0;) {
        h2o_iovec_t value = req->headers.entries[at].value;
        if (h2o_strstr(value.base, value.len, type, size) != SIZE_MAX)
            return true;
    }
    return false;
}

/* The details are our own sentences and the id is checked: neither needs escaping in JSON or HTML. */
static const char *write_body(h2o_req_t *req, int status, const char *detail, struct slice request_id,
                              struct strbuf *body)
{
    const char *reason = problem_reason(status);
    if (accepts(req, H2O_STRLIT("json"))) {
        strbuf_addf(body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":\"%s\"",
                    reason, status, detail);
        if (request_id.size)
            strbuf_addf(body, ",\"request_id\":\"%.*s\"", (int)request_id.size, request_id.data);
        strbuf_add_string(body, "}\n");
        return "application/problem+json";
    }
    if (accepts(req, H2O_STRLIT("text/html"))) {
        strbuf_addf(
            body,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%d %s</title>\n"
            "<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}"
            "small{color:#777}</style></head>\n<body><h1>%d %s</h1>\n<p>%s</p>\n",
            status, reason, status, reason, detail);
        if (request_id.size)
            strbuf_addf(body, "<p><small>Request %.*s</small></p>\n", (int)request_id.size, request_id.data);
        strbuf_add_string(body, "</body></html>\n");
        return "text/html; charset=utf-8";
    }
    strbuf_addf(body, "%d %s\n%s\n", status, reason, detail);
    return "text/plain; charset=utf-8";
}

void problem_send(h2o_req_t *req, int status, const char *detail, struct slice request_id)
{
    static h2o_generator_t generator = {NULL, NULL};
    struct strbuf text = STRBUF_INIT;
    const char *type = write_body(req, status, detail, request_id, &text);
    h2o_iovec_t body = h2o_strdup(&req->pool, text.data, text.size);
    strbuf_deinit(&text);

    req->res.status = status;
    req->res.reason = problem_reason(status);
    req->res.content_length = body.len;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, type, strlen(type));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL, H2O_STRLIT("no-store"));
    if (request_id.size)
        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-request-id"), 0, "X-Request-ID",
                              request_id.data, request_id.size);
    h2o_start_response(req, &generator);
    bool is_head = h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD"));
    h2o_send(req, &body, is_head ? 0 : 1, H2O_SEND_STATE_FINAL);
}
