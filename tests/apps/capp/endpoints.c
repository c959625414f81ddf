#include "endpoints.h"

#include "websocket.h"

#define BLOCK 65536

static void serve_root(struct connection *c)
{
    char text[128];
    int n = snprintf(text, sizeof(text), "hello from %s\n", c->app->options->name);
    answer(c, 200, "text/plain", slice_make(text, (size_t)n));
}

static void serve_healthz(struct connection *c)
{
    if (c->app->unhealthy)
        answer_text(c, 503, "sick\n");
    else
        answer_text(c, 200, "ok\n");
}

static void serve_health_set(struct connection *c)
{
    c->app->unhealthy = slice_eq(c->path, SLICE_LITERAL("/healthz/fail"));
    answer_text(c, 200, "done\n");
}

/* The body that came; without one, the request's id. */
static void serve_echo(struct connection *c)
{
    struct slice type = request_field(c, "content-type");
    char content_type[128] = "text/plain";
    if (type.data && type.size < sizeof(content_type))
        snprintf(content_type, sizeof(content_type), "%.*s", (int)type.size, type.data);
    struct slice id = request_field(c, "x-request-id");
    answer(c, 200, content_type, c->body_size > 0 ? slice_make(c->body.data, c->body.size) : id);
}

/* The request head as it arrived here. */
static void serve_headers(struct connection *c)
{
    answer(c, 200, "text/plain", slice_make(c->head.data, c->head.size));
}

static void serve_sink(struct connection *c)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char text[160];
    EVP_DigestFinal_ex(c->digest, digest, &size);
    int n = snprintf(text, sizeof(text), "%llu ", (unsigned long long)c->body_size);
    for (unsigned i = 0; i < size; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%02x", digest[i]);
    n += snprintf(text + n, sizeof(text) - (size_t)n, "\n");
    answer(c, 200, "text/plain", slice_make(text, (size_t)n));
}

static void resume_root(struct connection *c)
{
    serve_root(c);
}

static void serve_slow(struct connection *c)
{
    answer_later(c, query_number(c, "ms", 1000) * USEC_PER_MSEC, resume_root);
}

static void serve_hang(struct connection *c)
{
    answer_later(c, USEC_INFINITY, resume_root);
}

static void resume_stream(struct connection *c)
{
    char event[128];
    int n = snprintf(event, sizeof(event), "id: %llu\ndata: %llu\n\n", (unsigned long long)c->step,
                     (unsigned long long)now_realtime());
    answer_chunk(c, slice_make(event, (size_t)n));
    if (++c->step == c->steps)
        answer_chunked_end(c, "");
    else
        answer_later(c, c->pause, resume_stream);
}

static void serve_stream(struct connection *c)
{
    c->steps = query_number(c, "n", 5);
    c->pause = query_number(c, "ms", 1000) * USEC_PER_MSEC;
    answer_chunked(c, 200, "text/event-stream", "Cache-Control: no-cache\r\n");
    resume_stream(c);
}

static void fill(struct connection *c, size_t size)
{
    char *to = strbuf_reserve(&c->out, size);
    for (size_t i = 0; i < size; i++)
        to[i] = (char)('a' + i % 26);
    c->out.size += size;
}

static void resume_chunked(struct connection *c)
{
    struct strbuf block = STRBUF_INIT;
    while (block.size < c->size)
        strbuf_add_string(&block, "0123456789abcde\n");
    answer_chunk(c, slice_make(block.data, (size_t)c->size));
    strbuf_deinit(&block);
    if (++c->step == c->steps)
        answer_chunked_end(c, "");
    else if (c->pause > 0)
        answer_later(c, c->pause, resume_chunked);
    else
        answer_when_written(c, resume_chunked);
}

static void serve_chunked(struct connection *c)
{
    c->steps = query_number(c, "n", 3);
    c->size = query_number(c, "bytes", 1024);
    c->size = c->size == 0 ? 1 : MIN(c->size, (uint64_t)BLOCK);
    c->pause = query_number(c, "ms", 0) * USEC_PER_MSEC;
    answer_chunked(c, 200, "text/plain", "");
    resume_chunked(c);
}

static void resume_big(struct connection *c)
{
    size_t size = MIN((size_t)BLOCK, (size_t)c->size);
    fill(c, size);
    c->size -= size;
    if (c->size == 0)
        answer_end(c);
    else
        answer_when_written(c, resume_big);
}

static void serve_big(struct connection *c)
{
    char length[64];
    c->size = query_number(c, "bytes", 1 << 20);
    snprintf(length, sizeof(length), "Content-Length: %llu\r\n\r\n", (unsigned long long)c->size);
    answer_head(c, 200, "application/octet-stream", length);
    if (c->is_head || c->size == 0)
        answer_end(c);
    else
        resume_big(c);
}

