#include "request.h"

#include <sys/random.h>

void request_template_init(struct request_template *request, const struct options *options)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = now_realtime();
    *request = (struct request_template){
        .body_size = (size_t)options->body_size,
        .id_in_body = MIN((size_t)options->body_size, (size_t)REQUEST_ID_SIZE),
        .is_head = streq(options->method, "HEAD"),
    };
    snprintf(request->run, sizeof(request->run), "%016llx", (unsigned long long)random);
    strbuf_addf(&request->before_id, "%s %s HTTP/1.1\r\nHost: %s\r\n", options->method, options->path,
                options->host);
    for (size_t i = 0; i < options->n_headers; i++)
        strbuf_addf(&request->before_id, "%s\r\n", options->headers[i]);
    strbuf_add_string(&request->before_id, "X-Request-ID: ");
    if (options->idempotency_key) {
        strbuf_add_string(&request->before_key, "\r\nIdempotency-Key: \"");
        strbuf_add_char(&request->after_id, '"');
    }
    if (request->body_size > 0)
        strbuf_addf(&request->after_id, "\r\nContent-Length: %zu", request->body_size);
    strbuf_add_string(&request->after_id, "\r\n\r\n");

    size_t padding = request->body_size - request->id_in_body;
    request->padding = xcalloc(padding + 1, 1);
    for (size_t i = 0; i < padding; i++)
        request->padding[i] = "abcdefghijklmnopqrstuvwxyz.\n"[i % 28];
}

void request_template_deinit(struct request_template *request)
{
    strbuf_deinit(&request->before_id);
    strbuf_deinit(&request->before_key);
    strbuf_deinit(&request->after_id);
    free(TAKE_PTR(request->padding));
}

void request_format_id(const struct request_template *request, uint64_t n, char id[REQUEST_ID_SIZE + 1])
{
    memcpy(id, request->run, 16);
    id[16] = '-';
    for (int i = REQUEST_ID_SIZE - 1; i > 16; i--, n /= 10)
        id[i] = (char)('0' + n % 10);
    id[REQUEST_ID_SIZE] = '\0';
}

static size_t key_size(const struct request_template *request)
{
    return request->before_key.size > 0 ? REQUEST_ID_SIZE : 0;
}

size_t request_size(const struct request_template *request)
{
    return request->before_id.size + REQUEST_ID_SIZE + request->before_key.size + key_size(request) +
           request->after_id.size + request->body_size;
}

size_t request_parts(const struct request_template *request, const char *id, size_t sent,
                     struct iovec parts[REQUEST_PARTS])
{
    struct slice all[REQUEST_PARTS] = {
        slice_make(request->before_id.data, request->before_id.size),
        slice_make(id, REQUEST_ID_SIZE),
        slice_make(request->before_key.data, request->before_key.size),
        slice_make(id, key_size(request)),
        slice_make(request->after_id.data, request->after_id.size),
        slice_make(id, request->id_in_body),
        slice_make(request->padding, request->body_size - request->id_in_body),
    };
    size_t n = 0;
    for (size_t i = 0; i < REQUEST_PARTS; i++) {
        if (sent >= all[i].size) {
            sent -= all[i].size;
            continue;
        }
        parts[n++] = (struct iovec){(char *)all[i].data + sent, all[i].size - sent};
        sent = 0;
    }
    return n;
}

bool request_body_matches(const struct request_template *request, const char *id, size_t offset,
                          struct slice data)
{
    if (offset > request->body_size || data.size > request->body_size - offset)
        return false;
    if (offset < request->id_in_body) {
        size_t size = MIN(data.size, request->id_in_body - offset);
        if (memcmp(data.data, id + offset, size) != 0)
            return false;
        data = slice_make(data.data + size, data.size - size);
        offset += size;
    }
    return data.size == 0 ||
           memcmp(data.data, request->padding + offset - request->id_in_body, data.size) == 0;
}
