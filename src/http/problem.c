#include "http/problem.h"

#include "http/accept.h"
#include "http/request_field.h"

const char *problem_reason(int status)
{
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
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    static const char *const classes[] = {"Informational", "Success", "Redirection", "Client Error",
                                          "Server Error"};
    return status >= 100 && status < 600 ? classes[status / 100 - 1] : "Unknown";
}

static void add_json_string(struct strbuf *out, struct slice s)
{
    strbuf_add_char(out, '"');
    for (size_t i = 0; i < s.size; i++) {
        char c = s.data[i];
        if (c == '"' || c == '\\')
            strbuf_add_char(out, '\\');
        if ((unsigned char)c < 0x20)
            strbuf_addf(out, "\\u%04x", c);
        else
            strbuf_add_char(out, c);
    }
    strbuf_add_char(out, '"');
}

static void add_html_text(struct strbuf *out, struct slice s)
{
    for (size_t i = 0; i < s.size; i++)
        switch (s.data[i]) {
        case '<':
            strbuf_add_string(out, "&lt;");
            break;
        case '>':
            strbuf_add_string(out, "&gt;");
            break;
        case '&':
            strbuf_add_string(out, "&amp;");
            break;
        default:
            strbuf_add_char(out, s.data[i]);
        }
}

void problem_format_json(struct strbuf *out, int status, const char *detail, struct slice request_id)
{
    strbuf_add_string(out, "{\"type\":\"about:blank\",\"title\":");
    add_json_string(out, slice_of(problem_reason(status)));
    strbuf_addf(out, ",\"status\":%d", status);
    if (detail) {
        strbuf_add_string(out, ",\"detail\":");
        add_json_string(out, slice_of(detail));
    }
    if (request_id.size) {
        strbuf_add_string(out, ",\"request_id\":");
        add_json_string(out, request_id);
    }
    strbuf_add_string(out, "}\n");
}

void problem_format_html(struct strbuf *out, int status, const char *detail, struct slice request_id)
{
    const char *reason = problem_reason(status);
    strbuf_addf(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>%d %s</title>\n"
        "<style>body { font-family: sans-serif; max-width: 40em; margin: 4em auto; padding: 0 1em }</style>\n"
        "<h1>%d %s</h1>\n",
        status, reason, status, reason);
    if (detail) {
        strbuf_add_string(out, "<p>");
        add_html_text(out, slice_of(detail));
        strbuf_add_string(out, "</p>\n");
    }
    if (request_id.size) {
        strbuf_add_string(out, "<p><small>Request ");
        add_html_text(out, request_id);
        strbuf_add_string(out, "</small></p>\n");
    }
    strbuf_add_string(out, "</html>\n");
}

void problem_format_text(struct strbuf *out, int status, const char *detail, struct slice request_id)
{
    strbuf_addf(out, "%d %s\n", status, problem_reason(status));
    if (detail)
        strbuf_addf(out, "%s\n", detail);
    if (request_id.size)
        strbuf_addf(out, "Request %.*s\n", (int)request_id.size, request_id.data);
}

/* The forms an error has, the one that serves where a client says nothing first. */
static const struct form {
    struct slice media_type;
    const char *content_type;
    void (*format)(struct strbuf *out, int status, const char *detail, struct slice request_id);
} forms[] = {
    {SLICE_LITERAL("application/problem+json"), "application/problem+json", problem_format_json},
    {SLICE_LITERAL("text/html"), "text/html; charset=utf-8", problem_format_html},
    {SLICE_LITERAL("text/plain"), "text/plain; charset=utf-8", problem_format_text},
};

/* A client that asks for plain JSON gets ours: it can read it. */
static const struct form *choose_form(h2o_req_t *req)
{
    struct slice accept = request_field(req, H2O_TOKEN_ACCEPT);
    const struct form *best = &forms[0];
    int best_quality = MAX(accept_media_quality(accept, best->media_type),
                           accept_media_quality(accept, SLICE_LITERAL("application/json")));
    for (size_t i = 1; i < ARRAY_SIZE(forms); i++) {
        int quality = accept_media_quality(accept, forms[i].media_type);
        if (quality > best_quality) {
            best_quality = quality;
            best = &forms[i];
        }
    }
    return best;
}

void problem_send(h2o_req_t *req, int status, const char *detail, struct slice request_id)
{
    static h2o_generator_t generator = {NULL, NULL};
    const struct form *form = choose_form(req);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    form->format(&text, status, detail, request_id);
    h2o_iovec_t body = h2o_strdup(&req->pool, text.data, text.size);

    req->res.status = status;
    req->res.reason = problem_reason(status);
    req->res.content_length = body.len;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, form->content_type,
                   strlen(form->content_type));
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CACHE_CONTROL, NULL, H2O_STRLIT("no-store"));
    if (request_id.size)
        h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-request-id"), 0, "X-Request-ID",
                              request_id.data, request_id.size);

    bool is_head = h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD"));
    h2o_start_response(req, &generator);
    h2o_send(req, &body, is_head ? 0 : 1, H2O_SEND_STATE_FINAL);
}