static void serve_until_close(struct connection *c)
{
    c->size = query_number(c, "bytes", 1024);
    c->keep_alive = false;
    answer_head(c, 200, "application/octet-stream", "\r\n");
    resume_big(c);
}

static void serve_status(struct connection *c)
{
    uint64_t status = 0;
    for (size_t i = STRLEN("/status/"); i < c->path.size; i++)
        status = status * 10 + (uint64_t)(c->path.data[i] - '0');
    if (status < 200 || status > 599)
        answer_text(c, 400, "/status/200 to /status/599\n");
    else
        answer_text(c, (int)status, "as asked\n");
}

static void serve_trailers(struct connection *c)
{
    answer_chunked(c, 200, "text/plain", "Trailer: X-Checksum\r\n");
    answer_chunk(c, SLICE_LITERAL("with trailers\n"));
    answer_chunked_end(c, "X-Checksum: 0123456789\r\n");
}

static void serve_early_hints(struct connection *c)
{
    strbuf_add_string(&c->out,
                      "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n");
    answer_later(c, query_number(c, "ms", 0) * USEC_PER_MSEC, resume_root);
}

static void serve_close(struct connection *c)
{
    c->keep_alive = false;
    serve_root(c);
}

static bool is_quoted(struct slice key)
{
    return key.size >= 2 && key.data[0] == '"' && key.data[key.size - 1] == '"';
}

static void answer_recorded(struct connection *c, struct slice id)
{
    char fields[128];
    snprintf(fields, sizeof(fields), "Idempotent-Replayed: true\r\nContent-Length: %zu\r\n\r\n", id.size + 1);
    answer_head(c, 200, "text/plain", fields);
    if (!c->is_head) {
        strbuf_add_slice(&c->out, id);
        strbuf_add_char(&c->out, '\n');
    }
    answer_end(c);
}

static void resume_ledger(struct connection *c)
{
    struct slice id = request_field(c, "x-request-id");
    char line[LEDGER_TEXT_MAX + 1];
    if (ledger_record(&c->app->ledger, id, request_field(c, "idempotency-key")) < 0) {
        ledger_abandon(&c->app->ledger, c);
        answer_text(c, 500, "the ledger cannot be written\n");
        return;
    }
    memcpy(line, id.data, id.size);
    line[id.size] = '\n';
    answer(c, 200, "text/plain", slice_make(line, id.size + 1));
}

/* The promise of a database: answered means written down, and what has a key is done once. */
static void serve_ledger(struct connection *c)
{
    struct ledger *ledger = &c->app->ledger;
    struct slice id = request_field(c, "x-request-id"), key = request_field(c, "idempotency-key"), done;
    if (ledger->fd < 0 || !id.data || id.size > LEDGER_TEXT_MAX) {
        answer_text(c, 400, "/ledger needs --ledger and an X-Request-ID\n");
        return;
    }
    if (key.data && (!is_quoted(key) || key.size > LEDGER_TEXT_MAX)) {
        answer_text(c, 400, "Idempotency-Key is a quoted string\n");
        return;
    }
    if (key.data) {
        enum ledger_state state = ledger_look_up(ledger, key, &done);
        if (state == LEDGER_RECORDED) {
            answer_recorded(c, done);
            return;
        }
        if (state == LEDGER_RUNNING) {
            answer_text(c, 409, "the first request with this key is still running\n");
            return;
        }
        ledger_begin(ledger, key, c);
    }
    usec_t pause = query_number(c, "ms", 0) * USEC_PER_MSEC;
    if (pause > 0)
        answer_later(c, pause, resume_ledger);
    else
        resume_ledger(c);
}

static void serve_stats(struct connection *c)
{
    const struct app *app = c->app;
    struct strbuf text = STRBUF_INIT;
    /* Without this very request. */
    strbuf_addf(
        &text,
        "{\"name\": \"%s\", \"pid\": %d, \"connections\": %zu, \"accepted\": %llu, \"requests\": %llu, "
        "\"in_flight\": %llu, \"aborted\": %llu}\n",
        app->options->name, (int)getpid(), app->n_connections, (unsigned long long)app->accepted,
        (unsigned long long)app->requests - 1, (unsigned long long)app->in_flight - 1,
        (unsigned long long)app->aborted);
    answer(c, 200, "application/json", slice_make(text.data, text.size));
    strbuf_deinit(&text);
}

/* --- misbehaviour --- */

static void serve_break(struct connection *c)
{
    c->app->broken = query_number(c, "on", 1) != 0;
    answer_text(c, 200, "done\n");
}

static void serve_abort(struct connection *c)
{
    answer_abort(c, false);
}

static void serve_reset(struct connection *c)
{
    answer_abort(c, true);
}

static void serve_truncated(struct connection *c)
{
    answer_head(c, 200, "text/plain", "Content-Length: 1000\r\n\r\nnot a thousand bytes\n");
    answer_abort(c, false);
}

