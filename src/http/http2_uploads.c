#include "http/http2_uploads.h"

void http2_uploads_deinit(struct http2_uploads *uploads)
{
    free(uploads->list);
    *uploads = (struct http2_uploads){0};
}

void http2_uploads_ended(struct http2_uploads *uploads, uint32_t stream)
{
    for (size_t i = uploads->n; i-- > 0;) {
        if (uploads->list[i].stream != stream)
            continue;
        uploads->n--;
        memmove(&uploads->list[i], &uploads->list[i + 1], (uploads->n - i) * sizeof(uploads->list[0]));
        return;
    }
}

void http2_uploads_arrived(struct http2_uploads *uploads, uint32_t stream, usec_t now)
{
    http2_uploads_ended(uploads, stream);
    if (uploads->n == uploads->capacity) {
        uploads->capacity = MAX(uploads->capacity * 2, (size_t)4);
        uploads->list = xrealloc(uploads->list, uploads->capacity, sizeof(uploads->list[0]));
    }
    uploads->list[uploads->n++] = (struct http2_upload){.stream = stream, .arrived_at = now};
}
