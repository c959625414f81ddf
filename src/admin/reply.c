#include "admin/reply.h"
#include "util/parse.h"

bool accept_prefers_json(struct slice accept, bool otherwise)
{
    while (accept.size > 0) {
        struct slice item = slice_split(&accept, ',');
        struct slice type = slice_trim(slice_split(&item, ';'));
        if (slice_caseeq(type, SLICE_LITERAL("application/json")) ||
            slice_caseeq(type, SLICE_LITERAL("application/problem+json")))
            return true;
        if (slice_caseeq(type, SLICE_LITERAL("text/plain")) || slice_caseeq(type, SLICE_LITERAL("text/*")))
            return false;
    }
    return otherwise;
}

json_t *reply_json_text(struct slice text, size_t max)
{
    struct slice shown = slice_make(text.data, MIN(text.size, max));
    /* Not in the middle of a character. */
    while (shown.size < text.size && shown.size > 0 && ((unsigned char)text.data[shown.size] & 0xc0) == 0x80)
        shown.size--;

    _cleanup_strbuf_ struct strbuf clean = STRBUF_INIT;
    if (utf8_is_valid(shown.data, shown.size)) {
        strbuf_add_slice(&clean, shown);
    } else {
        for (size_t i = 0; i < shown.size; i++)
            if ((unsigned char)shown.data[i] < 0x80)
                strbuf_add_char(&clean, shown.data[i]);
            else
                strbuf_add_string(&clean, "\xef\xbf\xbd");
    }
    return json_stringn(strbuf_string(&clean), clean.size);
}

json_t *reply_json_u64(uint64_t value)
{
    return json_integer((json_int_t)MIN(value, (uint64_t)INT64_MAX));
}

void reply_set_durations(json_t *object, const struct histogram *histogram)
{
    uint64_t count = histogram_count(histogram);
    json_object_set_new(object, "mean_usec", reply_json_u64(count ? histogram->sum / count : 0));
    json_object_set_new(object, "p50_usec", reply_json_u64(histogram_quantile(histogram, 0.5)));
    json_object_set_new(object, "p99_usec", reply_json_u64(histogram_quantile(histogram, 0.99)));
}

static int append(const char *data, size_t size, void *body)
{
    strbuf_add(body, data, size);
    return 0;
}

static void add_json(struct handler_reply *reply, json_t *value)
{
    strbuf_clear(&reply->body);
    if (json_dump_callback(value, append, &reply->body, JSON_INDENT(2) | JSON_ENSURE_ASCII) < 0)
        abort(); /* out of memory, or an object of ours that is none */
    strbuf_add_char(&reply->body, '\n');
    json_decref(value);
}

void reply_json(struct handler_reply *reply, int status, json_t *value)
{
    reply->status = status;
    reply->content_type = "application/json";
    add_json(reply, value);
}

void reply_text(struct handler_reply *reply, int status, const char *format, ...)
{
    reply->status = status;
    reply->content_type = "text/plain; charset=utf-8";
    strbuf_clear(&reply->body);
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&reply->body, format, args);
    va_end(args);
    strbuf_add_char(&reply->body, '\n');
}

static const char *status_title(int status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 414:
        return "URI Too Long";
    case 500:
        return "Internal Server Error";
    default:
        return "Error";
    }
}

void reply_problem(struct handler_reply *reply, const struct handler_request *request, int status,
                   const char *format, ...)
{
    _cleanup_strbuf_ struct strbuf detail = STRBUF_INIT;
    va_list args;
    va_start(args, format);
    strbuf_vaddf(&detail, format, args);
    va_end(args);

    /* What was asked for is part of what is said, and may end up on a terminal. */
    for (size_t i = 0; i < detail.size; i++)
        if ((unsigned char)detail.data[i] < 0x20 || detail.data[i] == 0x7f)
            detail.data[i] = '?';

    if (!accept_prefers_json(request->accept, true)) {
        reply_text(reply, status, "%s", strbuf_string(&detail));
        return;
    }
    json_t *problem = json_object();
    json_object_set_new(problem, "type", json_string("about:blank"));
    json_object_set_new(problem, "title", json_string(status_title(status)));
    json_object_set_new(problem, "status", json_integer(status));
    json_object_set_new(problem, "detail",
                        reply_json_text(slice_make(strbuf_string(&detail), detail.size), 4096));
    reply_json(reply, status, problem);
    reply->content_type = "application/problem+json";
}