static void serve_truncated_chunk(struct connection *c)
{
    answer_chunked(c, 200, "text/plain", "");
    answer_chunk(c, SLICE_LITERAL("the last chunk never comes\n"));
    answer_abort(c, false);
}

static void serve_garbage(struct connection *c)
{
    strbuf_add_string(&c->out, "this is not HTTP\r\n\r\n");
    answer_abort(c, false);
}

static void serve_stall(struct connection *c)
{
    answer_head(c, 200, "text/plain", "Content-Length: 1000\r\n\r\nthe rest never comes\n");
    answer_later(c, USEC_INFINITY, resume_root);
}

static void serve_ambiguous(struct connection *c)
{
    answer_head(c, 200, "text/plain", "Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello..");
    answer_end(c);
}

static void serve_help(struct connection *c);

static const struct endpoint endpoints[] = {
    {"/", "hello, by name", serve_root, BODY_IGNORED},
    {"/help", "this list", serve_help, BODY_IGNORED},
    {"/healthz", "200, or 503 when sick", serve_healthz, BODY_IGNORED},
    {"/healthz/fail", "be sick", serve_health_set, BODY_IGNORED},
    {"/healthz/ok", "be well", serve_health_set, BODY_IGNORED},
    {"/echo", "the request body, or the request's id", serve_echo, BODY_KEPT},
    {"/headers", "the request head as it arrived", serve_headers, BODY_IGNORED},
    {"/sink", "size and SHA-256 of the request body", serve_sink, BODY_DIGESTED},
    {"/slow", "?ms= until it answers", serve_slow, BODY_IGNORED},
    {"/hang", "never answers", serve_hang, BODY_IGNORED},
    {"/stream", "server-sent events: ?n= (0: for ever) every ?ms=", serve_stream, BODY_IGNORED},
    {"/chunked", "?n= chunks of ?bytes= every ?ms=", serve_chunked, BODY_IGNORED},
    {"/big", "?bytes= with Content-Length", serve_big, BODY_IGNORED},
    {"/until-close", "?bytes= that end with the connection", serve_until_close, BODY_IGNORED},
    {"/ws", "WebSocket echo", serve_websocket, BODY_IGNORED},
    {"/status/", "the status asked for", serve_status, BODY_IGNORED},
    {"/trailers", "chunks and trailers", serve_trailers, BODY_IGNORED},
    {"/early-hints", "103, and after ?ms= 200", serve_early_hints, BODY_IGNORED},
    {"/close", "Connection: close", serve_close, BODY_IGNORED},
    {"/ledger", "writes the id, after ?ms=, to disk, once for an Idempotency-Key", serve_ledger,
     BODY_IGNORED},
    {"/stats", "what this app has seen", serve_stats, BODY_IGNORED},
    {"/break", "?on=1: answers 500 to everything else; ?on=0", serve_break, BODY_IGNORED},
    {"/abort", "closes without an answer", serve_abort, BODY_IGNORED},
    {"/reset", "resets without an answer", serve_reset, BODY_IGNORED},
    {"/truncated", "closes within the body", serve_truncated, BODY_IGNORED},
    {"/truncated-chunk", "closes before the last chunk", serve_truncated_chunk, BODY_IGNORED},
    {"/garbage", "answers with what is not HTTP", serve_garbage, BODY_IGNORED},
    {"/stall", "stops within the body", serve_stall, BODY_IGNORED},
    {"/ambiguous", "two different lengths", serve_ambiguous, BODY_IGNORED},
};

static void serve_help(struct connection *c)
{
    struct strbuf text = STRBUF_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++)
        strbuf_addf(&text, "%-18s %s\n", endpoints[i].path, endpoints[i].help);
    answer(c, 200, "text/plain", slice_make(text.data, text.size));
    strbuf_deinit(&text);
}

static void serve_not_found(struct connection *c)
{
    answer_text(c, 404, "no such endpoint; /help lists them\n");
}

const struct endpoint *endpoint_find(struct slice path)
{
    static const struct endpoint not_found = {"", "", serve_not_found, BODY_IGNORED};
    for (size_t i = 0; i < ARRAY_SIZE(endpoints); i++) {
        struct slice known = slice_of(endpoints[i].path);
        bool is_folder = known.size > 1 && known.data[known.size - 1] == '/';
        if (slice_eq(path, known) || (is_folder && slice_starts_with(path, known)))
            return &endpoints[i];
    }
    return &not_found;
}

void endpoint_serve(struct connection *c)
{
    const struct endpoint *endpoint = endpoint_find(c->path);
    if (c->app->options->work > 0)
        usleep((useconds_t)c->app->options->work);
    if (c->app->broken && endpoint->serve != serve_break)
        answer_text(c, 500, "broken\n");
    else
        endpoint->serve(c);
}
